"""What went wrong and what was done about it, from the checkpoint and the workspace's log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from auto_iter.log.line import entry_of, readable
from auto_iter.rawfiles import spoken
from auto_iter.report.history import History

MOST_BYTES = 4_000_000
"""So much of the log's end is read."""
MOST_KINDS = 40
_LOUD = frozenset({"warning", "error", "critical"})


@dataclass
class LoggedTrouble:
    """All entries of the log about one thing: how many, when the last was, and what it said."""

    event: str
    count: int = 0
    iterations: tuple[int, ...] = ()
    last: str = ""


@dataclass(frozen=True)
class LogContent:
    """What the log tells. `gap`: why it tells nothing.

    `begun`: when a daemon took the alignment up, and its command, version, host and batch system.
    """

    troubles: tuple[LoggedTrouble, ...] = ()
    begun: tuple[tuple[str, str], ...] = ()
    gap: str = ""


def read_log(path: Path) -> LogContent:
    """Return what the log at `path` and the one that was rotated last tell; never raises."""
    try:
        entries = list(_entries(path))
    except OSError as error:
        return LogContent(gap=f"{path.name}: {error.strerror}")
    found: dict[str, LoggedTrouble] = {}
    for entry in entries:
        if entry.get("level") in _LOUD:
            _add(found, entry)
    ordered = sorted(found.values(), key=lambda each: -each.count)
    return LogContent(tuple(ordered[:MOST_KINDS]), tuple(_begun(entries)))


def _entries(path: Path) -> Iterator[dict[str, Any]]:
    for each in (path.with_name(f"{path.name}.1"), path):
        if each != path and not each.exists():
            continue
        with each.open("rb") as log:
            log.seek(max(0, each.stat().st_size - MOST_BYTES))
            yield from (entry for entry in map(entry_of, log) if entry is not None)


def _add(found: dict[str, LoggedTrouble], entry: dict[str, Any]) -> None:
    event = str(entry.get("event", ""))
    trouble = found.setdefault(event, LoggedTrouble(event))
    trouble.count += 1
    iteration = entry.get("iteration")
    if isinstance(iteration, int) and iteration not in trouble.iterations:
        trouble.iterations = (*trouble.iterations, iteration)
    trouble.last = readable(entry)


def _begun(entries: Iterable[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    for entry in entries:
        if entry.get("event") == "alignment":
            version = f"auto-iter {entry['version']}" if entry.get("version") else ""
            told = (entry.get("command"), version, entry.get("host"), entry.get("batch"))
            when = str(entry.get("timestamp", ""))[:19].replace("T", " ")
            yield when, " · ".join(str(each) for each in told if each)


@dataclass(frozen=True)
class FileTrouble:
    """A raw file that failed in the iteration under way."""

    name: str
    tries: int
    why: str


def file_troubles(history: History, most: int = 50) -> list[FileTrouble]:
    """Return what is wrong with raw files just now, worst first."""
    snapshot = history.snapshot
    if snapshot is None:
        return []
    numbers = {**snapshot.failures, **dict.fromkeys(snapshot.troubles, 0), **snapshot.failures}
    ordered = sorted(numbers, key=lambda number: (-numbers[number], number))
    return [
        FileTrouble(spoken(number), numbers[number], snapshot.troubles.get(number, ""))
        for number in ordered[:most]
    ]
