"""In-memory twins of what surrounds the state machine: they obey the protocols, on plain values."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.arrival import Response
from auto_iter.alignment.model import Batch, Job, Problem, Stage
from auto_iter.alignment.ports import Conversion, Mended
from auto_iter.alignment.requests import Request, Wish
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.errors import InputError, PhysicsError, TransientError
from auto_iter.files import digest


@dataclass
class FrozenClock:
    """Time that passes only when somebody sleeps."""

    seconds: float = 1_700_000_000.0

    def now(self) -> float:
        return self.seconds


@dataclass
class TwinSleeper:
    """Lets the clock jump, tells the world that time has passed, and can be asked to stop."""

    clock: FrozenClock
    passed: Callable[[float], None] = lambda _seconds: None
    stop_after: int | None = None
    slept: list[float] = field(default_factory=list)

    def should_stop(self) -> bool:
        return self.stop_after is not None and len(self.slept) >= self.stop_after

    def sleep(
        self,
        seconds: float,
        descriptors: Iterable[int] = (),
        has_news: Callable[[], bool] | None = None,
    ) -> None:
        del descriptors, has_news
        self.slept.append(seconds)
        self.clock.seconds += seconds
        self.passed(seconds)


@dataclass
class TwinInbox:
    """Requests in a list."""

    requests: list[Request] = field(default_factory=list)

    def post(self, wish: Wish, *files: int, at: float = 0.0) -> None:
        number = len(self.requests) + 1
        self.requests.append(
            Request(id=f"{wish}-{number}-{at:g}", wish=wish, by="test", at=at, files=files)
        )

    def pending(self) -> tuple[Request, ...]:
        return tuple(self.requests)

    def ids(self) -> frozenset[str]:
        return frozenset(each.id for each in self.requests)

    def drop(self, requests: tuple[Request, ...]) -> None:
        for each in requests:
            self.requests.remove(each)


@dataclass
class TwinReconstruction:
    """Raw files and outputs as sets of numbers."""

    files: frozenset[int]
    outputs: dict[int, set[int]] = field(default_factory=dict)
    prepared: list[int] = field(default_factory=list)
    stages: list[Stage] = field(default_factory=list)
    rejected: list[int] = field(default_factory=list)
    missing: frozenset[int] = frozenset()
    disk_is_full: bool = False
    nearly_full: str = ""
    made_by: str = "recipe"
    skipped: Mapping[int, int] = field(default_factory=dict)
    met_full_disk_files: set[int] = field(default_factory=set)
    """Raw files whose jobs say that the disk was full."""

    def check_inputs(self) -> None:
        if self.missing:
            raise InputError(f"raw files {sorted(self.missing)} are not there", "bring them back")

    def prepare(self, stage: Stage) -> str:
        self.prepared.append(stage.iteration)
        self.stages.append(stage)
        self.outputs.setdefault(stage.iteration, set())
        return ""

    def crowded(self, iteration: int) -> str:
        return f"iter{iteration:02d}: {self.nearly_full}" if self.nearly_full else ""

    def mend_found(self, iteration: int, expected: str) -> str | None:
        del iteration, expected
        return None

    def mend_start(self, stage: Stage, expected: str) -> Mended | None:
        del stage, expected
        return None

    def constants_of(self, iteration: int) -> str:
        return f"iter{iteration:02d}/inputforalign.txt"

    def found_by(self, iteration: int) -> str:
        return f"iter{iteration:02d}/found/inputforalign.txt"

    def wanted(self) -> frozenset[int]:
        return self.files - set(self.skipped)

    def delivered(self, iteration: int) -> frozenset[int]:
        left_out = {number for number, first in self.skipped.items() if iteration >= first}
        return frozenset(self.outputs.get(iteration, ())) - left_out

    def without(self, skipped: Mapping[int, int]) -> TwinReconstruction:
        self.skipped = skipped
        return self

    def reject(self, iteration: int, number: int) -> None:
        self.outputs[iteration].discard(number)
        self.rejected.append(number)

    def batch(
        self,
        stage: Stage,
        key: str,
        numbers: Collection[int],
        memory_mb: Mapping[int, int],
        avoid_machines: Collection[str],
    ) -> Batch:
        jobs = tuple(
            Job(
                number,
                ("--file", str(number)),
                f"{number}.root",
                memory_mb=memory_mb.get(number),
            )
            for number in sorted(numbers)
        )
        here = Path(f"iter{stage.iteration:02d}")
        return Batch(
            key, here, here / "job.sh", (), here, jobs, avoid_machines=tuple(avoid_machines)
        )

    def recipe(self, iteration: int) -> str:
        del iteration
        return self.made_by

    def check_room(self) -> None:
        if self.disk_is_full:
            full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            raise TransientError("the disk is full", 30.0) from full

    def met_full_disk(self, iteration: int, problem: Problem, *, was_full: bool) -> bool:
        del iteration
        return was_full or self.disk_is_full or problem.number in self.met_full_disk_files

    def evidence(self, iteration: int, problem: Problem) -> str:
        return f"iteration {iteration}, file {problem.number}: {problem.reason}"


@dataclass
class TwinMillepede:
    """Converts and solves at once; `bad` are the outputs that cannot be converted."""

    bad: set[int] = field(default_factory=set)
    refusal: str | None = None
    refusals: dict[int, str] = field(default_factory=dict)
    """By iteration."""
    script: list[SolutionSummary] = field(default_factory=list)
    """What each iteration finds, the last again and again; none: of `max_pulls`."""
    missing: str | None = None
    solved: list[tuple[int, frozenset[int]]] = field(default_factory=list)
    max_pulls: list[float] = field(default_factory=lambda: [10.0])
    seen: dict[int, dict[int, Response]] = field(default_factory=dict)
    """By iteration: what its files show of the constants before."""
    stopped: bool = False

    def check(self) -> None:
        if self.missing is not None:
            raise InputError(self.missing, "install it")

    def convert(self, stage: Stage, numbers: Collection[int]) -> Conversion:
        del stage
        refused = self.bad & set(numbers)
        return Conversion(frozenset(numbers) - refused, 0, dict.fromkeys(refused, "no tracks"))

    def responses(self, stage: Stage, numbers: Collection[int]) -> Mapping[int, Response]:
        seen = self.seen.get(stage.iteration, {})
        return {number: each for number, each in seen.items() if number in numbers}

    def solve(self, stage: Stage, numbers: Collection[int]) -> SolutionSummary | None:
        refusal = self.refusals.get(stage.iteration, self.refusal)
        if refusal is not None:
            raise PhysicsError(refusal, "look at millepede.log")
        self.solved.append((stage.iteration, frozenset(numbers)))
        if self.script:
            return self.script[min(stage.iteration, len(self.script)) - 1]
        pull = self.max_pulls[min(stage.iteration, len(self.max_pulls)) - 1]
        return SolutionSummary(
            tracks=1000,
            chi2_ndf=1.0,
            max_shift_um=5.0,
            max_rotation_mrad=0.1,
            max_pull=pull,
            pulls={"layer ry": pull},
        )

    def seal(self, snapshot: Snapshot, record: IterationRecord) -> str:
        before = snapshot.history[-1].manifest if snapshot.history else ""
        return digest(f"{before}{record.iteration}".encode())

    def report(self) -> None:
        """There is nothing to show."""

    def finish(self, should_stop: Callable[[], bool]) -> None:
        del should_stop

    def watch(self) -> Iterable[int]:
        return ()

    def stop(self) -> None:
        self.stopped = True
