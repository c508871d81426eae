"""The event log of a direct submission, followed as it grows.

It tells within a second what a poll would find a poll interval later. Format: HTCondor manual,
"Job Event Log Codes"; each event begins with its code and job at the start of a line.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Final

from auto_iter.batch.htcondor.schedd.protocol import QueueCounts

_EVENT: Final = re.compile(rb"^(\d{3}) \((\d+)\.(\d+)\.\d+\) ", re.MULTILINE)
_STARTS: Final = b"001"
_ENDS: Final = frozenset({b"005", b"009"})  # terminated, aborted
_HELD: Final = b"012"
_LEAVES: Final = frozenset({b"004", _HELD, b"024"})  # evicted, held, could not be reconnected

OVER_CHECK_S = 0.5

SHOW_EVERY_S = 10.0
"""Running and idle jobs are counted anew no more often between two polls."""


class EventLog:
    """What one cluster's log tells: how many jobs run and have ended, and whether one was held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._ended: set[int] = set()
        self._running: set[int] = set()
        self._saw_hold = False

    @property
    def ended(self) -> int:
        """Jobs that will not run again, as far as was read."""
        return len(self._ended)

    @property
    def begun(self) -> int:
        """Jobs on a machine, or at their end, as far as was read."""
        return len(self._running) + len(self._ended)

    @property
    def tells(self) -> bool:
        """Whether anything was ever read."""
        return self._offset > 0

    def tells_of_a_hold(self) -> bool:
        """Tell whether a job was held since this was asked last, as far as was read."""
        saw, self._saw_hold = self._saw_hold, False
        return saw

    def follow(self) -> None:
        """Read what was written since; a log that is not there (yet) says nothing."""
        try:
            with self._path.open("rb") as log:
                log.seek(self._offset)
                new = log.read()
        except OSError:
            return
        self._offset += len(new)
        whole, newline, self._rest = (self._rest + new).rpartition(b"\n")
        for event in _EVENT.finditer(whole + newline):
            code, proc = event[1], int(event[3])
            if code == _STARTS:
                self._running.add(proc)
            elif code in _ENDS | _LEAVES:
                self._running.discard(proc)
            if code in _ENDS:
                self._ended.add(proc)
            elif code == _HELD:
                self._saw_hold = True


class SincePoll:
    """What the log of a cluster with so many jobs tells beyond the last poll."""

    def __init__(self, log: EventLog, jobs: int, interval_s: float) -> None:
        self._log = log
        self._jobs = jobs
        self._interval_s = interval_s
        self._begun, self._ended = 0, 0
        self._complete_at: float | None = None
        self._shown: QueueCounts | None = None
        self._shown_at: float | None = None

    @property
    def tells(self) -> bool:
        """Whether there is a log, and not an empty one."""
        return self._log.tells

    def begin(self, ended: int) -> None:
        """Begin anew after a poll that found so many jobs `ended`."""
        self._log.follow()
        self._begun, self._ended = self._log.begun, ended
        self._shown = None

    def asks_for_poll(self, polled_at: float, now: float) -> bool:
        """Read on, and tell whether a poll is worth it now."""
        if self._ended >= self._jobs:
            return False
        self._log.follow()
        if self._log.tells_of_a_hold():
            return True
        if self._log.ended >= self._jobs:
            # All have ended, but history may lag: look often at first, then less and less.
            if self._complete_at is None:
                self._complete_at = now
                return True
            return now - polled_at >= max(OVER_CHECK_S, 0.25 * (now - self._complete_at))
        # Outputs are wanted as they come, but not at the price of a poll for each job.
        return now - polled_at >= self._interval_s and self._log.ended > self._ended

    def knows_of_more_ends(self) -> bool:
        """Read on, and tell whether a job has ended since the last poll."""
        self._log.follow()
        return self._log.ended > self._ended

    def has_moved(self, polled: QueueCounts, now: float) -> bool:
        """Tell whether jobs started or stopped since that was told last; they are `shown` then."""
        counts = self._counted(polled)
        is_time = self._shown_at is None or now - self._shown_at >= SHOW_EVERY_S
        if counts == self.shown(polled) or not is_time:
            return False
        self._shown, self._shown_at = counts, now
        return True

    def shown(self, polled: QueueCounts) -> QueueCounts:
        """Return the counts of the last poll, brought up to date when jobs last moved."""
        return self._shown or polled

    def _counted(self, polled: QueueCounts) -> QueueCounts:
        # A job that has ended since counts as running: how it ended is not known before the poll.
        active = polled.idle + polled.running
        running = polled.running + self._log.begun - self._begun
        return replace(polled, idle=active - max(0, min(active, running)))
