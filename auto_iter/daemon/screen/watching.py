"""`auto-iter watch`: what is on the screen, and the screen. Reads only, and asks no schedd.

What is shown is made anew at each look, so a workspace may end, fail, be killed, vanish and come
back while it is watched.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from auto_iter.alignment.figures import jobs_in_words
from auto_iter.daemon.screen.layout import COLUMNS, clipped, wrapped
from auto_iter.daemon.screen.overview import Seen, Unreadable, overview
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.status import Status
from auto_iter.log.line import entry_of, readable
from auto_iter.times import moment

LEAST_LOG_LINES = 5
"""So many are shown of one workspace's log, however much there is to say of it."""

AWAY_FOR_LOOKS = 30
"""So many looks in vain are a workspace's end."""

_TAIL_BYTES = 20_000

Line = tuple[str, str]
"""A line, and its style."""

_STYLES = {"failed": "red", "done": "green", "stopped": "yellow"}


def screenful(all_seen: Sequence[Seen], log: Sequence[str], size: tuple[int, int]) -> list[Line]:
    """Return the lines for a screen of `size` (columns, rows): none is longer, nor are there more.

    `log`: of the only workspace, the newest last.
    """
    columns, rows = size
    clock = time.strftime("%a %H:%M:%S")
    title = f"auto-iter watch, {clock}; q ends it (the alignments go on)"
    only = all_seen[0] if len(all_seen) == 1 else None
    body = _several(all_seen, columns) if only is None else _one(only, log, columns, rows - 1)
    lines = [("bold", title), *body]
    if len(lines) > rows:
        lines = [*lines[: rows - 1], ("dim", f"… {len(lines) - rows + 1} more lines")]
    return [(style, clipped(text, columns)) for style, text in lines]


def style_of(seen: Seen) -> str:
    """Return how a workspace is drawn: red where it failed, green where it is done."""
    if isinstance(seen, Unreadable):
        return "red"
    if seen.record["hindrance"] is not None or not (seen.has_daemon or seen.is_under_dagman):
        return _STYLES.get(seen.state, "yellow")
    return _STYLES.get(seen.state, "")


def _one(seen: Seen, log: Sequence[str], columns: int, rows: int) -> list[Line]:
    if isinstance(seen, Unreadable):
        return [("red", line) for line in wrapped([f"{seen.root}: {seen.reason}"], columns)]
    head, *rest = status_text(seen, columns).splitlines()
    log_rows = max(rows - len(rest) - 2, LEAST_LOG_LINES)
    room = rows - log_rows - 2
    if len(rest) > room:
        rest = [*rest[: room - 1], "…"]
    tail = [line for text in log for line in wrapped([text], columns)][-log_rows:]
    below = [("", line) for line in rest] + [("dim", line) for line in ("", *tail)]
    return [(style_of(seen), head), *below]


def _several(all_seen: Sequence[Seen], columns: int) -> list[Line]:
    lines: list[Line] = []
    for seen, line in zip(all_seen, overview(all_seen, columns), strict=True):
        lines.append((style_of(seen), line))
        lines += [("dim", f"    {text}") for text in _details(seen)]
    return lines


def _details(seen: Seen) -> list[str]:
    """Return a second line where an alignment is at work: its jobs, and of when that is."""
    if isinstance(seen, Unreadable) or seen.is_over or not seen.record["progress"]["wanted"]:
        return []
    progress = seen.record["progress"]
    at = progress["seen_at"]
    return [jobs_in_words(progress) + ("" if at is None else f" ({moment(at, seen.now)})")]


def last_lines(path: Path, count: int) -> list[str]:
    """Return the newest lines of a log as people read them; none where there is none."""
    try:
        with path.open("rb") as log:
            log.seek(max(os.fstat(log.fileno()).st_size - _TAIL_BYTES, 0))
            lines = log.read().decode(errors="replace").splitlines()[-count:]
    except OSError:
        return []
    entries = map(entry_of, lines)  # of the first line perhaps only the end was read
    return [text for each in entries if each is not None for text in readable(each).splitlines()]


def print_changes(
    look: Callable[[], Sequence[Seen]], wait: Callable[[], None], say: Callable[[str], None]
) -> None:
    """Say a line for each workspace whenever there is news of it, until all have come to an end.

    One that could be read, and cannot any more, is waited for: a disk may be away for a moment.
    """
    before: dict[int, str] = {}
    away: dict[int, int] = {}
    while True:
        all_seen = look()
        for number, line in enumerate(overview(all_seen, COLUMNS)):
            if before.get(number) != line:
                say(f"{time.strftime('%Y-%m-%d %H:%M:%S')}  {line}")
            before[number] = line
        for number, each in enumerate(all_seen):
            is_there = isinstance(each, Status)
            away[number] = 0 if is_there else away.get(number, AWAY_FOR_LOOKS) + 1
        if all(
            each.is_over if isinstance(each, Status) else away[number] > AWAY_FOR_LOOKS
            for number, each in enumerate(all_seen)
        ):
            return
        wait()
