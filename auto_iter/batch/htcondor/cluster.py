"""One submission on a schedd: how it stands, what it left, and what is done with its jobs."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

from auto_iter.alignment.model import Problem, Resources, Tally, Trouble
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ends import Ends
from auto_iter.batch.htcondor.events import EventLog, SincePoll
from auto_iter.batch.htcondor.fetch import Sandboxes
from auto_iter.batch.htcondor.polls import Polls
from auto_iter.batch.htcondor.queued import Queue, Sight
from auto_iter.batch.htcondor.schedd.protocol import Jobs, QueueCounts
from auto_iter.batch.htcondor.shared import SharedPolls
from auto_iter.batch.htcondor.unmatched import Unmatched
from auto_iter.config.batch import HTCondor

LOOKS_AT_MOST = 3
"""How often a poll looks at a queue that changes while it is looked at."""


class Cluster:
    """One submission. `numbers` and `event_log` are known where this process submitted it."""

    def __init__(  # noqa: PLR0913 - what is known of it beforehand, or is not
        self,
        jobs: Jobs,
        config: HTCondor,
        now: Callable[[], float],
        *,
        numbers: frozenset[int] | None = None,
        event_log: Path | None = None,
        shared: SharedPolls | None = None,
    ) -> None:
        self._jobs = jobs
        self._now = now
        self._shared = shared
        self._was_told_at: float | None = None
        self._config = config
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
        told = self._told()
        seen = self._queue.seen
        if seen is not None and not self._polls.is_due():
            return self._tally(seen, self._log.shown(seen.counts) if self._log else seen.counts)
        self._look_for_log()
        seen = self._look(told)
        self._unmatched.look(seen.counts.idle)
        if any(each.trouble is Trouble.FAILED for each in self._problems(seen)):
            self._queue.ask_where_jobs_run()
        self._polls.note_poll()
        tally = self._tally(seen, seen.counts)
        if self._log is not None:
            self._log.begin(tally.ended)
        return tally

    def fetch(self) -> None:
        """Bring home the files of completed jobs; direct ones have delivered by themselves."""
        seen = self._queue.seen
        has_any = seen is None or seen.counts.completed or self._ends.undelivered
        with self._polls.changing() if has_any else nullcontext():
            self._sandboxes.fetch(seen)

    def has_news(self) -> bool:
        """Tell whether a poll would show a change, by the event log, or would cost nothing.

        The latter where others were told: so who waits is due together from then on.
        """
        seen = self._queue.seen
        if seen is None or self._polls.last is None:
            return False
        has_heard = self._has_heard_nothing_new(seen)
        if self._log is None:
            return has_heard
        now = self._now()
        is_worth_it = self._log.asks_for_poll(self._polls.last, now)
        if is_worth_it:
            self._polls.hurry()
        return self._log.has_moved(seen.counts, now) or is_worth_it or has_heard

    def release(self, numbers: Collection[int], resources: Resources | None = None) -> None:
        """Let held jobs run again, with more memory or disk when given."""
        if not numbers:
            return
        which = f"JobStatus == {ads.HELD} && {ads.among(numbers)}"
        with self._polls.changing():
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
        with self._polls.changing():
            self._jobs.act("remove", reason, which)
        self._polls.note_action()

    def retire(self) -> None:
        """Clear completed jobs out of the queue; what runs or is held stays."""
        with self._polls.changing():
            self._jobs.act("remove", "its files are home", f"JobStatus == {ads.COMPLETED}")

    def _told(self) -> QueueCounts | None:
        """Ask others what they were told, where we would ask the schedd; None for nothing.

        That no job has ended or was held since we looked is taken as it is: a wrong answer would
        have us look later than we should. Whatever else it says, a look of our own begins with it.
        """
        shared, seen = self._heard, self._queue.seen
        if shared is None or seen is None:
            return None
        told = shared.told(self._jobs.submission, self._polls.is_news)
        if told is None or told.counts.completed:
            return None  # some may be home already: only our own question can tell
        if not self._says_nothing_new(told.counts, seen):
            return told.counts if told.counts != seen.counts else None
        self._unmatched.look(told.counts.idle)
        if self._log is None:  # else it knows better who runs
            self._queue.seen = replace(seen, counts=told.counts)
        self._polls.note_hearing(told.asked_at)
        return None

    @property
    def _heard(self) -> SharedPolls | None:
        """What others were told, where we would ask the schedd and their answer may do."""
        # Of jobs that do not exist yet, one may have come for each that has ended.
        may_do = self._config.max_idle is None and self._polls.may_hear()
        return self._shared if may_do and self._polls.is_due() else None

    def _says_nothing_new(self, counts: QueueCounts, seen: Sight) -> bool:
        """Tell whether the same jobs as when we looked are there, and only wait and run."""
        if self._ends.missing(self._gone(seen)) or (self._log and self._log.knows_of_more_ends()):
            return False
        return all(_only_waits_and_runs(each, seen.counts.total) for each in (counts, seen.counts))

    def _has_heard_nothing_new(self, seen: Sight) -> bool:
        """Tell, once, that a poll would cost the schedd nothing now."""
        shared = self._heard
        if shared is None:
            return False
        within_s = self._interval_s / 4
        told = shared.news_of(self._jobs.submission, self._polls.is_news, within_s)
        if told is None or told.asked_at == self._was_told_at:
            return False
        self._was_told_at = told.asked_at  # once: not every state polls
        return self._says_nothing_new(told.counts, seen)

    def _look(self, told: QueueCounts | None) -> Sight:
        """Ask until the queue says the same twice; the first time perhaps others were `told`.

        Between two calls jobs move on. What does not change meanwhile was seen right; a job that
        ended badly is never taken for one that ended well.
        """
        if told is not None:
            self._ends.learn(self._gone(self._queue.look(told)))
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
            age_s=self._age_s(),
        )

    def _age_s(self) -> float:
        """Return how old what we know is; an event log that tells anything is of now."""
        if self._polls.last is None or (self._log is not None and self._log.tells):
            return 0.0
        return self._now() - self._polls.last

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


def _only_waits_and_runs(counts: QueueCounts, jobs: int) -> bool:
    """Tell whether so many jobs are there, all of them idle or running."""
    others = counts.held or counts.completed or counts.removed
    return counts.total == jobs > 0 and not others and 0 <= counts.idle <= jobs
