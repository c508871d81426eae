"""What the checkpoint holds: all that the daemon has to remember, and nothing else.

Small whatever the number of raw files: sets of files are read off the workspace (which outputs are
there), and only exceptions - files that failed, were released, are missing - are listed here.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainSerializer, PlainValidator

from auto_iter.alignment.attempt import Attempt, Intent, Record
from auto_iter.alignment.model import Stage
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.config.schema import MOST_ITERATIONS
from auto_iter.errors import UsageError
from auto_iter.rawfiles import MOST_RUN, YEARS, RawRange


def _raw_range(value: object) -> RawRange:
    """Return the range itself, or the one that a checkpoint has as text."""
    if isinstance(value, RawRange):
        return value
    try:
        return RawRange.parse(str(value))
    except UsageError as error:
        raise ValueError(str(error)) from None


Files = Annotated[RawRange, PlainValidator(_raw_range), PlainSerializer(lambda files: files.text)]


class Arguments(Record):
    """What makes this alignment the one it is; a workspace never changes these but `iterations`."""

    year: int = Field(ge=YEARS[0], le=YEARS[-1])
    run: int = Field(gt=0, le=MOST_RUN)
    files: Files
    iterations: int = Field(gt=0, le=MOST_ITERATIONS)
    stations: int = Field(default=3, ge=3, le=4)


def refuse_iterations(iterations: int) -> None:
    """Raise UsageError for a number of iterations that no alignment has."""
    if iterations < 1:
        raise UsageError(f"-i {iterations}: at least one iteration is needed")
    if iterations > MOST_ITERATIONS:
        raise UsageError(f"-i {iterations}: at most {MOST_ITERATIONS} iterations")


class Progress(Record):
    """How far the current iteration's jobs are, as last seen."""

    wanted: int = 0
    delivered: int = 0
    idle: int = 0
    running: int = 0
    held: int = 0
    unknown: int = 0
    """Jobs that are, for the moment, nowhere to be found: in neither queue nor history."""
    seen_at: float | None = None
    """When the batch system was asked last."""
    expected_end: float | None = None

    @property
    def jobs_in_words(self) -> str:
        """Return how the jobs stand, for people."""
        words = f"{self.running} running, {self.idle} idle, {self.held} held"
        return f"{words}, {self.unknown} not to be found" if self.unknown else words


class IterationRecord(SolutionSummary):
    """What is kept of a finished iteration.

    `within`: its number in its phase. `converged`: no constant moved by a significant part of its
    uncertainty any more; None: not known. `ends_phase`: the next iteration begins another phase.
    """

    iteration: int
    within: int = 1
    started_at: float
    finished_at: float
    attempts: int
    files: int
    left_out: tuple[int, ...] = ()
    converged: bool | None = None
    ends_phase: bool = False
    by_hand: str | None = None
    """In words, where a person put these constants in the place of the iteration's own."""


class Verdict(Record):
    """What a finished alignment amounts to: whether it converged, and a sentence that says it."""

    converged: bool
    sentence: str


class Failure(Record):
    """Why the alignment stopped, what to do, and where it was."""

    state: str
    reason: str
    remedy: str = ""
    at: float


class Obstacle(Record):
    """What the daemon waits for to go away, and since when."""

    reason: str
    since: float


class ByHand(Record):
    """Constants that a person has accepted for the current iteration; see `acceptance`.

    Names of directories: `source`, in the iteration, becomes its `3millepede`, the one before it
    `replaced`; later iterations go to `outdated` in the workspace.
    """

    source: str
    replaced: str
    outdated: str | None = None
    words: str


class DagRun(Record):
    """The DAG that an alignment was handed to, and its submission: the key is written down first.

    `number`: how often it was. `cluster` is None until, and unless, we submitted it ourselves.
    """

    number: int
    key: str
    cluster: int | None = None
    submitted_at: float | None = None


class Snapshot(Record):
    """The alignment at one instant."""

    workspace_id: str
    arguments: Arguments
    state: str = "prepare"
    iteration: int = Field(default=1, gt=0)
    phase: int = Field(default=0, ge=0)
    phase_began: int = Field(default=1, gt=0)
    """The first iteration of the current phase."""
    strategy: str = ""
    phase_name: str = ""
    """For people: what the strategy and the current phase are called."""
    iteration_started_at: float
    constants: str = ""
    """What stands for the constants that this iteration reconstructs with."""
    excluded: tuple[int, ...] = ()
    """Raw files that were missing at the start and that `--allow-missing` leaves out."""
    intent: Intent | None = None
    attempts: tuple[Attempt, ...] = ()
    portion_limit: int | None = None
    """Jobs in one submission at most, as the batch system let us know."""
    queue_limit: int | None = None
    """Our jobs in the queue at most, likewise, in this iteration."""
    submitted_up_to: int | None = None
    """Where raw files are submitted in portions: the last one of this round so far."""
    failures: dict[int, int] = Field(default_factory=dict)
    """Failed tries in this iteration, for raw files that had any."""
    losses: dict[int, int] = Field(default_factory=dict)
    """Jobs that were lost with their machine: nobody's failure, and with a limit of their own."""
    troubles: dict[int, str] = Field(default_factory=dict)
    """What was last wrong with those raw files."""
    exit_codes: dict[int, int] = Field(default_factory=dict)
    """With what the last job of some of them ended."""
    examples: dict[int, str] = Field(default_factory=dict)
    """Of each of those exit codes, what the first job left: the next try writes over its log."""
    disk_full_at: float | None = None
    """When a job of this iteration was last known to have failed because our disk was full."""
    cause: str | None = None
    """What all jobs fail of: found, and about to end the iteration."""
    releases: dict[int, int] = Field(default_factory=dict)
    """How often a held job of a raw file was released."""
    held_since: dict[int, float] = Field(default_factory=dict)
    memory_mb: dict[int, int] = Field(default_factory=dict)
    """What raw files needed that were held for their memory; kept for the next iterations."""
    avoid_machines: tuple[str, ...] = ()
    quantile_at: float | None = None
    """When the straggler quantile of this iteration's files was in."""
    rerun: Literal["no", "wanted", "made"] = "no"
    """Whether this iteration's stragglers are run a second time."""
    progress: Progress = Field(default_factory=Progress)
    remarks: tuple[str, ...] = ()
    """What this iteration's tracks give reason to warn of, on its way into the history."""
    solution: SolutionSummary | None = None
    by_hand: ByHand | None = None
    """Where that solution came from, until it is in the history."""
    converged: bool = False
    """It is done because it converged: only a person who asks for more iterations goes on."""
    verdict: Verdict | None = None
    history: tuple[IterationRecord, ...] = ()
    failure: Failure | None = None
    hindrance: Obstacle | None = None
    dags: int = 0
    """How many DAGs it was handed to: no key is ever used again."""
    dag: DagRun | None = None
    """Where DAGMan runs the alignment, or ran it last and no daemon has taken it over since."""

    def but(self, **changes: Any) -> Snapshot:
        """Return a validated copy with some fields changed."""
        return self.model_validate({**dict(self), **changes})

    def all_ended_by_us(self) -> Snapshot:
        """Return it with all submissions that are not over marked as told to end."""
        attempts = tuple(
            each if each.is_over else each.model_copy(update={"is_ended_by_us": True})
            for each in self.attempts
        )
        return self.but(attempts=attempts)

    @property
    def dag_key(self) -> str | None:
        """The key of the DAG that the alignment was handed to, if it was."""
        return None if self.dag is None else self.dag.key

    @property
    def stage(self) -> Stage:
        """Where it is: iteration, phase, iteration within the phase."""
        return Stage(self.iteration, self.phase, self.iteration - self.phase_began + 1)

    def stage_of(self, iteration: int) -> Stage:
        """Where `iteration`, the current one or one before it, is among the phases."""
        ends = [each.iteration for each in self.history if each.ends_phase]
        before = [end for end in ends if end < iteration]
        return Stage(iteration, len(before), iteration - max(before, default=0))

    @property
    def live_attempts(self) -> tuple[Attempt, ...]:
        """Submissions of which jobs may still run."""
        return tuple(attempt for attempt in self.attempts if not attempt.is_over)
