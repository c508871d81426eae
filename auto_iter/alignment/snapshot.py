"""What the checkpoint holds: all that the daemon has to remember, and nothing else.

Small whatever the number of raw files: sets of files are read off the workspace (which outputs are
there), and only exceptions - files that failed, were released, are missing - are listed here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import AliasChoices, Field, model_validator

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.attempt import Attempt, Intent, Record
from auto_iter.alignment.event import Notices
from auto_iter.alignment.figures import jobs_in_words
from auto_iter.alignment.history import ByHand, Divergence, IterationRecord, Origin, Rollback
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.model import Stage
from auto_iter.alignment.requests import Pause
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.errors import Hindrance


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
    unmatched: str = ""
    """In words, that no machine takes idle jobs, where the batch system knows."""

    @property
    def jobs_in_words(self) -> str:
        """Return how the jobs stand, for people."""
        return jobs_in_words(vars(self))


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
    kind: Hindrance = Hindrance.OTHER


class DagRun(Record):
    """The DAG that an alignment was handed to, and its submission: the key is written down first.

    `cluster` is None until, and unless, we submitted it ourselves.
    """

    key: str
    cluster: int | None = None
    submitted_at: float | None = None

    @model_validator(mode="before")
    @classmethod
    def _without_number(cls, value: Any) -> Any:
        """Take checkpoints that had, beside the key, the number that is in it."""
        if not isinstance(value, dict):
            return value
        return {key: content for key, content in value.items() if key != "number"}


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
    skipped: dict[int, int] = Field(default_factory=dict)
    """Raw files that were left out later, and the first iteration without each."""
    lost: tuple[int, ...] = ()
    """Those of them that no person left out: an iteration did without (`reco.lost_files`)."""
    paused: Pause | None = None
    """A person wants nothing new begun: neither submissions nor iterations."""
    ticket_warning: str | None = None
    """What a person should know of the Kerberos ticket before it is too late."""
    crowded: str = ""
    """In words, which directories take few more files: looked at where an iteration begins."""
    taken: tuple[str, ...] = ()
    """Requests that are worked in, of those whose files may still be there."""
    intent: Intent | None = None
    attempts: tuple[Attempt, ...] = ()
    attempts_before: int = 0
    """No attempt has a number up to this: those belong to iterations that were set aside."""
    portion_limit: int | None = None
    """Jobs in one submission at most, as the batch system let us know."""
    queue_limit: int | None = None
    """Our jobs in the queue at most, likewise, in this iteration."""
    submitted_up_to: int | None = None
    """Where raw files are submitted in portions: the last one of this round so far."""
    proven: str | None = None
    """The recipe that the last output was made by that could be read; None: not known."""
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
    time_s: dict[int, float] = Field(default_factory=dict)
    """The time that raw files get which ran into their limit; likewise."""
    held_limit_s: float | None = None
    """So long after they were held the site removes jobs."""
    avoid_machines: tuple[str, ...] = ()
    quantile_at: float | None = None
    """When the straggler quantile of this iteration's files was in."""
    rerun: Literal["no", "wanted", "made"] = "no"
    """Whether this iteration's stragglers are run a second time."""
    progress: Progress = Field(default_factory=Progress)
    made_again: str = ""
    """In words, where it is not the first time that this iteration is made; for its history."""
    remarks: tuple[str, ...] = ()
    """What this iteration's tracks give reason to warn of, on its way into the history."""
    divergence: Divergence | None = None
    """That it must not go on from this iteration: it is recorded, and is the last."""
    solution: SolutionSummary | None = None
    by_hand: ByHand | None = None
    """Where that solution came from, until it is in the history."""
    rollback: Rollback | None = None
    origin: Origin | None = None
    """Where the constants came from that a branch began with."""
    settled: bool = Field(default=False, validation_alias=AliasChoices("settled", "converged"))
    """It is done because of its verdict: only a person who asks for more iterations goes on."""
    verdict: Verdict | None = None
    history: tuple[IterationRecord, ...] = ()
    failure: Failure | None = None
    hindrance: Obstacle | None = None
    notices: Notices = Field(default_factory=Notices)
    """What people were told of it, and still have to be."""
    dags: int = 0
    """How many DAGs it was handed to: no key is ever used again."""
    dag: DagRun | None = None
    """Where DAGMan runs the alignment, or ran it last and no daemon has taken it over since."""

    def but(self, **changes: Any) -> Snapshot:
        """Return a validated copy with some fields changed."""
        return self.model_validate({**vars(self), **changes})

    def but_attempts(self, keys: Collection[str], **changes: Any) -> Snapshot:
        """Return it with some fields changed of the submissions that have these keys."""
        attempts = tuple(
            each.model_copy(update=changes) if each.key in keys else each for each in self.attempts
        )
        return self.but(attempts=attempts)

    def all_ended_by_us(self) -> Snapshot:
        """Return it with all submissions that are not over marked as told to end."""
        return self.but_attempts([each.key for each in self.live_attempts], is_ended_by_us=True)

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
    def result(self) -> IterationRecord | None:
        """The iteration whose constants count: the verdict's, or the last; None: there is none.

        An alignment that got worse from its beginning has none: those that it began with count.
        """
        found_by = None if self.verdict is None else self.verdict.found_by
        known = [each for each in self.history if found_by in {None, each.iteration}]
        return known[-1] if known else None

    @property
    def canary(self) -> int | None:
        """The raw file that is being tried before all others, if one is."""
        last = self.attempts[-1] if self.attempts else None
        is_tried = last is not None and last.is_canary and last.recipe != self.proven
        return last.first if last is not None and is_tried else None

    @property
    def begun(self) -> Attempt | None:
        """The iteration's first submission; a canary tells nothing of the pace of its jobs."""
        return next((each for each in self.attempts if not each.is_canary), None)

    @property
    def live_attempts(self) -> tuple[Attempt, ...]:
        """Submissions of which jobs may still run."""
        return tuple(attempt for attempt in self.attempts if not attempt.is_over)
