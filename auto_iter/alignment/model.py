"""The values that pass between the parts: jobs, batches, submissions, tallies.

Plain frozen dataclasses; nothing here does I/O. What goes into the checkpoint is in `snapshot`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path


@dataclass(frozen=True)
class Stage:
    """Where an alignment is: its iteration, the phase (index from 0), the iteration within it.

    `iteration` and `within` count from 1.
    """

    iteration: int
    phase: int = 0
    within: int = 1


@dataclass(frozen=True)
class Resources:
    """What one job may use. `None` leaves it to the batch system."""

    cpus: int = 1
    memory_mb: int | None = None
    disk_mb: int | None = None
    time_limit_s: float | None = None


@dataclass(frozen=True)
class Job:
    """The reconstruction of one raw file.

    `number` (the raw-file number, at most five digits) names the job within its batch: its logs
    are `logs/reco_<number, 5 digits>.{out,err,log}`. `output` is the name of the file that the job
    script leaves in its sandbox, or delivers into `Batch.deliver_to`. `directory` is the job's own
    directory, relative to `Batch.directory`: the local system's sandbox, elsewhere the place where
    fetched files land. `memory_mb`, `time_s`: what this one needs when the batch's is not enough.
    """

    number: int
    arguments: tuple[str, ...]
    output: str
    directory: str = ""
    memory_mb: int | None = None
    time_s: float | None = None


@dataclass(frozen=True)
class Batch:
    """What one submission holds: one job for each raw file still outstanding.

    `directory` is the iteration's `1reco`: the submit description, `logs/` and the relative paths
    of jobs live there. `inputs` are files that every job needs in its sandbox. A job that shares a
    file system with us delivers by itself when given `--deliver <deliver_to>`; otherwise the batch
    system moves `Job.output` there.
    """

    key: str
    directory: Path
    executable: Path
    inputs: tuple[Path, ...]
    deliver_to: Path
    jobs: tuple[Job, ...]
    resources: Resources = field(default_factory=Resources)
    avoid_machines: tuple[str, ...] = ()


@dataclass(frozen=True)
class Submission:
    """One cluster: what a batch system made of a batch. Small, and enough to find it again."""

    key: str
    cluster: str
    jobs: int
    submitted_at: float
    schedd: str | None = None


class Trouble(StrEnum):
    """Why a job is neither idle, running nor well ended."""

    HELD = "held"
    FAILED = "failed"
    REMOVED = "removed"
    LOST = "lost"
    EXPIRED = "held for too long"
    """Removed by the site because it had been held for so long; `code` is the hold's."""
    OVERRAN = "time limit"
    """Removed by the site because it ran for longer than it may."""


@dataclass(frozen=True)
class Problem:
    """One job that needs attention; `code`, `subcode`: of a hold, the batch system's own.

    `since`: when it was held (seconds since the epoch). `limit_s`: the time that it was given.
    """

    number: int
    trouble: Trouble
    reason: str
    code: int | None = None
    subcode: int | None = None
    exit_code: int | None = None
    signal: int | None = None
    machine: str | None = None
    job_id: str = ""
    memory_mb: int | None = None
    since: float | None = None
    limit_s: float | None = None


class Action(StrEnum):
    """What is done with a held job."""

    RELEASE = "release"
    MORE_MEMORY = "release with more memory"
    MORE_TIME = "resubmit with more time"
    ELSEWHERE = "resubmit elsewhere"
    GIVE_UP = "give up"
    LEAVE = "leave"


@dataclass(frozen=True)
class Remedy:
    """What to do about one held job, and the words for the log.

    `pause_s`: how long the job has to have been held before `action` is taken. `memory_mb`: the
    new request, only with `MORE_MEMORY`. `needs_room`: a disk was full; where it
    is our own, and still is, the job would be held again. `time_s`: only with `MORE_TIME`.
    `removed_after_s`: so long after it was held the site removes the job.
    """

    action: Action
    meaning: str
    advice: str = ""
    pause_s: float = 0.0
    memory_mb: int | None = None
    needs_room: bool = False
    time_s: float | None = None
    removed_after_s: float | None = None


@dataclass(frozen=True)
class Tally:
    """How a submission stands. `ended`: jobs that will not run again, however they ended.

    `unknown`: jobs that are, for the moment, nowhere to be found. `proven_machines`: where jobs are
    known to have ended well; `busy_machines`: where some run, also of others. `unmatched`: in
    words, that no machine takes idle jobs, why, and what to do. Not every batch system says.
    `age_s`: how old that is already (s).
    """

    idle: int = 0
    running: int = 0
    held: int = 0
    ended: int = 0
    unknown: int = 0
    problems: tuple[Problem, ...] = ()
    proven_machines: frozenset[str] = field(default=frozenset(), compare=False)
    busy_machines: frozenset[str] = field(default=frozenset(), compare=False)
    unmatched: str = ""
    age_s: float = field(default=0.0, compare=False)

    @property
    def is_over(self) -> bool:
        """Nothing will change any more unless somebody acts."""
        return self.left == 0

    @property
    def left(self) -> int:
        """Jobs that may still run."""
        return self.idle + self.running + self.held + self.unknown
