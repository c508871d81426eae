"""Text that fits a terminal: lines broken between words, commands left whole."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable

COLUMNS = 80
_GLUE = "\N{NO-BREAK SPACE}"


def unbroken(command: str) -> str:
    """Return a command such that `wrapped` keeps it on one line: people copy it."""
    return command.replace(" ", _GLUE)


def wrapped(lines: Iterable[str], columns: int = COLUMNS) -> list[str]:
    """Return the lines, none longer than `columns` unless a single word is; the rest is indented.

    A path is a word, since half of one is of no use.
    """
    return [part.replace(_GLUE, " ") for line in lines for part in _parts(line, columns)]


def _parts(text: str, columns: int) -> Iterable[str]:
    for line in text.splitlines() or [""]:
        if len(line) <= columns:
            yield line
            continue
        indent = " " * (len(line) - len(line.lstrip(" ")) + 2)
        yield from textwrap.wrap(
            line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
            drop_whitespace=True, replace_whitespace=False,
        )  # fmt: skip


def clipped(text: str, columns: int) -> str:
    """Return the first line of a text, with an ellipsis where it is longer than `columns`."""
    line = text.partition("\n")[0]
    return line if len(line) <= columns else line[: max(columns - 1, 0)] + "…"
