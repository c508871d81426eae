"""A terminal that is drawn on until a key is pressed, and left as it was found."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import termios
import tty
from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from auto_iter.daemon.screen.watching import Line
from auto_iter.errors import SIGNAL_EXIT_CODE

MOST_KEYS = 1024
END_KEYS = frozenset({"q", "Q", "\x04"})


def draw_until_key(draw: Callable[[tuple[int, int]], Sequence[Line]], every_s: float) -> None:
    """Draw the lines for a screen of (columns, rows), again and again, until `q` or Ctrl-C.

    The size is asked for each time: windows are resized.
    """
    console = Console()

    def picture() -> Group:
        lines = draw((console.width, console.height))
        return Group(*(Text(text, style, no_wrap=True, overflow="crop") for style, text in lines))

    with contextlib.suppress(KeyboardInterrupt), _keys() as pressed, _ending_on_signals():
        live = Live(picture(), console=console, screen=True, auto_refresh=False)
        with live:
            while not pressed(every_s):
                live.update(picture(), refresh=True)


@contextlib.contextmanager
def _keys() -> Iterator[Callable[[float], bool]]:
    """Give what waits for so many seconds, and tells whether a key was pressed that ends it."""
    if not sys.stdin.isatty():
        yield lambda wait_s: bool(select.select([], [], [], wait_s)[0])
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def pressed(wait_s: float) -> bool:
        if not select.select([descriptor], [], [], wait_s)[0]:
            return False
        # All that was typed: what Python read ahead, `select` would not tell of.
        text = os.read(descriptor, MOST_KEYS).decode(errors="replace")
        return not text or bool(END_KEYS & set(text))

    try:
        tty.setcbreak(descriptor)
        yield pressed
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


@contextlib.contextmanager
def _ending_on_signals() -> Iterator[None]:
    """Leave by way of the clean-up when told to end: a shell without echo is nobody's joy."""

    def end(number: int, _frame: object) -> None:
        sys.exit(SIGNAL_EXIT_CODE + number)

    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, end) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)
