"""HTCondor as a batch system: one cluster for each submission, found again by its key.

What the design asks of exactly-once submission: a key that this process made and that was never
used is known to be new; for any other, queue and history have to say twice that it is not there.
What is not known is never taken for "not there": TransientError is raised instead.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable
from dataclasses import replace
from pathlib import Path

from auto_iter.batch.htcondor import ads, fetch
from auto_iter.batch.htcondor.events import EventLog
from auto_iter.batch.htcondor.ledger import Ledger
from auto_iter.batch.htcondor.schedd import Ad, Counts, RefusedError, Schedd
from auto_iter.config import HTCondor
from auto_iter.errors import InputError, TransientError
from auto_iter.files import write_atomically
from auto_iter.model import Batch, Problem, Resources, Submission, Tally

LOOKS = 2
LOOK_AGAIN_AFTER_S = 1.0
"""An empty answer counts when it was given twice, so far apart."""

HALF_SPOOLED_AFTER_S = 5.0
"""For about a second after its input arrived, a cluster looks as if it had not."""

INPUT_LOST_AFTER_S = 10.0
INPUT_LOST = "auto-iter: the schedd lost the input"

LOOKS_AT_MOST = 3
"""How often a poll looks at a queue that changes while it is looked at."""

OVER_CHECK_S = 0.5

SHOW_LOG_EVERY_S = 10.0
"""Running and idle jobs are counted by the event log no more often between two polls."""

REFUSALS = 3
"""So often a schedd may refuse a submission in the same words."""

CERN = ".cern.ch"
AT_CERN = (100, 500)
"""Spooled jobs in a submission, and of an owner in the queue."""

BUSY_SAMPLE = 20
"""Running jobs that are looked at for where jobs run at all."""

AFTER_ACTION_S = 30.0
"""For so long after jobs were released or removed, every poll asks the schedd."""


class HTCondorBatch:
    """Implements `ports.BatchSystem` on a schedd."""

    name = "htcondor"

    def __init__(  # noqa: PLR0913 - clock and records are what tests replace
        self,
        workspace_id: str,
        config: HTCondor,
        schedd: Schedd,
        *,
        records: Path | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._workspace_id = workspace_id
        self._config = config
        self._schedd = schedd
        self._records = records
        self._now = monotonic
        self._sleep = sleep
        self._fresh: set[str] = set()
        self._half_spooled_since: dict[str, float] = {}
        self._submitted: dict[str, Submission] = {}
        self._ledgers: dict[str, Ledger] = {}
        self._refusals: Counter[str] = Counter()
        self._site_limits: tuple[int | None, int | None] | None = None

    def new_key(self, iteration: int, attempt: int) -> str:
        """Return the key. It names the schedd: from another host the local one is another.

        One that was used already (the checkpoint that knew is lost) has to be asked for.
        """
        schedd = self._schedd.name(at=None)
        key = f"{self._workspace_id}-{iteration:02d}-{attempt:02d}@{schedd}"
        if self._records is None or not (self._records / key).exists():
            self._fresh.add(key)
        return key

    def find(self, key: str) -> Submission | None:
        """Return the cluster with this key, or None when there certainly is none.

        A cluster whose input never arrived is removed, and counts as none.
        """
        if key in self._fresh:
            return None
        if key in self._submitted:
            return self._submitted[key]
        for look in range(LOOKS):
            if look:
                self._sleep(LOOK_AGAIN_AFTER_S)
            found = self._look_up(key)
            if found is not None:
                return found
        self._make_sure_we_are_known(_schedd_in(key))
        self._fresh.add(key)
        return None

    def _make_sure_we_are_known(self, at: str | None) -> None:
        """Raise TransientError when the schedd would not let us change our jobs.

        With an expired ticket a schedd may show nothing instead of refusing: that is no answer.
        """
        self._schedd.act("release", ads.NONE, "auto-iter: are we known here?", at=at)

    def _look_up(self, key: str) -> Submission | None:
        at = _schedd_in(key)
        whole = f"{ads.with_key(key)} && !{ads.HALF_SPOOLED}"
        queued = self._schedd.query(whole, ads.CLUSTER, at=at, limit=1)
        if queued:
            return ads.submission_of(key, queued[0])
        self._remove_half_spooled(key)
        left = self._schedd.history(whole, ads.CLUSTER, at=at, limit=1)
        return ads.submission_of(key, left[0]) if left else None

    def _remove_half_spooled(self, key: str) -> None:
        half = f"{ads.with_key(key)} && {ads.HALF_SPOOLED}"
        at = _schedd_in(key)
        if not self._schedd.query(half, ("ClusterId",), at=at, limit=1):
            return
        since = self._half_spooled_since.setdefault(key, self._now())
        wait_s = since + HALF_SPOOLED_AFTER_S - self._now()
        if wait_s > 0:
            raise TransientError("the input of a cluster is on its way, or got lost", wait_s)
        self._schedd.act("remove", half, "auto-iter: its input never arrived", at=at)
        if self._schedd.query(half, ("ClusterId",), at=at, limit=1):
            raise TransientError("a cluster without input does not go away", HALF_SPOOLED_AFTER_S)
        del self._half_spooled_since[key]

    def site_limits(self) -> tuple[int | None, int | None]:
        """Return CERN's limits for spooled jobs where the schedd is CERN's."""
        if not self._config.spool:
            return None, None
        if self._site_limits is None:
            is_cern = self._schedd.name(at=None).endswith(CERN)
            self._site_limits = AT_CERN if is_cern else (None, None)
        return self._site_limits

    def submit(self, batch: Batch) -> Submission:
        """Submit one cluster with one job for each raw file, and send its input.

        The same refusal, `REFUSALS` times, is final: InputError with the schedd's own words.
        """
        found = self.find(batch.key)
        if found is not None:
            return found
        try:
            submission = self._submit(batch, _schedd_in(batch.key))
        except RefusedError as error:
            self._refusals[str(error)] += 1
            if self._refusals[str(error)] < REFUSALS:
                raise
            raise InputError(
                str(error), "ask the site, or mend what the words name; `auto-iter resume` goes on"
            ) from None
        self._refusals.clear()
        return submission

    def _submit(self, batch: Batch, at: str | None) -> Submission:
        if self._config.spool:
            _check_readable(batch)
        event_log = None if self._config.spool else _event_log(batch)
        description, rows = ads.describe(batch, self._config, event_log)
        (batch.directory / "logs").mkdir(parents=True, exist_ok=True)
        if self._config.send_credential:
            # What is stored lives about as long as a ticket; an alignment takes days.
            self._schedd.store_credential(at=at)
        self._note_use(batch.key)
        self._fresh.discard(batch.key)
        placed = self._schedd.submit(description, rows, spool=self._config.spool, at=at)
        if self._config.spool:
            self._schedd.spool(placed)
        self._ledgers[batch.key] = Ledger(
            jobs=placed.jobs,
            numbers=frozenset(job.number for job in batch.jobs),
            event_log=None if event_log is None else EventLog(event_log),
            looked_for_log=True,
        )
        submission = Submission(
            batch.key, str(placed.cluster), placed.jobs, time.time(), schedd=at or placed.schedd
        )
        self._submitted[batch.key] = submission
        return submission

    def _note_use(self, key: str) -> None:
        """Remember, apart from the checkpoint, that a key may be in use."""
        if self._records is not None:
            self._records.mkdir(parents=True, exist_ok=True)
            write_atomically(self._records / key, "")

    def poll(self, submission: Submission) -> Tally:
        """Return how the cluster stands: one summary, and ads only of what needs a look.

        The daemon also steps when a conversion has ended. The schedd is not asked each time: before
        the minimum interval is over, the last answer holds, unless there is a reason to ask.
        """
        ledger = self._ledger(submission)
        if ledger.counts is not None and not self._is_due(ledger):
            return ledger.tally(ledger.logged or ledger.counts, ledger.waiting)
        self._look_for_log(submission, ledger)
        for _ in range(LOOKS_AT_MOST):
            # Between two calls jobs move on. What does not change meanwhile was seen right; a job
            # that ended badly is never taken for one that ended well.
            before = ledger.counts
            counts, waiting = self._look(submission, ledger)
            if counts == before:
                break
        tally = ledger.tally(counts, waiting)
        ledger.polled_at, ledger.polled_ended = self._now(), tally.ended
        ledger.is_over, ledger.has_news, ledger.logged = tally.is_over, False, None
        if ledger.event_log is not None:
            ledger.event_log.follow()
            ledger.log_polled = ledger.event_log.begun
        return tally

    def _is_due(self, ledger: Ledger) -> bool:
        now = self._now()
        if ledger.polled_at is None or ledger.has_news:
            return True
        if ledger.acted_at is not None and now - ledger.acted_at < AFTER_ACTION_S:
            return True
        return now - ledger.polled_at >= self._config.min_poll_interval_s

    def _look(self, submission: Submission, ledger: Ledger) -> tuple[Counts, int]:
        """Bring the ledger up to date; return the counts and how many jobs do not exist yet."""
        in_queue = f"{ads.of(submission)} && !{ads.HOME}"
        counts = self._schedd.count(in_queue, at=submission.schedd)
        counts = self._without_spooling(submission, ledger, counts)
        waiting = self._not_materialised(submission)
        gone = submission.jobs - counts.total - waiting
        if ledger.missing(gone):
            self._learn(submission, ledger, gone)
        if counts.held or counts != ledger.counts:
            ledger.exceptional = self._exceptional(submission, counts)
        ledger.counts, ledger.waiting, ledger.is_fetched = counts, waiting, False
        if ledger.has_failures:
            ledger.busy = self._busy(submission)
        return counts, waiting

    def _without_spooling(self, submission: Submission, ledger: Ledger, counts: Counts) -> Counts:
        """Count as idle what is only held until its input is in place."""
        if not counts.held or not self._config.spool:
            ledger.spooling_since = None
            return counts
        constraint = f"{ads.of(submission)} && {ads.SPOOLING}"
        spooling = self._schedd.count(constraint, at=submission.schedd).total
        if not spooling:
            ledger.spooling_since = None
        elif ledger.spooling_since is None:
            ledger.spooling_since = self._now()
        elif self._now() - ledger.spooling_since > INPUT_LOST_AFTER_S:
            # The schedd died before it took note of the input, and will never release these jobs.
            # None of them can have run.
            self._schedd.act("remove", constraint, INPUT_LOST, at=submission.schedd)
        return replace(counts, held=counts.held - spooling, idle=counts.idle + spooling)

    def _exceptional(self, submission: Submission, counts: Counts) -> tuple[Problem, ...]:
        if not (counts.held or counts.completed):
            return ()
        constraint = f"{ads.of(submission)} && {ads.NEEDS_A_LOOK} && !{ads.HOME}"
        found = self._schedd.query(constraint, ads.JOB, at=submission.schedd)
        return tuple(problem for ad in found if (problem := ads.problem_of(ad)) is not None)

    def _busy(self, submission: Submission) -> set[str]:
        """Return some machines on which jobs run, anybody's: the failing one may be the only."""
        found = self._schedd.query(
            "JobStatus == 2", ("RemoteHost",), at=submission.schedd, limit=BUSY_SAMPLE
        )
        return {str(ad["RemoteHost"]).rpartition("@")[2] for ad in found if "RemoteHost" in ad}

    def _not_materialised(self, submission: Submission) -> int:
        if self._config.max_idle is None:
            return 0
        next_proc = "JobMaterializeNextProcId"
        ad = self._schedd.cluster_ad(int(submission.cluster), (next_proc,), at=submission.schedd)
        return 0 if ad is None else submission.jobs - int(ad.get(next_proc, submission.jobs))

    def _learn(self, submission: Submission, ledger: Ledger, gone: int) -> None:
        """Find out how jobs ended that are not in the queue any more."""
        found: list[Ad] = []
        if not ledger.looked_at_home:
            home = f"{ads.of(submission)} && {ads.HOME}"
            found = self._schedd.query(home, ads.JOB, at=submission.schedd)
            ledger.looked_at_home = True
        self._enter(ledger, found)
        missing = ledger.missing(gone)
        if missing:
            # The latest come first, so the new ones are enough, unless the history lagged before.
            limit = missing if ledger.missing_since is None else gone
            left = self._schedd.history(
                ads.of(submission), ads.JOB, at=submission.schedd, limit=limit
            )
            self._enter(ledger, left)
        if not ledger.missing(gone):
            ledger.missing_since = None
        elif ledger.patience_is_over(self._now()):
            self._make_sure_we_are_known(submission.schedd)
            present = self._schedd.query(
                ads.of(submission), ("AutoIterRawFile",), at=submission.schedd
            )
            ledger.give_up(ledger.missing(gone), {ads.number_of(ad) for ad in present})

    def _enter(self, ledger: Ledger, found: Iterable[Ad]) -> None:
        for ad in found:
            number = ads.number_of(ad)
            if number in ledger.ended:
                continue
            ledger.enter(number, ads.problem_of(ad), ads.machine_of(ad))
            errand = ads.errand_of(ad)
            if errand is not None and ledger.ended[number] is None:
                ledger.errands.append(errand)

    def fetch(self, submission: Submission) -> None:
        """Bring home the files of completed jobs; direct ones have delivered by themselves."""
        ledger = self._ledger(submission)
        nothing_there = ledger.counts is not None and not ledger.counts.completed
        if ledger.errands or not (nothing_there or ledger.is_fetched):
            fetch.fetch(self._schedd, submission, ledger)
            ledger.is_fetched = True

    def release(
        self, submission: Submission, numbers: Collection[int], resources: Resources | None = None
    ) -> None:
        """Let held jobs run again, with more memory or disk when given."""
        if not numbers:
            return
        which = f"{ads.of(submission)} && JobStatus == {ads.HELD} && {ads.among(numbers)}"
        at = submission.schedd
        if resources is not None and resources.memory_mb is not None:
            self._schedd.edit(which, "RequestMemory", str(resources.memory_mb), at=at)
        if resources is not None and resources.disk_mb is not None:
            self._schedd.edit(which, "RequestDisk", str(resources.disk_mb * 1024), at=at)
        self._schedd.act("release", which, "auto-iter: trying again", at=at)
        self._ledger(submission).acted_at = self._now()

    def remove(
        self, submission: Submission, reason: str, numbers: Collection[int] | None = None
    ) -> None:
        """Remove jobs from the queue, with their processes and files."""
        which = ads.of(submission)
        if numbers is not None:
            if not numbers:
                return
            # What has completed is no job any more, but its output may still be wanted.
            which += f" && {ads.among(numbers)} && JobStatus != {ads.COMPLETED}"
        self._schedd.act("remove", which, f"auto-iter: {reason}", at=submission.schedd)
        self._ledger(submission).acted_at = self._now()

    def retire(self, submission: Submission) -> None:
        """Clear completed jobs out of the queue; what runs or is held stays."""
        which = f"{ads.of(submission)} && JobStatus == {ads.COMPLETED}"
        self._schedd.act("remove", which, "auto-iter: its files are home", at=submission.schedd)
        self._ledgers.pop(submission.key, None)

    def watch(self, submissions: Collection[Submission]) -> Iterable[int]:
        """Return nothing: event logs may be on file systems that cannot tell; see `has_news`."""
        del submissions
        return ()

    def has_news(self, submissions: Collection[Submission]) -> bool:
        """Tell from the event logs, where there are any, whether a poll is worth it now."""
        found = False
        for each in submissions:
            ledger = self._ledgers.get(each.key)
            if ledger is None:
                continue
            if self._has_news(ledger):
                ledger.has_news = found = True
            found = self._log_has_moved(ledger) or found
        return found

    def _log_has_moved(self, ledger: Ledger) -> bool:
        """Tell whether jobs started or stopped since they were counted; nobody has to be asked."""
        logged, now = ledger.as_logged(), self._now()
        shown = ledger.logged or ledger.counts
        is_time = ledger.logged_at is None or now - ledger.logged_at >= SHOW_LOG_EVERY_S
        if logged == shown or not is_time:
            return False
        ledger.logged, ledger.logged_at = logged, now
        return True

    def _has_news(self, ledger: Ledger) -> bool:
        if ledger.event_log is None or ledger.polled_at is None or ledger.is_over:
            return False
        log, now = ledger.event_log, self._now()
        log.follow()
        if log.saw_hold:
            log.saw_hold = False
            return True
        if log.ended >= ledger.jobs:
            # All have ended, but history may lag: look often at first, then less and less.
            if ledger.log_complete_at is None:
                ledger.log_complete_at = now
                return True
            pause_s = max(OVER_CHECK_S, 0.25 * (now - ledger.log_complete_at))
            return now - ledger.polled_at >= pause_s
        # Outputs are wanted as they come, but not at the price of a poll for each job.
        is_time = now - ledger.polled_at >= self._config.min_poll_interval_s
        return is_time and log.ended > ledger.polled_ended

    def _look_for_log(self, submission: Submission, ledger: Ledger) -> None:
        """After a restart, ask once where the cluster's event log is."""
        if ledger.looked_for_log or self._config.spool:
            return
        found = self._schedd.query(ads.of(submission), ads.CLUSTER, at=submission.schedd, limit=1)
        if found and "DAGManNodesLog" in found[0]:
            ledger.event_log = EventLog(Path(str(found[0]["DAGManNodesLog"])))
        ledger.looked_for_log = True

    def _ledger(self, submission: Submission) -> Ledger:
        return self._ledgers.setdefault(submission.key, Ledger(jobs=submission.jobs))

    def close(self) -> None:
        """End the child process that the calls run in."""
        self._schedd.close()


def _schedd_in(key: str) -> str | None:
    """Return the schedd that a key names."""
    return key.partition("@")[2] or None


def _check_readable(batch: Batch) -> None:
    """Raise OSError when what is sent with the jobs cannot be read: no cluster may come of it."""
    for path in (batch.executable, *batch.inputs):
        with path.open("rb"):
            pass


def _event_log(batch: Batch) -> Path:
    return batch.directory / "logs" / f"events_{batch.key.partition('@')[0]}.log"
