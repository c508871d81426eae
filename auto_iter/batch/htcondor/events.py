"""The event log of a direct submission, followed as it grows.

It tells within a second what a poll would find a poll interval later. Format: HTCondor manual,
"Job Event Log Codes"; each event begins with its code and job at the start of a line.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

_EVENT: Final = re.compile(rb"^(\d{3}) \((\d+)\.(\d+)\.\d+\) ", re.MULTILINE)
_STARTS: Final = b"001"
_ENDS: Final = frozenset({b"005", b"009"})  # terminated, aborted
_HELD: Final = b"012"
_LEAVES: Final = frozenset({b"004", _HELD, b"024"})  # evicted, held, could not be reconnected


class EventLog:
    """What one cluster's log tells: how many jobs run and have ended, and whether one was held."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0
        self._rest = b""
        self._ended: set[int] = set()
        self._running: set[int] = set()
        self.saw_hold = False

    @property
    def ended(self) -> int:
        """Jobs that will not run again, as far as was read."""
        return len(self._ended)

    @property
    def begun(self) -> int:
        """Jobs on a machine, or at their end, as far as was read."""
        return len(self._running) + len(self._ended)

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
                self.saw_hold = True
