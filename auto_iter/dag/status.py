"""How a DAG stands: nodes by state and iteration, what is wrong with which, and for how long yet.

`as_json` is a contract: keys may be added, never changed or removed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.htcondor.ads import HELD
from auto_iter.batch.htcondor.dagman.manager import RESTARTS, DagJob
from auto_iter.batch.htcondor.dagman.text import DAG_FILE
from auto_iter.times import to_the_minute, to_the_second

STATES = ("done", "running", "idle", "held", "failed", "waiting")
JOB_STATES = {1: "idle", 2: "running", HELD: "held", 6: "running", 7: "running"}
SHOWN = 10


@dataclass(frozen=True)
class Wrong:
    """What is wrong with a node, and what a person does about it. `tail`: the end of its `log`."""

    node: str
    state: str
    reason: str
    remedy: str = ""
    exit_code: int | None = None
    log: str = ""
    tail: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """Return it for a person."""
        remedy = f"; {self.remedy}" if self.remedy else ""
        end = [f"  end of {self.log}:", *(f"    {line}" for line in self.tail)] if self.tail else []
        return [f"{self.node} {self.state}: {self.reason}{remedy}", *end]


@dataclass(frozen=True)
class DagStatus:
    """A DAG at `seen_at`: `job` is DAGMan's, None where it is not in the queue.

    `nodes`: by iteration, how many are in which of `STATES`. `trouble`: why the schedd could not be
    asked; then only what lies in the workspace is known.
    """

    root: Path
    snapshot: Snapshot
    nodes: dict[int, Counter[str]]
    seen_at: float
    job: DagJob | None = None
    wrong: tuple[Wrong, ...] = ()
    rescue: int | None = None
    expected_end: float | None = None
    trouble: str | None = None
    last_exit: int | None = None
    phases: dict[int, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """In a word: running, held, idle, recovering, looping, done, failed, not running."""
        job = self.job
        if job is not None:
            if job.exit_code is not None and job.exit_code > 2 and job.starts > 1:
                return "looping"
            if job.in_recovery:
                return "recovering"
            return JOB_STATES.get(job.status, "ending")
        if self.trouble is not None:
            return "unknown"
        return self.snapshot.state if self.snapshot.state in {"done", "failed"} else "not running"

    def as_json(self) -> dict[str, Any]:
        """Return the stable form: plain values, times in seconds since the epoch."""
        job, snapshot = self.job, self.snapshot
        return {
            "version": 1,
            "workspace": str(self.root),
            "state": self.state,
            "alignment": snapshot.state,
            "iteration": snapshot.iteration,
            "iterations": snapshot.arguments.iterations,
            "dagman": None
            if job is None
            else {
                "cluster": job.cluster,
                "schedd": job.schedd,
                "submitted_at": job.submitted_at,
                "starts": job.starts,
                "reason": job.reason,
                "nodes": dict(job.nodes),
            },
            "nodes": [
                {"iteration": number, "phase": self.phases.get(number, "")}
                | {state: counts[state] for state in STATES}
                for number, counts in sorted(self.nodes.items())
            ],
            "problems": [vars(each) for each in self.wrong],
            "rescue": self.rescue,
            "expected_end": self.expected_end,
            "seen_at": self.seen_at,
            "trouble": self.trouble,
            "last_exit": self.last_exit,
            "crowded": snapshot.crowded,
            "failure": snapshot.failure and snapshot.failure.model_dump(),
            "verdict": snapshot.verdict and snapshot.verdict.model_dump(),
        }

    def as_text(self) -> str:
        """Return a screenful for a person."""
        return "\n".join(
            [*self._headline(), *self._table(), *self._problems(), *self._failure(), *self._next()]
        )

    def _headline(self) -> list[str]:
        job = self.job
        who = "DAGMan is not in the queue"
        if self.last_exit is not None:
            who += f"; it ended with exit code {self.last_exit}"
        if self.trouble is not None:
            who = f"the schedd could not be asked, so this is from the workspace: {self.trouble}"
        elif job is not None:
            who = f"DAGMan: job {job.cluster}.0 on {job.schedd}, {self.state}"
            who += f" ({job.reason})" if job.reason else ""
        lines = [f"{self.root.name}: {self.state}, iteration {self.snapshot.iteration}", who]
        if self.state == "looping" and job is not None:
            # One that was submitted by hand has HTCondor's own rule, not ours.
            how_long = f"up to {RESTARTS} times" if job.key else "for ever"
            lines.append(
                f"DAGMan ends with exit code {job.exit_code} and is started again {how_long}: see "
                f"{self.root / DAG_FILE}.dagman.out, and end it with auto-iter dag remove"
            )
        seen = to_the_second(self.seen_at)
        lines.append(f"as of {seen}" + self._end())
        if self.snapshot.crowded and self.snapshot.state != "done":
            lines.append(f"little room: {self.snapshot.crowded}")
        if self.snapshot.verdict is not None:
            lines.append(self.snapshot.verdict.sentence)
        return lines

    def _end(self) -> str:
        if self.expected_end is None or self.job is None:
            return ""
        end = to_the_minute(self.expected_end)
        return f"; expected to finish at {end}, if all iterations are needed"

    def _table(self) -> list[str]:
        width = max([5, *(len(phase) for phase in self.phases.values())])
        head = f"iter {'phase':<{width}} " + " ".join(f"{state:>8}" for state in STATES)
        rows = [
            f"{number:4d} {self.phases.get(number, ''):<{width}} "
            + " ".join(f"{counts[state]:8d}" for state in STATES)
            for number, counts in sorted(self.nodes.items())
        ]
        return [head, *rows]

    def _problems(self) -> list[str]:
        lines = [line for each in self.wrong[:SHOWN] for line in each.lines()]
        more = len(self.wrong) - SHOWN
        return [*lines, f"and {more} more"] if more > 0 else lines

    def _failure(self) -> list[str]:
        failure = self.snapshot.failure
        if failure is None:
            return []
        return [f"failed in {failure.state}: {failure.reason}", f"what to do: {failure.remedy}"]

    def _next(self) -> list[str]:
        lines = [f"rescue file {self.rescue:03d} is there"] if self.rescue is not None else []
        if self.job is None and self.trouble is None and self.snapshot.state != "done":
            lines.append(f"go on with: auto-iter dag rescue {self.root}")
        return lines
