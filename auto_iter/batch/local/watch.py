"""What makes a waiting daemon wake at once: the journal's changes (inotify) and pidfds."""

from __future__ import annotations

import contextlib
import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

_IN_MODIFY = 0x2


class Watch:
    """File descriptors to wait on. Valid until the next `arm`."""

    def __init__(self) -> None:
        self._inotify: int | None = None
        self._watched: set[Path] = set()
        self._passing: list[int] = []

    def arm(self, journals: Iterable[Path], pids: Iterable[int]) -> list[int]:
        """Return descriptors that become readable when a journal grows or a process ends."""
        self._close_passing()
        for pid in pids:
            try:
                self._passing.append(os.pidfd_open(pid))
            except OSError:
                self.ready()
        inotify = self._journal_descriptor(set(journals))
        return self._passing if inotify is None else [inotify, *self._passing]

    def ready(self) -> int:
        """Return a descriptor that is readable already: something has happened before."""
        descriptor = os.eventfd(1)
        self._passing.append(descriptor)
        return descriptor

    def _journal_descriptor(self, journals: set[Path]) -> int | None:
        """Return the inotify descriptor, drained; None where the kernel gives none.

        Without it the daemon still hears from the pidfds, and polls at its interval.
        """
        if self._inotify is None or not self._watched <= journals:
            self._new_inotify()
        if self._inotify is None:
            return None
        libc = ctypes.CDLL(None, use_errno=True)
        for journal in journals - self._watched:
            libc.inotify_add_watch(self._inotify, os.fsencode(journal), _IN_MODIFY)
        self._watched = journals
        with contextlib.suppress(BlockingIOError):
            while os.read(self._inotify, 65536):
                pass
        return self._inotify

    def _new_inotify(self) -> None:
        if self._inotify is not None:
            os.close(self._inotify)
        descriptor = ctypes.CDLL(None, use_errno=True).inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
        self._inotify = None if descriptor < 0 else descriptor
        self._watched = set()

    def _close_passing(self) -> None:
        for descriptor in self._passing:
            os.close(descriptor)
        self._passing = []

    def close(self) -> None:
        """Give all descriptors back."""
        self._close_passing()
        if self._inotify is not None:
            os.close(self._inotify)
            self._inotify = None
            self._watched = set()
