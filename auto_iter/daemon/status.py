"""Where an alignment is. `as_json` is a contract: keys may be added, never changed or removed.

The snapshot is what a daemon has seen. Where none is at work, whoever asks may look for himself and
hand in what the jobs look like now.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any

from auto_iter.alignment.snapshot import IterationRecord, Snapshot
from auto_iter.alignment.solution import FIGURES
from auto_iter.daemon.lock import Holder, live_holder
from auto_iter.workspace.paths import Workspace
from states.table import TERMINAL

SHOWN_HELD = 10
"""So many held jobs are described; a screen has room for no more."""


@dataclass(frozen=True)
class Status:
    """A snapshot, and whether somebody is working on it."""

    workspace: Workspace
    snapshot: Snapshot
    holder: Holder | None
    now: float
    remark: str | None = None
    """What a person should know about the jobs' numbers."""

    @classmethod
    def of(cls, workspace: Workspace, snapshot: Snapshot, now: float) -> Status:
        """Return the status of a workspace."""
        return cls(workspace, snapshot, live_holder(workspace.lock), now)

    @property
    def needs_a_look(self) -> bool:
        """Jobs may have gone on since a daemon saw them last, and the workspace is ours."""
        is_ours = self.workspace.root.stat().st_uid == os.getuid()
        unseen = bool(self.snapshot.live_attempts) and self.holder is None
        unseen = unseen and self.snapshot.dag is None  # `dag status` looks at those
        return is_ours and unseen and self.snapshot.state not in TERMINAL

    def as_json(self) -> dict[str, Any]:
        """Return the stable form: plain values, times in seconds since the epoch."""
        snapshot = self.snapshot
        return {
            "version": 1,
            "workspace": str(self.workspace.root),
            "state": snapshot.state,
            "iteration": snapshot.iteration,
            "iterations": snapshot.arguments.iterations,
            "year": snapshot.arguments.year,
            "run": f"{snapshot.arguments.run:06d}",
            "files": snapshot.arguments.files.text,
            "stations": snapshot.arguments.stations,
            "strategy": snapshot.strategy,
            "phase": snapshot.phase_name,
            "phase_number": snapshot.phase + 1,
            "in_phase": snapshot.stage.within,
            "verdict": None if snapshot.verdict is None else snapshot.verdict.model_dump(),
            "daemon": None
            if self.holder is None
            else {"pid": self.holder.pid, "host": self.holder.host, "since": self.holder.since},
            "jobs": snapshot.progress.model_dump(),
            "dag": None if snapshot.dag is None else snapshot.dag.model_dump(),
            "remark": self.remark,
            "attempts": [
                {
                    "attempt": each.number,
                    "cluster": each.cluster,
                    "jobs": each.jobs,
                    "over": each.is_over,
                }
                for each in snapshot.attempts
            ],
            "failed_files": {
                f"{number:05d}": {"tries": tries, "reason": snapshot.troubles.get(number, "")}
                for number, tries in sorted(snapshot.failures.items())
            },
            "lost_files": {
                f"{number:05d}": {"times": times, "reason": snapshot.troubles.get(number, "")}
                for number, times in sorted(snapshot.losses.items())
            },
            "avoided_machines": list(snapshot.avoid_machines),
            "excluded_files": [f"{number:05d}" for number in snapshot.excluded],
            "waiting": None if snapshot.hindrance is None else snapshot.hindrance.model_dump(),
            "failure": None if snapshot.failure is None else snapshot.failure.model_dump(),
            "history": [record.model_dump(mode="json") for record in snapshot.history],
        }

    def as_text(self) -> str:
        """Return a screenful for a person."""
        return "\n".join(
            [
                *self._headline(),
                *self._hindrance(),
                *self._jobs(),
                *self._remark(),
                *self._failure(),
                *self._history(),
            ]
        )

    def _headline(self) -> list[str]:
        snapshot = self.snapshot
        who = "no daemon is running"
        if self.holder is not None:
            who = f"daemon: pid {self.holder.pid} on {self.holder.host}, since {self.holder.since}"
        elif snapshot.dag is not None:
            who = f"handed to DAGMan; follow it with: auto-iter dag status {self.workspace.root}"
        elif snapshot.state not in TERMINAL:
            who += f"; resume with: {self.workspace.resume_command}"
        where = f"iteration {snapshot.iteration} of {snapshot.arguments.iterations}"
        if snapshot.strategy:
            where += f" ({self._place()})"
        lines = [f"{self.workspace.root.name}: {snapshot.state}, {where}"]
        if snapshot.verdict is not None:
            lines.append(snapshot.verdict.sentence)
        return [*lines, who]

    def _place(self) -> str:
        """Say the strategy, and the phase where it is not called the same."""
        snapshot = self.snapshot
        if snapshot.phase_name.lower() == snapshot.strategy.lower():
            return f"strategy {snapshot.strategy}"
        return (
            f"strategy {snapshot.strategy}, phase {snapshot.phase_name}, "
            f"its iteration {snapshot.stage.within}"
        )

    def _hindrance(self) -> list[str]:
        hindrance = self.snapshot.hindrance
        if hindrance is None or self.snapshot.state in TERMINAL:
            return []
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(hindrance.since))
        if self.holder is None:
            return [f"had been waiting since {since}: {hindrance.reason}"]
        return [f"waiting since {since}; retries automatically: {hindrance.reason}"]

    def _remark(self) -> list[str]:
        return [] if self.remark is None else [self.remark]

    def _jobs(self) -> list[str]:
        progress = self.snapshot.progress
        if self.snapshot.state in TERMINAL or not progress.wanted:
            return []
        line = (
            f"files: {progress.delivered} of {progress.wanted} reconstructed; jobs: "
            f"{progress.jobs_in_words}"
        )
        if progress.seen_at is not None:
            line += f" (as of {time.strftime('%H:%M:%S', time.localtime(progress.seen_at))})"
        if progress.expected_end is not None and progress.delivered < progress.wanted:
            end = time.strftime("%H:%M", time.localtime(progress.expected_end))
            line += f"; expected to finish at {end}"
        failing = [
            f"  file {number:05d}: {self._tries(number)}, "
            f"last: {self.snapshot.troubles.get(number, '')}"
            for number in sorted({*self.snapshot.failures, *self.snapshot.losses})
        ]
        held = [
            f"  file {number:05d}: {self.snapshot.troubles[number]}"
            for number in sorted(self.snapshot.held_since)
            if number in self.snapshot.troubles
            and number not in self.snapshot.failures
            and number not in self.snapshot.losses
        ]
        machines = ", ".join(self.snapshot.avoid_machines)
        avoided = [f"machines avoided: {machines}"] if machines else []
        return [line, *avoided, *failing, *held[:SHOWN_HELD], *_and_more(held)]

    def _tries(self, number: int) -> str:
        counts = {"failed": self.snapshot.failures, "lost": self.snapshot.losses}
        said = (f"{tries[number]} {how}" for how, tries in counts.items() if number in tries)
        return ", ".join(said)

    def _failure(self) -> list[str]:
        failure = self.snapshot.failure
        if failure is None:
            return []
        lines = [f"failed in {failure.state}: {failure.reason}"]
        if failure.remedy:
            lines.append(f"what to do: {failure.remedy}")
        return [*lines, f"then run: {self.workspace.resume_command}"]

    def _history(self) -> list[str]:
        if not self.snapshot.history:
            return []
        history = self.snapshot.history
        phases = {each.phase for each in history}
        width = max(len(phase) for phase in phases) if len(phases) > 1 else 0
        head = "iter " + (f"{'phase':<{width}} " if width else "")
        head += " files " + " ".join(f"{each.heading:>{each.width}}" for each in FIGURES.values())
        head += "  time [s]"
        rows = [
            f"{each.iteration:4d} "
            + (f"{each.phase:<{width}} " if width else "")
            + f"{each.files:6d} {_columns(each)} {each.finished_at - each.started_at:9.0f}"
            for each in history
        ]
        by_hand = [
            f"iteration {each.iteration}: {each.by_hand}"
            for each in self.snapshot.history
            if each.by_hand is not None
        ]
        return [head, *rows, *by_hand]


def _columns(record: IterationRecord) -> str:
    values = record.figures
    return " ".join(f"{values[name]:{f.width}.{f.decimals}f}" for name, f in FIGURES.items())


def _and_more(held: list[str]) -> list[str]:
    return [f"  and {len(held) - SHOWN_HELD} more are held"] if len(held) > SHOWN_HELD else []
