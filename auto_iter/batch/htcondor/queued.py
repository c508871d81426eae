"""What the schedd's queue says of a cluster: one summary, and ads only of what needs a look."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from auto_iter.alignment.model import Problem
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.schedd.protocol import Jobs, QueueCounts
from auto_iter.config.batch import HTCondor

INPUT_LOST_AFTER_S = 10.0
INPUT_LOST = "the schedd lost the input"

BUSY_SAMPLE = 20
"""Running jobs that are looked at for where jobs run at all."""

_NEXT_PROC = "JobMaterializeNextProcId"


@dataclass(frozen=True)
class Sight:
    """One answer of the queue. `waiting`: jobs that do not exist yet (late materialisation).

    `problems`: jobs in the queue that are held or ended badly.
    """

    counts: QueueCounts
    waiting: int = 0
    problems: tuple[Problem, ...] = ()


class Queue:
    """A cluster's part of the queue; `seen` is what it said last."""

    def __init__(self, jobs: Jobs, config: HTCondor, now: Callable[[], float]) -> None:
        self._jobs = jobs
        self._config = config
        self._now = now
        self._spooling_since: float | None = None
        self.seen: Sight | None = None
        self.busy: frozenset[str] = frozenset()
        """Some machines on which jobs run, anybody's, when that was asked last."""

    def look(self, told: QueueCounts | None = None) -> Sight:
        """Ask the queue. Ads are asked for only where the summary is another one, or has holds.

        `told`: a summary that is there already.
        """
        counts = self._without_spooling(told or self._jobs.count(f"!{ads.HOME}"))
        waiting = self._not_materialised()
        if self.seen is not None and counts == self.seen.counts and not counts.held:
            problems = self.seen.problems
        else:
            problems = self._exceptional(counts)
        self.seen = Sight(counts, waiting, problems)
        return self.seen

    def ask_where_jobs_run(self) -> None:
        """Bring `busy` up to date: the machine on which jobs fail may be the only one."""
        found = self._jobs.schedd.query("JobStatus == 2", ("RemoteHost",), limit=BUSY_SAMPLE)
        hosts = (str(ad["RemoteHost"]) for ad in found if "RemoteHost" in ad)
        self.busy = frozenset(host.rpartition("@")[2] for host in hosts)

    def _without_spooling(self, counts: QueueCounts) -> QueueCounts:
        """Count as idle what is only held until its input is in place."""
        spooling = 0
        if counts.held and self._config.spool:
            spooling = self._jobs.count(ads.SPOOLING).total
        if not spooling:
            self._spooling_since = None
            return counts
        if self._spooling_since is None:
            self._spooling_since = self._now()
        elif self._now() - self._spooling_since > INPUT_LOST_AFTER_S:
            # The schedd died before it took note of the input, and will never release these jobs.
            # None of them can have run.
            self._jobs.act("remove", INPUT_LOST, ads.SPOOLING)
        return replace(counts, held=counts.held - spooling, idle=counts.idle + spooling)

    def _not_materialised(self) -> int:
        if self._config.max_idle is None:
            return 0
        cluster = int(self._jobs.submission.cluster)
        ad = self._jobs.schedd.cluster_ad(cluster, (_NEXT_PROC,))
        total = self._jobs.submission.jobs
        return 0 if ad is None else total - int(ad.get(_NEXT_PROC, total))

    def _exceptional(self, counts: QueueCounts) -> tuple[Problem, ...]:
        if not (counts.held or counts.completed):
            return ()
        found = self._jobs.query(f"{ads.NEEDS_A_LOOK} && !{ads.HOME}")
        return tuple(problem for ad in found if (problem := ads.problem_of(ad)) is not None)
