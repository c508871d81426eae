"""HTCondor as a batch system: one cluster for each submission, found again by its key."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path

from auto_iter.alignment.model import Batch, Problem, Remedy, Resources, Submission, Tally, Trouble
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.holds import decide
from auto_iter.batch.htcondor.cluster import Cluster
from auto_iter.batch.htcondor.finding import Finder, Keys, schedd_in, short
from auto_iter.batch.htcondor.flavours import more_time
from auto_iter.batch.htcondor.schedd.protocol import Jobs, RefusedError, Schedd
from auto_iter.batch.htcondor.shared import SharedPolls
from auto_iter.batch.htcondor.submit import describe
from auto_iter.config.batch import HTCondor
from auto_iter.errors import InputError

REFUSALS = 3
"""So often a schedd may refuse a submission in the same words."""

CERN = ".cern.ch"
AT_CERN = (100, 500)
"""Spooled jobs in a submission, and of an owner in the queue."""
HELD_AT_CERN_H = 24.0
"""Held jobs are removed then."""


class HTCondorBatch(BatchSystem):
    """One on a schedd. Nothing to `watch`: event logs may be on file systems that cannot tell."""

    name = "htcondor"

    def __init__(  # noqa: PLR0913 - clock and records are what tests replace
        self,
        workspace_id: str,
        config: HTCondor,
        schedd: Schedd,
        *,
        records: Path | None = None,
        shared: SharedPolls | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._workspace_id = workspace_id
        self._config = config
        self._schedd = schedd
        self._now = monotonic
        self._keys = Keys(records)
        self._shared = shared
        self._finder = Finder(schedd, monotonic, sleep)
        self._submitted: dict[str, Submission] = {}
        self._clusters: dict[str, Cluster] = {}
        self._refusals: Counter[str] = Counter()
        self._is_at_cern: bool | None = None

    def new_key(self, iteration: int, attempt: int) -> str:
        """Return the key. It names the schedd: from another host the local one is another."""
        schedd = self._schedd.name()
        key = f"{self._workspace_id}-{iteration:02d}-{attempt:02d}@{schedd}"
        if not self._keys.was_used(key):
            self._keys.note_fresh(key)
        return key

    def find(self, key: str) -> Submission | None:
        """Return the cluster with this key, or None when there certainly is none.

        A cluster whose input never arrived is removed, and counts as none.
        """
        if self._keys.is_fresh(key):
            return None
        if key in self._submitted:
            return self._submitted[key]
        found = self._finder.find(key)
        if found is None:
            self._keys.note_fresh(key)
        return found

    def limits(self) -> tuple[int | None, int | None]:
        """Return what is configured; else CERN's limits, for spooled jobs on a schedd of CERN's."""
        portion, in_queue = self._config.max_jobs_per_submission, self._config.max_jobs_in_queue
        if not self._config.spool or (portion and in_queue):
            return portion, in_queue
        site = AT_CERN if self._at_cern() else (None, None)
        return portion or site[0], in_queue or site[1]

    def submit(self, batch: Batch) -> Submission:
        """Submit one cluster with one job for each raw file, and send its input.

        The same refusal, `REFUSALS` times, is final: InputError with the schedd's own words.
        """
        found = self.find(batch.key)
        if found is not None:
            return found
        try:
            submission = self._submit(batch)
        except RefusedError as error:
            self._refusals[str(error)] += 1
            if self._refusals[str(error)] < REFUSALS:
                raise
            raise InputError(
                str(error), "ask the site, or fix what the message names; then `auto-iter resume`"
            ) from None
        self._refusals.clear()
        return submission

    def _submit(self, batch: Batch) -> Submission:
        schedd = self._schedd.at(schedd_in(batch.key))
        if self._config.spool:
            _check_readable(batch)
        event_log = None if self._config.spool else _event_log(batch)
        description, rows = describe(batch, self._config, event_log)
        (batch.directory / "logs").mkdir(parents=True, exist_ok=True)
        if self._config.send_credential:
            # What is stored lives about as long as a ticket; an alignment takes days.
            schedd.store_credential()
        self._keys.note_use(batch.key)
        placed = schedd.submit(description, rows, spool=self._config.spool)
        if self._config.spool:
            schedd.spool(placed)
        submission = Submission(
            batch.key,
            str(placed.cluster),
            placed.jobs,
            time.time(),
            schedd=schedd_in(batch.key) or placed.schedd,
        )
        self._submitted[batch.key] = submission
        self._clusters[batch.key] = Cluster(
            Jobs(self._schedd.at(submission.schedd), submission),
            self._config,
            self._now,
            numbers=frozenset(job.number for job in batch.jobs),
            event_log=event_log,
            shared=self._shared,
        )
        return submission

    def poll(self, submission: Submission) -> Tally:
        """Return how the cluster stands."""
        return self._cluster(submission).poll()

    def fetch(self, submission: Submission) -> None:
        """Bring home the files of completed jobs; direct ones have delivered by themselves."""
        self._cluster(submission).fetch()

    def remedy(self, problem: Problem, releases: int) -> Remedy:
        """Return what the table of hold codes, and the configuration, say about a held job."""
        if problem.trouble is Trouble.OVERRAN:
            return more_time(problem, self._config)
        remedy = decide(problem, releases, self._config.holds)
        limit_s = self._removed_after_s()
        if limit_s is None:
            return remedy
        # Well before the site does something about it.
        pause_s = min(remedy.pause_s, limit_s / 4)
        return replace(remedy, pause_s=pause_s, removed_after_s=limit_s)

    def _removed_after_s(self) -> float | None:
        """Return how long the site lets a job be held; None for ever, or not known."""
        hours = self._config.holds.site_removes_after_h
        if hours is None and self._at_cern():
            hours = HELD_AT_CERN_H
        return None if hours is None else hours * 3600

    def _at_cern(self) -> bool:
        if self._is_at_cern is None:
            self._is_at_cern = self._schedd.name().endswith(CERN)
        return self._is_at_cern

    def release(
        self, submission: Submission, numbers: Collection[int], resources: Resources | None = None
    ) -> None:
        """Let held jobs run again, with more memory or disk when given."""
        self._cluster(submission).release(numbers, resources)

    def remove(
        self, submission: Submission, reason: str, numbers: Collection[int] | None = None
    ) -> None:
        """Remove jobs from the queue, with their processes and files."""
        self._cluster(submission).remove(reason, numbers)
        if numbers is None:
            self._forget(submission)

    def retire(self, submission: Submission) -> None:
        """Clear completed jobs out of the queue; what runs or is held stays."""
        self._cluster(submission).retire()
        del self._clusters[submission.key]
        self._forget(submission)

    def _forget(self, submission: Submission) -> None:
        if self._shared is not None:
            self._shared.forget(submission)

    def has_news(self, submissions: Collection[Submission]) -> bool:
        """Tell, by event logs and what others were told, whether a poll is worth it now."""
        known = [self._clusters[each.key] for each in submissions if each.key in self._clusters]
        news = [cluster.has_news() for cluster in known]  # each of them, for it reads its log
        return any(news)

    def _cluster(self, submission: Submission) -> Cluster:
        if submission.key not in self._clusters:
            jobs = Jobs(self._schedd.at(submission.schedd), submission)
            self._clusters[submission.key] = Cluster(
                jobs, self._config, self._now, shared=self._shared
            )
        return self._clusters[submission.key]


def _check_readable(batch: Batch) -> None:
    """Raise OSError when what is sent with the jobs cannot be read: no cluster may come of it."""
    for path in (batch.executable, *batch.inputs):
        with path.open("rb"):
            pass


def _event_log(batch: Batch) -> Path:
    return batch.directory / "logs" / f"events_{short(batch.key)}.log"
