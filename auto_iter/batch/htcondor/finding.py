"""Keys of submissions, and finding again what was submitted under one.

What the design asks of exactly-once submission: a key that this process made and that was never
used is known to be new; for any other, queue and history have to say twice that it is not there.
What is not known is never taken for "not there": TransientError is raised instead.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from auto_iter.alignment.model import Submission
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.schedd.protocol import Schedd, make_sure_we_are_known
from auto_iter.errors import TransientError
from auto_iter.files import write_atomically

LOOKS = 2
LOOK_AGAIN_AFTER_S = 1.0
"""An empty answer counts when it was given twice, so far apart."""

HALF_SPOOLED_AFTER_S = 5.0
"""For about a second after its input arrived, a cluster looks as if it had not."""


def schedd_in(key: str) -> str | None:
    """Return the schedd that a key names."""
    return key.partition("@")[2] or None


def short(key: str) -> str:
    """Return a key without the schedd that it names."""
    return key.partition("@")[0]


class Keys:
    """Which keys were never used; `records` remembers the others, apart from the checkpoint."""

    def __init__(self, records: Path | None) -> None:
        self._records = records
        self._fresh: set[str] = set()

    def is_fresh(self, key: str) -> bool:
        """Tell whether certainly nothing was submitted under `key`."""
        return key in self._fresh

    def was_used(self, key: str) -> bool:
        """Tell whether `key` was used, as far as the records know: then it has to be asked for."""
        return self._records is not None and (self._records / key).exists()

    def note_fresh(self, key: str) -> None:
        """Remember that nothing was submitted under `key`."""
        self._fresh.add(key)

    def note_use(self, key: str) -> None:
        """Remember that a key may be in use from now on."""
        if self._records is not None:
            self._records.mkdir(parents=True, exist_ok=True)
            write_atomically(self._records / key, "")
        self._fresh.discard(key)


class Finder:
    """Asks schedds for what was submitted under a key."""

    def __init__(
        self, schedd: Schedd, now: Callable[[], float], sleep: Callable[[float], None]
    ) -> None:
        self._schedd = schedd
        self._now = now
        self._sleep = sleep
        self._half_spooled_since: dict[str, float] = {}

    def find(self, key: str) -> Submission | None:
        """Return the cluster with this key, or None when there certainly is none.

        A cluster whose input never arrived is removed, and counts as none.
        """
        for look in range(LOOKS):
            if look:
                self._sleep(LOOK_AGAIN_AFTER_S)
            found = self._look_up(key)
            if found is not None:
                return found
        make_sure_we_are_known(self._schedd.at(schedd_in(key)))
        return None

    def _look_up(self, key: str) -> Submission | None:
        schedd = self._schedd.at(schedd_in(key))
        whole = f"{ads.with_key(key)} && !{ads.HALF_SPOOLED}"
        queued = schedd.query(whole, ads.CLUSTER, limit=1)
        if queued:
            return ads.submission_of(key, queued[0])
        self._remove_half_spooled(key, schedd)
        left = schedd.history(whole, ads.CLUSTER, limit=1)
        return ads.submission_of(key, left[0]) if left else None

    def _remove_half_spooled(self, key: str, schedd: Schedd) -> None:
        half = f"{ads.with_key(key)} && {ads.HALF_SPOOLED}"
        if not schedd.query(half, ("ClusterId",), limit=1):
            return
        since = self._half_spooled_since.setdefault(key, self._now())
        wait_s = since + HALF_SPOOLED_AFTER_S - self._now()
        if wait_s > 0:
            raise TransientError("the input of a cluster is on its way, or was lost", wait_s)
        schedd.act("remove", half, "auto-iter: its input never arrived")
        if schedd.query(half, ("ClusterId",), limit=1):
            raise TransientError("a cluster without input cannot be removed", HALF_SPOOLED_AFTER_S)
        del self._half_spooled_since[key]
