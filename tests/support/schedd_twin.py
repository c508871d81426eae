"""A schedd made of dictionaries: it obeys `schedd.Schedd`, with real ClassAd constraints."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import classad2

from auto_iter.batch.htcondor.ads import Ad, Value
from auto_iter.batch.htcondor.schedd.protocol import (
    JobAction,
    Placed,
    QueueCounts,
    RefusedError,
    SandboxError,
    WriteError,
    by_cluster,
)
from auto_iter.batch.htcondor.schedd.refusals import refusal
from auto_iter.batch.htcondor.submit import KEY_ATTRIBUTE
from auto_iter.errors import TransientError

Job = dict[str, Value]


@dataclass
class ScheddTwin:
    """Queue and history as lists of ads; a test plays the pool with `jobs` and the switches."""

    queue: list[Job] = field(default_factory=list)
    past: list[Job] = field(default_factory=list)
    is_down: bool = False
    history_is_down: bool = False
    knows_us: bool = True
    """Whether our ticket is valid; else nothing is shown, and nothing may be changed."""
    dies_before_spool: bool = False
    forgets_input: bool = False
    """Whether it dies just after it took the input, and comes back without a trace of it."""
    machines_are_silent: bool = False
    """Whether running jobs that are removed wait in the queue for their machine's word."""
    cannot_group: bool = False
    unreadable: set[int] = field(default_factory=set)
    refusal: str | None = None
    submissions_say: list[str] = field(default_factory=list)
    """What its first answers to submissions are, in the bindings' words; then it takes them."""
    called: str = "bigbird07.cern.ch"
    write_error: int | None = None
    """What our own disk says to files that are fetched."""
    asked: list[str] = field(default_factory=list)
    """Every call made, for the tests of costs."""
    machine: Job = field(
        default_factory=lambda: {
            "TotalSlotMemory": 8000, "TotalSlotCpus": 4, "TotalSlotDisk": 10_000_000
        }
    )  # fmt: skip
    """The ad of the pool's largest."""
    clusters: int = 0
    time: int = 1_700_000_000

    def job(self, number: int) -> Job:
        """Return the ad of a raw file's queued job."""
        return next(job for job in self.queue if job["AutoIterRawFile"] == number)

    def end(self, number: int, exit_code: int = 0, *, signal: int | None = None) -> None:
        """Let a job end; a spooled one stays in the queue until it was fetched."""
        job = self.job(number)
        job |= {"JobStatus": 4, "LastJobStatus": 2, "EnteredCurrentStatus": self.time}
        job |= {"ExitBySignal": signal is not None, "LastRemoteHost": "slot1@node7"}
        job |= {"ExitCode": exit_code} if signal is None else {"ExitSignal": signal}
        if not job["AutoIterSpool"]:
            self.leave(number)

    def leave(self, number: int) -> None:
        """Move a job from the queue to the history."""
        job = self.job(number)
        self.queue.remove(job)
        self.past.insert(0, job)

    def hold(self, number: int, code: int, reason: str) -> None:
        """Hold a job."""
        self.job(number).update(
            JobStatus=5, HoldReasonCode=code, HoldReasonSubCode=0, HoldReason=reason
        )

    def remove_by_policy(self, number: int, reason: str, ran_s: int = 0) -> None:
        """Remove a job as a site does: it leaves with exit code 0, and says what it was."""
        job = self.job(number)
        job |= {"LastJobStatus": job["JobStatus"], "JobStatus": 3, "RemoveReason": reason}
        job |= {"ExitCode": 0, "ExitBySignal": False, "EnteredCurrentStatus": self.time}
        job |= {"JobCurrentStartDate": self.time - ran_s} if ran_s else {}
        self.leave(number)

    def run(self, *numbers: int) -> None:
        """Let jobs run."""
        for number in numbers:
            self.job(number)["JobStatus"] = 2

    def _reached(self, call: str) -> None:
        self.asked.append(call)
        if self.is_down:
            raise TransientError("the schedd is down")

    def at(self, name: str | None) -> Self:
        del name
        return self

    def name(self) -> str:
        self._reached("name")
        return self.called

    def count(self, constraint: str) -> QueueCounts:
        self._reached("count")
        found = _matching(self._shown(self.queue), constraint)
        return QueueCounts.of(Counter(int(job["JobStatus"]) for job in found))

    def count_by_cluster(self, constraint: str) -> dict[int, QueueCounts]:
        self._reached("count_by_cluster")
        if self.cannot_group:
            raise TransientError("no such query")
        names = ("ClusterId", "JobStatus", KEY_ATTRIBUTE)
        groups = Counter(tuple(job[name] for name in names) for job in self._shown(self.queue))
        # as a schedd does: it judges groups, which have nothing else of their jobs
        found = _matching(
            [
                dict(zip((*names, "number"), (*group, n), strict=True))
                for group, n in groups.items()
            ],
            constraint,
        )
        return by_cluster([int(group[name]) for name in (*names[:2], "number")] for group in found)

    def query(self, constraint: str, projection: Sequence[str], *, limit: int = -1) -> list[Ad]:
        self._reached("query")
        return _projected(_matching(self._shown(self.queue), constraint), projection, limit)

    def cluster_ad(self, cluster: int, projection: Sequence[str]) -> Ad | None:
        del cluster, projection
        self._reached("cluster_ad")
        return None

    def history(self, constraint: str, projection: Sequence[str], *, limit: int) -> list[Ad]:
        self._reached("history")
        if self.history_is_down:
            raise TransientError("the history does not answer")
        return _projected(_matching(self._shown(self.past), constraint), projection, limit)

    def _shown(self, jobs: list[Job]) -> list[Job]:
        return jobs if self.knows_us else []

    def has_machine(self, constraint: str) -> bool:
        self._reached("has_machine")
        return bool(_matching([self.machine], constraint))

    def store_credential(self) -> None:
        self._reached("store_credential")
        if not self.knows_us:
            raise TransientError("no ticket")

    def submit(
        self,
        description: Mapping[str, str],
        rows: Sequence[Mapping[str, str]],
        *,
        spool: bool,
    ) -> Placed:
        self._reached("submit")
        if self.submissions_say:
            said = self.submissions_say.pop(0)
            raise refusal("submit", "condor", said, self.called) or TransientError(said)
        if self.refusal is not None:
            raise RefusedError(self.refusal)
        self.clusters += 1
        for proc, row in enumerate(rows):
            self.queue.append(self._ad(description, row, proc, spool=spool))
        return Placed(self.clusters, len(rows), "bigbird07.cern.ch")

    def _ad(
        self, description: Mapping[str, str], row: Mapping[str, str], proc: int, *, spool: bool
    ) -> Job:
        filled = {}
        for name, text in description.items():
            for variable, value in row.items():
                text = text.replace(f"$({variable})", value)  # noqa: PLW2901 - filled in by turns
            filled[name] = text
        own = {
            name.removeprefix("My."): classad2.ExprTree(text).eval()
            for name, text in filled.items()
            if name.startswith("My.")
        }
        ad: Job = {
            **own,
            "ClusterId": self.clusters,
            "ProcId": proc,
            "JobStatus": 5 if spool else 1,
            "QDate": self.time,
            "GlobalJobId": f"bigbird07.cern.ch#{self.clusters}.{proc}#{self.time}",
            "EnteredCurrentStatus": self.time,
            "RequestMemory": int(filled["request_memory"].removesuffix("MB")),
        }
        if spool:
            ad |= {"HoldReasonCode": 16, "SUBMIT_Iwd": filled["initialdir"]}
        return ad

    def spool(self, placed: Placed) -> None:
        if self.dies_before_spool:
            raise TransientError("the schedd died")
        self._reached("spool")
        if self.forgets_input:
            return
        for job in self.queue:
            if job["ClusterId"] == placed.cluster:
                job |= {"StageInFinish": self.time, "JobStatus": 1}
                del job["HoldReasonCode"]

    def retrieve(self, cluster: int, procs: Collection[int]) -> None:
        self._reached("retrieve")
        for job in self.queue:
            if job["ClusterId"] != cluster or job["ProcId"] not in procs:
                continue
            if job["AutoIterRawFile"] in self.unreadable:
                raise SandboxError("receiveJobSandbox: it did not come")
            if self.write_error is not None:
                raise WriteError(str(job["SUBMIT_Iwd"]), self.write_error)
            job["StageOutFinish"] = self.time
            if job.get("ExitCode") == 0:
                Path(str(job["SUBMIT_Iwd"]), str(job["AutoIterPlace"])).write_text("fitted\n")

    def act(self, action: JobAction, constraint: str, reason: str) -> int:
        self._reached(action)
        if not self.knows_us:
            raise TransientError("AUTHENTICATE:1003: the ticket is not valid")
        found = _matching(self.queue, constraint)
        for job in found:
            if action == "remove":
                before = job["JobStatus"]
                job |= {"LastJobStatus": before, "JobStatus": 3, "RemoveReason": reason}
                if not (self.machines_are_silent and before == 2):
                    self.queue.remove(job)
                    self.past.insert(0, job)
            elif action == "release":
                job["JobStatus"] = 1
            else:
                job |= {"JobStatus": 5, "HoldReasonCode": 1, "HoldReason": reason}
        return len(found)

    def edit(self, constraint: str, attribute: str, value: str) -> int:
        self._reached("edit")
        found = _matching(self.queue, constraint)
        for job in found:
            job[attribute] = int(value)
        return len(found)

    def close(self) -> None:
        pass


def _matching(jobs: list[Job], constraint: str) -> list[Job]:
    expression = classad2.ExprTree(constraint)
    return [job for job in jobs if expression.eval(classad2.ClassAd(job)) is True]


def _projected(jobs: list[Job], projection: Sequence[str], limit: int) -> list[Ad]:
    chosen = jobs if limit < 0 else jobs[:limit]
    return [{name: job[name] for name in projection if name in job} for job in chosen]
