"""What is known about one submission beyond the queue: how jobs ended that are no longer in it.

In memory only, and rebuilt from queue and history after a restart.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from auto_iter.batch.htcondor.ads import Errand
from auto_iter.batch.htcondor.events import EventLog
from auto_iter.batch.htcondor.schedd import Counts
from auto_iter.model import Problem, Tally, Trouble

LOST_AFTER_S = 300.0
"""The history may lag by minutes; a job that is in neither place for so long is lost."""


@dataclass
class Ledger:
    """One submission's jobs, as far as a summary of the queue does not tell."""

    jobs: int
    numbers: frozenset[int] | None = None
    """All raw-file numbers, when this process submitted them."""
    counts: Counts | None = None
    waiting: int = 0
    """Jobs that do not exist yet, as last asked."""
    proven: set[str] = field(default_factory=set)
    """Machines on which a job of this submission ended well."""
    busy: set[str] = field(default_factory=set)
    """Some machines on which jobs run, anybody's; asked only when jobs fail."""
    ended: dict[int, Problem | None] = field(default_factory=dict)
    """Raw file → what is wrong, of jobs that left the queue or whose files were fetched."""
    unnamed_lost: int = 0
    exceptional: tuple[Problem, ...] = ()
    """Jobs in the queue that are held or ended badly, as last asked."""
    errands: list[Errand] = field(default_factory=list)
    fetch_tries: dict[int, int] = field(default_factory=dict)
    unfetchable: dict[int, Problem] = field(default_factory=dict)
    looked_at_home: bool = False
    missing_since: float | None = None
    event_log: EventLog | None = None
    looked_for_log: bool = False
    polled_at: float | None = None
    polled_ended: int = 0
    log_complete_at: float | None = None
    logged: Counts | None = None
    """`counts`, brought up to date by the event log when the daemon last looked."""
    logged_at: float | None = None
    log_polled: int = 0
    """What the log had as begun when the schedd was asked last."""
    is_over: bool = False
    is_fetched: bool = False
    """All that was complete when the queue was last asked is home."""
    has_news: bool = False
    acted_at: float | None = None
    spooling_since: float | None = None

    def enter(self, number: int, problem: Problem | None, machine: str | None) -> None:
        """Note how a job ended, and where."""
        self.ended[number] = problem
        if problem is None and machine is not None:
            self.proven.add(machine)

    def known_gone(self, gone: int) -> int:
        """Return of how many of the `gone` jobs the end is known."""
        return min(len(self.ended) + self.unnamed_lost, gone)

    def missing(self, gone: int) -> int:
        """Return how many jobs are neither in the queue nor known to have ended."""
        return gone - self.known_gone(gone)

    def patience_is_over(self, now: float) -> bool:
        """Tell whether jobs have been missing for too long; starts the clock when they begin to."""
        if self.missing_since is None:
            self.missing_since = now
        return now - self.missing_since > LOST_AFTER_S

    def give_up(self, missing: int, present: Collection[int]) -> None:
        """Take `missing` jobs for lost; `present` are the raw files still in the queue."""
        gone = (self.numbers or frozenset()) - set(present) - set(self.ended)
        for number in sorted(gone)[:missing]:
            self.ended[number] = Problem(
                number,
                Trouble.LOST,
                f"in neither queue nor history for {LOST_AFTER_S:.0f} s",
            )
        self.unnamed_lost += max(0, missing - len(gone))
        self.missing_since = None

    def as_logged(self) -> Counts | None:
        """Return the last counts with what the event log tells of running and idle jobs since.

        A job that has ended since counts as running: how it ended is not known before the poll.
        """
        if self.counts is None or self.event_log is None:
            return self.counts
        active = self.counts.idle + self.counts.running
        more = self.event_log.begun - self.log_polled
        return replace(self.counts, idle=active - max(0, min(active, self.counts.running + more)))

    def tally(self, counts: Counts, waiting: int) -> Tally:
        """Return how the submission stands; `waiting` jobs are not materialised yet."""
        gone = self.jobs - counts.total - waiting
        return Tally(
            idle=counts.idle + waiting,
            # A removed job leaves the queue when its machine has confirmed its end. Until then it
            # may still run, for as long as the machine cannot be reached.
            running=counts.running + counts.removed,
            held=counts.held,
            ended=counts.completed + self.known_gone(gone),
            unknown=self.missing(gone),
            problems=tuple(self._problems()),
            proven_machines=frozenset(self.proven),
            busy_machines=frozenset(self.busy),
        )

    @property
    def has_failures(self) -> bool:
        """Tell whether jobs are known that ended badly by themselves."""
        return any(each.trouble is Trouble.FAILED for each in self._problems())

    def _problems(self) -> Iterable[Problem]:
        known = {number: problem for number, problem in self.ended.items() if problem is not None}
        for problem in self.exceptional:
            # What was fetched, or left the queue, since the queue was asked has ended for good.
            if problem.number not in self.ended:
                known[problem.number] = problem
        return (
            {**known, **self.unfetchable}[number] for number in sorted({*known, *self.unfetchable})
        )
