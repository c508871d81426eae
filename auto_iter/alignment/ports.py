"""What the state machine needs from the world, as protocols. The adapters implement them.

`batch/local/` and `batch/htcondor/` are batch systems; `iteration/` has the workspace's side of an
iteration's jobs, and runs the Mille/pede chain in child processes. Tests hand in small in-memory
twins.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.arrival import Response
from auto_iter.alignment.model import Batch, Problem, Remedy, Resources, Stage, Submission, Tally
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary


class BatchSystem(Protocol):
    """Where jobs run. One object serves all submissions of a workspace.

    Every method may raise `TransientError` (try again later) or `PermanentError`; none blocks for
    longer than a stated time limit; all are idempotent. Each is a subclass: what has a body here is
    right for one whose jobs do without.
    """

    name: str

    def new_key(self, iteration: int, attempt: int) -> str:
        """Return the submission key of an attempt: always the same one.

        So what was submitted is found again even by a daemon whose checkpoint does not know of it.
        """
        ...

    def find(self, key: str) -> Submission | None:
        """Return what was submitted under `key`, or None when certainly nothing was.

        Raises TransientError when that cannot be told. What can never run (never got its input) is
        removed, and None returned.
        """
        ...

    def limits(self) -> tuple[int | None, int | None]:
        """Return how many jobs may be in a submission, and in the queue, as far as is known."""
        return None, None

    def submit(self, batch: Batch) -> Submission:
        """Submit all jobs of `batch` under its key, all or none.

        Raises LimitError when they are too many.
        """
        ...

    def poll(self, submission: Submission) -> Tally:
        """Return how the submission stands; cost O(1) + O(problems)."""
        ...

    def fetch(self, submission: Submission) -> None:
        """Bring home what finished jobs left with the batch system (outputs, logs)."""
        del submission

    def remedy(self, problem: Problem, releases: int) -> Remedy:
        """Return what to do about a held job that was released `releases` times before.

        Also about one that the site removed (`EXPIRED`, `OVERRAN`): what a next one needs.
        """
        ...

    def release(
        self, submission: Submission, numbers: Collection[int], resources: Resources | None = None
    ) -> None:
        """Let held jobs run again, with other resources when given."""
        ...

    def remove(
        self, submission: Submission, reason: str, numbers: Collection[int] | None = None
    ) -> None:
        """End jobs for good, whole process trees; all of the submission when `numbers` is None."""
        ...

    def retire(self, submission: Submission) -> None:
        """Drop what the batch system still keeps of a submission that is over and safely home."""
        del submission

    def watch(self, submissions: Collection[Submission]) -> Iterable[int]:
        """File descriptors that become readable when a job ends; empty when there are none.

        They belong to the batch system and stay valid until the next call.
        """
        del submissions
        return ()

    def has_news(self, submissions: Collection[Submission]) -> bool:
        """Tell cheaply, without asking the schedd, whether a poll would show a change."""
        del submissions
        return False


@dataclass(frozen=True)
class Mended:
    """Constants of a running iteration that were damaged, at `path`, and are whole again.

    `suspects`: raw files whose outputs may have been made with the damaged ones.
    """

    path: str
    suspects: frozenset[int] = frozenset()


class Reconstruction(Protocol):
    """The workspace's side of reconstruction: raw files in, `2kfalignment` files out."""

    def check_inputs(self) -> None:
        """Raise InputError when raw files, scripts or starting constants are not there."""
        ...

    def prepare(self, stage: Stage) -> str:
        """Make `iterNN/` with constants, job script, env script and submit description.

        Returns the hash of the constants.
        """
        ...

    def crowded(self, iteration: int) -> str:
        """Return in words which directories take few more files; "" where all have room."""
        ...

    def mend_found(self, iteration: int, expected: str) -> str | None:
        """See that the constants that `iteration` found are still those with the hash `expected`.

        Returns their path when they were damaged and are whole again, None when all was well.
        Raises LostConstantsError when nothing at hand has them.
        """
        ...

    def mend_start(self, stage: Stage, expected: str) -> Mended | None:
        """See likewise that the constants are that an iteration reconstructs with."""
        ...

    def constants_of(self, iteration: int) -> str:
        """Where, in the workspace, the constants are that `iteration` starts from."""
        ...

    def found_by(self, iteration: int) -> str:
        """Where, in the workspace, the constants are that `iteration` found."""
        ...

    def wanted(self) -> frozenset[int]:
        """Raw-file numbers that an iteration reconstructs."""
        ...

    def delivered(self, iteration: int) -> frozenset[int]:
        """Raw-file numbers whose output lies in `2kfalignment`."""
        ...

    def reject(self, iteration: int, number: int) -> None:
        """Set a bad output aside so that its file counts as outstanding again."""
        ...

    def without(self, skipped: Mapping[int, int]) -> Reconstruction:
        """Return the same, leaving out raw files from an iteration on: number → that iteration."""
        ...

    def batch(
        self,
        stage: Stage,
        key: str,
        numbers: Collection[int],
        memory_mb: Mapping[int, int],
        avoid_machines: Collection[str],
    ) -> Batch:
        """Return the batch that reconstructs `numbers`.

        `memory_mb` is what some raw files need when that is more than the configuration's.
        """
        ...

    def recipe(self, iteration: int) -> str:
        """Return the hash of all that an iteration's jobs are made of, as it lies there now.

        But for the raw file, the constants, and what is learned on the way (memory, machines): the
        same in all iterations as long as nobody changes the configuration.
        """
        ...

    def check_room(self) -> None:
        """Raise TransientError when the workspace's disk takes no more files."""
        ...

    def met_full_disk(self, iteration: int, problem: Problem, *, was_full: bool) -> bool:
        """Tell whether a job failed because our own disk is, or was, full: no fault of its own.

        `was_full`: another job is known to have met a full disk while this one was there.
        """
        ...

    def evidence(self, iteration: int, problem: Problem) -> str:
        """Return the end of a job's error log, with the meaning of its exit code."""
        ...


@dataclass(frozen=True)
class Conversion:
    """How the conversion of an iteration's files stands."""

    converted: frozenset[int] = frozenset()
    pending: int = 0
    bad: Mapping[int, str] = field(default_factory=dict)


class MillepedeChain(Protocol):
    """The Mille/pede chain. Works in child processes: each call returns at once."""

    def check(self) -> None:
        """Raise PermanentError when the strategy or a pede that is requested is not there."""
        ...

    def convert(self, stage: Stage, numbers: Collection[int]) -> Conversion:
        """Start converting what is not converted yet, and tell how far it is."""
        ...

    def responses(self, stage: Stage, numbers: Collection[int]) -> Mapping[int, Response]:
        """Return what converted files show of the constants that they were made with, by number.

        Only of files that the iteration before has, too; of none in the first.
        """
        ...

    def solve(self, stage: Stage, numbers: Collection[int]) -> SolutionSummary | None:
        """Start or continue the solving of an iteration; None while it runs.

        Raises OutdatedError when files have to be converted again first, PhysicsError when pede or
        the numbers say no.
        """
        ...

    def seal(self, snapshot: Snapshot, record: IterationRecord) -> str:
        """Write down what a finished iteration was made of; return the hash of that manifest.

        May be repeated. `snapshot`: its history ends with the iteration before.
        """
        ...

    def report(self) -> None:
        """Refresh tables and plots with all that is there."""
        ...

    def finish(self, should_stop: Callable[[], bool]) -> None:
        """Make the report of what is there now, and wait for it, unless somebody asks to stop."""
        ...

    def watch(self) -> Iterable[int]:
        """File descriptors that become readable when a child process ends."""
        ...

    def stop(self) -> None:
        """End the child processes; nothing that they left is half-written."""
        ...


class Credentials(Protocol):
    """Who we are to file systems and schedd, and for how long."""

    @property
    def is_needed(self) -> bool:
        """Whether files or jobs of this alignment cannot be reached without."""
        ...

    def lapsed(self, now: float) -> str | None:
        """Return why nothing can be done in our name just now; None where it can, or may."""
        ...

    def warning(self, now: float, needed_until: float | None) -> str | None:
        """Return what a person should know before it is too late; None when all is well."""
        ...
