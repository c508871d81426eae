"""One submission on a schedd: how it stands, what it left, and what is done with its jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from auto_iter.alignment.model import Problem, Resources, Tally, Trouble
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ends import Ends
from auto_iter.batch.htcondor.events import EventLog, SincePoll
from auto_iter.batch.htcondor.fetch import Sandboxes
from auto_iter.batch.htcondor.queued import Queue, Sight
from auto_iter.batch.htcondor.schedd.protocol import Jobs, QueueCounts
from auto_iter.batch.htcondor.unmatched import Unmatched
from auto_iter.config.batch import HTCondor

LOOKS_AT_MOST = 3
"""How often a poll looks at a queue that changes while it is looked at."""

AFTER_ACTION_S = 30.0
"""For so long after jobs were released or removed, every poll asks the schedd."""


class Polls:
    """When the schedd was asked about a cluster, and when it is to be asked again."""

    def __init__(self, interval_s: float, now: Callable[[], float]) -> None:
        self._interval_s = interval_s
        self._now = now
        self._is_urgent = False
        self._acted_at: float | None = None
        self.last: float | None = None

    def is_due(self) -> bool:
        """Tell whether the last answer is too old, or there is a reason to ask."""
        now = self._now()
        if self.last is None or self._is_urgent:
            return True
        if self._acted_at is not None and now - self._acted_at < AFTER_ACTION_S:
            return True
        return now - self.last >= self._interval_s

    def hurry(self) -> None:
        """Make the next poll due."""
        self._is_urgent = True

    def note_action(self) -> None:
        """Note that jobs were changed: what the schedd makes of it is wanted soon."""
        self._acted_at = self._now()

    def note_poll(self) -> None:
        """Note that the schedd has just answered."""
        self.last, self._is_urgent = self._now(), False


class Cluster:
    """One submission. `numbers` and `event_log` are known where this process submitted it."""

    def __init__(
        self,
        jobs: Jobs,
        config: HTCondor,
        now: Callable[[], float],
        *,
        numbers: frozenset[int] | None = None,
        event_log: Path | None = None,
    ) -> None:
        self._jobs = jobs
        self._now = now
        self._interval_s = config.min_poll_interval_s
        self._polls = Polls(self._interval_s, now)
        self._queue = Queue(jobs, config, now)
        self._unmatched = Unmatched(jobs, now)
        self._ends = Ends(jobs, now, numbers or frozenset())
        self._sandboxes = Sandboxes(jobs, self._ends)
        self._log = None if event_log is None else self._followed(event_log)
        self._may_have_log = numbers is None and not config.spool

    def poll(self) -> Tally:
        """Return how the cluster stands: one summary, and ads only of what needs a look.

        The daemon also steps when a conversion has ended. The schedd is not asked each time: before
        the minimum interval is over, the last answer holds, unless there is a reason to ask.
        """
        seen = self._queue.seen
        if seen is not None and not self._polls.is_due():
            return self._tally(seen, self._log.shown(seen.counts) if self._log else seen.counts)
        self._look_for_log()
        seen = self._look()
        self._unmatched.look(seen.counts.idle)
        if any(each.trouble is Trouble.FAILED for each in self._problems(seen)):
            self._queue.ask_where_jobs_run()
        tally = self._tally(seen, seen.counts)
        self._polls.note_poll()
        if self._log is not None:
            self._log.begin(tally.ended)
        return tally

    def fetch(self) -> None:
        """Bring home the files of completed jobs; direct ones have delivered by themselves."""
        self._sandboxes.fetch(self._queue.seen)

    def has_news(self) -> bool:
        """Tell from the event log, where there is one, whether a poll would show a change."""
        seen = self._queue.seen
        if self._log is None or seen is None or self._polls.last is None:
            return False
        now = self._now()
        is_worth_it = self._log.asks_for_poll(self._polls.last, now)
        if is_worth_it:
            self._polls.hurry()
        return self._log.has_moved(seen.counts, now) or is_worth_it

    def release(self, numbers: Collection[int], resources: Resources | None = None) -> None:
        """Let held jobs run again, with more memory or disk when given."""
        if not numbers:
            return
        which = f"JobStatus == {ads.HELD} && {ads.among(numbers)}"
        if resources is not None and resources.memory_mb is not None:
            self._jobs.edit(which, "RequestMemory", resources.memory_mb)
        if resources is not None and resources.disk_mb is not None:
            self._jobs.edit(which, "RequestDisk", resources.disk_mb * 1024)
        self._jobs.act("release", "trying again", which)
        self._polls.note_action()

    def remove(self, reason: str, numbers: Collection[int] | None = None) -> None:
        """Remove jobs from the queue, with their processes and files."""
        which = None
        if numbers is not None:
            if not numbers:
                return
            # What has completed is no job any more, but its output may still be wanted.
            which = f"{ads.among(numbers)} && JobStatus != {ads.COMPLETED}"
        self._jobs.act("remove", reason, which)
        self._polls.note_action()

    def retire(self) -> None:
        """Clear completed jobs out of the queue; what runs or is held stays."""
        self._jobs.act("remove", "its files are home", f"JobStatus == {ads.COMPLETED}")

    def _look(self) -> Sight:
        """Ask until the queue says the same twice.

        Between two calls jobs move on. What does not change meanwhile was seen right; a job that
        ended badly is never taken for one that ended well.
        """
        for _ in range(LOOKS_AT_MOST):
            before, seen = self._queue.seen, self._queue.look()
            self._ends.learn(self._gone(seen))
            if before is not None and seen.counts == before.counts:
                break
        return seen

    def _gone(self, seen: Sight) -> int:
        return self._jobs.submission.jobs - seen.counts.total - seen.waiting

    def _tally(self, seen: Sight, counts: QueueCounts) -> Tally:
        gone = self._gone(seen)
        return Tally(
            idle=counts.idle + seen.waiting,
            # A removed job leaves the queue when its machine has confirmed its end. Until then it
            # may still run, for as long as the machine cannot be reached.
            running=counts.running + counts.removed,
            held=counts.held,
            ended=counts.completed + self._ends.known(gone),
            unknown=self._ends.missing(gone),
            problems=self._problems(seen),
            proven_machines=frozenset(self._ends.proven),
            busy_machines=self._queue.busy,
            unmatched=self._unmatched.words,
        )

    def _problems(self, seen: Sight) -> tuple[Problem, ...]:
        # What was fetched, or left the queue, since the queue was asked has ended for good.
        queued = {each.number: each for each in seen.problems if each.number not in self._ends}
        known = {**self._ends.problems, **queued, **self._sandboxes.unfetchable}
        return tuple(known[number] for number in sorted(known))

    def _look_for_log(self) -> None:
        """After a restart, ask once where the cluster's event log is."""
        if not self._may_have_log:
            return
        found = self._jobs.query(None, ads.CLUSTER, limit=1)
        if found and "DAGManNodesLog" in found[0]:
            self._log = self._followed(Path(str(found[0]["DAGManNodesLog"])))
        self._may_have_log = False

    def _followed(self, event_log: Path) -> SincePoll:
        return SincePoll(EventLog(event_log), self._jobs.submission.jobs, self._interval_s)
