"""Idle jobs that no machine takes: nobody holds them, and HTCondor says nothing by itself."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from auto_iter.batch.htcondor.ads import Ad
from auto_iter.batch.htcondor.schedd.protocol import Jobs
from auto_iter.errors import AutoIterError
from auto_iter.times import to_the_minute

AFTER_S: Final = 1800
"""A job that was not matched for so long is looked at, and told of where it never can be."""

BUSY_S: Final = 7200
"""Where it could be, it is told of after so long: a busy pool takes its time."""

ASK_EVERY_S: Final = 600.0

NEVER: Final = (
    f"(JobStatus == 1 && (NumJobMatches ?: 0) == 0 && time() - EnteredCurrentStatus >= {AFTER_S})"
)

ASKED: Final = (
    "ClusterId", "ProcId", "EnteredCurrentStatus", "LastRejMatchReason",
    "RequestMemory", "RequestCpus", "RequestDisk",
)  # fmt: skip

_RESOURCES: Final = {
    "RequestMemory": ("TotalSlotMemory", 1, "MB of memory"),
    "RequestDisk": ("TotalSlotDisk", 1024, "MB of disk"),
    "RequestCpus": ("TotalSlotCpus", 1, "CPUs"),
}
"""What a job asks for: what a machine has of it, in which of our units, and in words."""


class Unmatched:
    """Those of one cluster; `words`: what is known of them, empty where there are none."""

    def __init__(self, jobs: Jobs, now: Callable[[], float]) -> None:
        self._jobs = jobs
        self._now = now
        self._asked_at = now()
        self._fits: bool | None = None
        self.words = ""

    def look(self, idle: int) -> None:
        """Ask the schedd, every ten minutes while jobs are idle; the pool until a machine fits."""
        if not idle:
            self.words = ""
        if not idle or self._now() - self._asked_at < ASK_EVERY_S:
            return
        self._asked_at = self._now()
        found = self._jobs.query(NEVER, ASKED, limit=1)
        if not found:
            self.words = ""
            return
        if not self._fits:
            self._fits = self._asks_the_pool(found[0])
        waited_s = time.time() - float(found[0]["EnteredCurrentStatus"])
        is_told = self._fits is False or waited_s >= BUSY_S
        jobs = self._jobs.count(NEVER).total if is_told else 0
        self.words = _words(jobs, found[0], self._fits) if jobs else ""

    def _asks_the_pool(self, ad: Ad) -> bool | None:
        """Tell whether any machine has as much as a job asks for; None where that is not known."""
        wanted = [f"{has} >= {ad[asks]}" for asks, (has, _, _) in _RESOURCES.items() if asks in ad]
        try:
            return self._jobs.schedd.has_machine(" && ".join(wanted) or "true")
        except AutoIterError:  # it is asked again; the jobs are no worse for it
            return None


def _words(jobs: int, ad: Ad, fits: bool | None) -> str:
    """Return how many jobs no machine took, since when, why, and what to do."""
    since = to_the_minute(float(ad["EnteredCurrentStatus"]))
    which = "1 idle job" if jobs == 1 else f"{jobs} idle jobs"
    said = f"no machine has taken {which} since {since}"
    if fits is False:
        return (
            f"{said}: none in the pool has as much as one asks for ({_asks(ad)}); lower "
            "reco.memory_mb, reco.disk_mb or htcondor.request_cpus"
        )
    reason = str(ad.get("LastRejMatchReason", "")).strip()
    why = f"HTCondor says `{reason}`" if reason else "HTCondor gives no reason"
    job = f"{ad['ClusterId']}.{ad['ProcId']}"
    return (
        f"{said}: {why}; the pool may be busy, or htcondor.requirements fit no machine: "
        f"`condor_q -better-analyze {job}` tells which"
    )


def _asks(ad: Ad) -> str:
    asked = [(ad[name], *each) for name, each in _RESOURCES.items() if name in ad]
    return ", ".join(f"{int(value) // unit} {what}" for value, _, unit, what in asked)
