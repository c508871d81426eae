"""The embedded batch system: jobs on this machine, with the guarantees of a real one.

A submission is a directory of records, made by one rename. Its jobs are started and watched by a
detached supervisor, so they outlive the daemon; this class reads the records, appends what is asked
for, and starts a supervisor where one is missing. Jobs that run on another machine (the workspace
is on a shared disk) are left alone and counted as running while their starters give signs of life:
only that machine can tell, or end them.
"""

from __future__ import annotations

import contextlib
import functools
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import auto_iter
from auto_iter.alignment.model import Batch, Problem, Remedy, Resources, Submission, Tally
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.holds import decide
from auto_iter.batch.local.bell import DAEMON, Bell, ring
from auto_iter.batch.local.limits import Limits
from auto_iter.batch.local.lock import has_ended_well, is_supervised
from auto_iter.batch.local.records import Ledger, Records, read_header, write_submission
from auto_iter.batch.local.supervisor import STUBBORN_AFTER_S, mark_lost, why_lost
from auto_iter.config.batch import Holds
from auto_iter.errors import InputError, TransientError
from auto_iter.files import TEMPORARY, remove_leftovers, sync_directory

P = ParamSpec("P")
R = TypeVar("R")

_START_S = 30.0
_RESTART_S = 2.0
_PAUSE_S = 0.02


def _translated(method: Callable[P, R]) -> Callable[P, R]:
    """Make trouble with the disk a TransientError: nothing of the records is half-written."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except (OSError, subprocess.SubprocessError) as error:
            raise TransientError(f"local batch system: {error}") from error

    return call


class LocalBatch(BatchSystem):
    """Jobs of one workspace on this machine.

    Starters bring outputs home; no submission is retired, for `find` has to know its key for ever.
    """

    name = "local"

    def __init__(  # noqa: PLR0913 - what a test replaces
        self,
        records: Path,
        workspace_id: str,
        *,
        now: Callable[[], float],
        rng: random.Random,
        limits: Limits | None = None,
        holds: Holds | None = None,
    ) -> None:
        self._home = records.absolute()
        self._workspace_id = workspace_id
        self._now = now
        self._rng = rng
        self._limits = limits or Limits()
        self._holds = holds or Holds()
        self._ledgers: dict[str, Ledger] = {}
        self._headers: dict[str, Mapping[str, Any]] = {}
        self._bell: Bell | None = None
        self._supervisor_started = -_RESTART_S

    def new_key(self, iteration: int, attempt: int) -> str:
        """Return the submission key; what was submitted under it before is found in the records."""
        return f"{self._workspace_id}-{iteration:02d}-{attempt:02d}"

    @_translated
    def find(self, key: str) -> Submission | None:
        """Return the submission under `key`, or None: the records are complete, always."""
        for cluster in self._clusters():
            header = self._header(cluster)
            if header["key"] == key:
                return Submission(key, cluster, header["jobs"], header["submitted_at"])
        return None

    @_translated
    def submit(self, batch: Batch) -> Submission:
        """Submit a batch by one rename; what is there under its key is returned as it is."""
        submission = self.find(batch.key) or self._new_submission(batch)
        self._ensure_supervisor(self._ledger(submission.cluster))
        return submission

    @_translated
    def poll(self, submission: Submission) -> Tally:
        """Return how the submission stands, from what the journal has gained since the last time.

        A supervisor that is missing is started.
        """
        ledger = self._ledger(submission.cluster)
        ledger.refresh()
        self._ensure_supervisor(ledger)
        return ledger.tally()

    def remedy(self, problem: Problem, releases: int) -> Remedy:
        """Return what is done about a held job: the hold codes here are HTCondor's."""
        return decide(problem, releases, self._holds)

    @_translated
    def release(
        self, submission: Submission, numbers: Collection[int], resources: Resources | None = None
    ) -> None:
        """Let held jobs run again, with other resources when given; others are left as they are."""
        changed = {} if resources is None else asdict(resources)
        changed = {name: value for name, value in changed.items() if value is not None}
        with self._decided(submission.cluster) as ledger:
            for number in sorted(set(numbers) & ledger.held.keys()):
                ledger.note({"event": "released", "job": number, "resources": changed})
        self._ensure_supervisor(ledger)

    @_translated
    def remove(
        self, submission: Submission, reason: str, numbers: Collection[int] | None = None
    ) -> None:
        """End jobs for good; on return no process of theirs is left.

        Takes at most the grace time and a few seconds more. Raises TransientError when jobs run on
        after that, or on another machine.
        """
        with self._decided(submission.cluster) as ledger:
            chosen = {job.number for job in ledger.submitted.batch.jobs} - ledger.ended
            if numbers is not None:
                chosen &= set(numbers)
            for number in sorted(chosen):
                event = "removing" if number in ledger.running else "removed"
                ledger.note({"event": event, "job": number, "reason": reason})
        self._wait_ended(ledger, chosen)

    @_translated
    def declare_lost(self, host: str) -> int:
        """Record the jobs that run on another machine as lost, and return how many those were.

        Only for who knows that the machine called `host` is gone for good.
        """
        count = 0
        for cluster in self._clusters():
            ledger = self._ledger(cluster)
            ledger.refresh()
            for number, running in list(ledger.running.items()):
                if running.starter.host == host and not running.starter.is_here:
                    mark_lost(ledger, number, running, f"{host} was declared gone")
                    count += 1
        return count

    @_translated
    def watch(self, submissions: Collection[Submission]) -> Iterable[int]:
        """Return a descriptor that becomes readable when a job ends, starts or is held."""
        if self._bell is None:
            self._bell = Bell(self._home, DAEMON)
        self._bell.wait(0)
        if self.has_news(submissions):  # what came since the last poll would be slept over
            ring(self._home)
        return [self._bell.fileno()]

    @_translated
    def has_news(self, submissions: Collection[Submission]) -> bool:
        """Tell whether a poll would show a change, or would have something to repair."""
        ledgers = [self._ledger(submission.cluster) for submission in submissions]
        if any(ledger.has_news() for ledger in ledgers):
            return True
        return any(map(self._needs_supervisor, ledgers)) and self._may_start_supervisor()

    def close(self) -> None:
        """Give the file descriptor of `watch` back; jobs and records stay."""
        if self._bell is not None:
            self._bell.close()
            self._bell = None

    def _clusters(self) -> list[str]:
        if not self._home.is_dir():
            return []
        return sorted((path.name for path in self._home.iterdir() if path.name.isdigit()), key=int)

    def _records(self, cluster: str) -> Records:
        records = Records(self._home / cluster)
        if not records.header.exists():
            raise InputError(f"{records.root}: the records of submission {cluster} are gone")
        return records

    def _header(self, cluster: str) -> Mapping[str, Any]:
        if cluster not in self._headers:
            self._headers[cluster] = read_header(self._records(cluster))
        return self._headers[cluster]

    def _ledger(self, cluster: str) -> Ledger:
        if cluster not in self._ledgers:
            self._ledgers[cluster] = Ledger.of(self._records(cluster).root)
        return self._ledgers[cluster]

    @contextlib.contextmanager
    def _decided(self, cluster: str) -> Iterator[Ledger]:
        """Give a ledger that nobody else changes meanwhile; what is noted then is durable."""
        ledger = self._ledger(cluster)
        with ledger.records.locked():
            ledger.refresh()
            yield ledger
            ledger.records.sync()
            ledger.refresh()

    def _new_submission(self, batch: Batch) -> Submission:
        self._home.mkdir(parents=True, exist_ok=True)
        remove_leftovers([self._home])
        unnamed = Path(tempfile.mkdtemp(TEMPORARY, ".new-", self._home))
        unnamed.chmod(0o755)
        now, marker = self._now(), f"{self._workspace_id}-{self._rng.getrandbits(64):016x}"
        write_submission(unnamed, batch, marker, now)
        cluster = str(max(map(int, self._clusters()), default=0) + 1)
        unnamed.rename(self._home / cluster)
        sync_directory(self._home)
        ring(self._home)
        return Submission(batch.key, cluster, len(batch.jobs), now)

    def _needs_supervisor(self, ledger: Ledger) -> bool:
        """Tell whether jobs wait or run here, or are lost and nobody has noted it."""
        return ledger.tally().idle > 0 or any(
            running.starter.is_here or why_lost(ledger.records, number, running.starter) is not None
            for number, running in ledger.running.items()
        )

    def _may_start_supervisor(self) -> bool:
        """Tell whether there is none, and the last one was not started just now and failed.

        One that cannot stay up (a broken installation) must not be started in a loop.
        """
        is_time = time.monotonic() - self._supervisor_started >= _RESTART_S
        return (is_time or has_ended_well(self._home)) and not is_supervised(self._home)

    def _ensure_supervisor(self, ledger: Ledger) -> None:
        """Have a supervisor where one is needed, and have it know the limits."""
        if not self._needs_supervisor(ledger):
            return
        self._limits.tell(self._home)
        if not self._may_start_supervisor():
            return
        self._supervisor_started = time.monotonic()
        log_path = self._home / "supervisor.log"
        with log_path.open("ab") as log:
            # It forks and its first process ends at once: nobody has to reap it later.
            done = subprocess.run(
                [sys.executable, "-m", "auto_iter.batch.local.supervisor", str(self._home)],
                cwd=Path(auto_iter.__file__).parent.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                timeout=_START_S,
                check=False,
            )
        if done.returncode:
            said = log_path.read_text(errors="replace").strip().rpartition("\n")[2]
            raise TransientError(f"jobs cannot be supervised: {said} (see {log_path})")

    def _wait_ended(self, ledger: Ledger, chosen: set[int]) -> None:
        """Wait until the supervisor has ended these jobs."""
        deadline = time.monotonic() + self._limits.grace_s + STUBBORN_AFTER_S + _START_S
        what = f"of submission {ledger.records.root.name}"
        while left := chosen & ledger.running.keys():
            abroad = sorted(each for each in left if not ledger.running[each].starter.is_here)
            if abroad:
                host = ledger.running[abroad[0]].starter.host
                raise TransientError(
                    f"jobs {abroad} {what} run on {host}: end them there, or, when "
                    f"that machine is gone for good, here: auto-iter stop --lost {host}"
                )
            if time.monotonic() > deadline:
                raise TransientError(f"jobs {sorted(left)} {what} were told to end, and have not")
            self._ensure_supervisor(ledger)
            time.sleep(_PAUSE_S)
            ledger.refresh()
