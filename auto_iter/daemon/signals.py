"""Time and waiting, where the daemon meets the operating system. Tests hand in their own."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from types import FrameType

LOOK_EVERY_S = 1.0
"""How often a waiting daemon looks for news that no file descriptor announces."""


def never() -> bool:
    """Nobody asks to stop."""
    return False


def restore_signals() -> None:
    """Let signals end the process again: the session that took them over has ended."""
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for stopping in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(stopping, signal.SIG_DFL)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


class Signals:
    """SIGTERM, SIGINT and a terminal's SIGHUP ask to stop; SIGUSR1 asks for a poll now.

    Python runs handlers between bytecodes only; the wake-up pipe makes a `select` return at once.
    """

    def __init__(self) -> None:
        self.stop_requested: signal.Signals | None = None
        self.poll_requested = False
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)

    def install(self) -> None:
        """Take over the process's signals; leave SIGHUP alone where nohup has it ignored."""
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for stopping in (signal.SIGTERM, signal.SIGINT):
            signal.signal(stopping, self._on_stop)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            signal.signal(signal.SIGHUP, self._on_stop)
        signal.signal(signal.SIGUSR1, self._on_poll)

    def _on_stop(self, number: int, _frame: FrameType | None) -> None:
        self.stop_requested = signal.Signals(number)

    def _on_poll(self, _number: int, _frame: FrameType | None) -> None:
        self.poll_requested = True

    def should_stop(self) -> bool:
        """Tell whether somebody asked to stop."""
        return self.stop_requested is not None

    def sleep(
        self,
        seconds: float,
        descriptors: Iterable[int] = (),
        has_news: Callable[[], bool] | None = None,
    ) -> None:
        """Wait until a signal, a readable descriptor, news, or the end of `seconds`."""
        watched = [self._reader, *descriptors]
        deadline = time.monotonic() + seconds
        while not (self.should_stop() or self.poll_requested):
            left = deadline - time.monotonic()
            if left <= 0:
                break
            slice_s = left if has_news is None else min(left, LOOK_EVERY_S)
            ready, _, _ = select.select(watched, [], [], slice_s)
            if ready or (has_news is not None and has_news()):
                break
        with suppress(BlockingIOError):
            while os.read(self._reader, 512):
                pass
        self.poll_requested = False
