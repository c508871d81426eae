"""Several alignments at a glance: a line for each, in 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from auto_iter.daemon.screen.layout import COLUMNS, clipped
from auto_iter.daemon.status import Status
from auto_iter.errors import AutoIterError
from auto_iter.times import moment, roughly

NAME_COLUMNS = 26
"""`Y2023_R011705_F10400-10450` fits; of a longer one the end is shown: there they differ."""


@dataclass(frozen=True)
class Unreadable:
    """A workspace that nothing can be said of, and why."""

    root: Path
    reason: str


Seen = Status | Unreadable


def see(root: Path, look: Callable[[Path], Status]) -> Seen:
    """Return what `look` finds, or why it cannot: the other workspaces are shown all the same."""
    try:
        return look(root)
    except AutoIterError as error:
        return Unreadable(root, str(error))
    except OSError as error:
        return Unreadable(root, str(error.strerror))


def overview(all_seen: Sequence[Seen], columns: int = COLUMNS) -> list[str]:
    """Return a line for each workspace: name, state, iteration, files, and what matters most."""
    width = min(max((len(_name(each)) for each in all_seen), default=0), NAME_COLUMNS)
    return [clipped(_line(each, width), columns) for each in all_seen]


def _name(seen: Seen) -> str:
    root = seen.root if isinstance(seen, Unreadable) else seen.workspace.root
    return root.name or str(root)


def _line(seen: Seen, width: int) -> str:
    name = _name(seen)
    name = name if len(name) <= width else "…" + name[1 - width :]
    if isinstance(seen, Unreadable):
        return f"{name:<{width}}  {_why(seen)}"
    where = f"{seen.record['iteration']}/{seen.record['arguments']['iterations']}"
    return f"{name:<{width}}  {seen.state:<14} {where:>6}  {_what_matters(seen)}".rstrip()


def _why(seen: Unreadable) -> str:
    """Return the reason without the place: the line begins with it."""
    place = str(seen.root.absolute())
    return seen.reason.removeprefix(place).lstrip("/: ") if place in seen.reason else seen.reason


def _what_matters(seen: Status) -> str:
    """Return what a person wants to know of this one first."""
    record, progress = seen.record, seen.record["progress"]
    if record["failure"] is not None:
        return str(record["failure"]["reason"])
    if record["verdict"] is not None:
        return str(record["verdict"]["sentence"])
    if seen.is_over:
        return ""
    if not seen.has_daemon:
        return _nobody(seen)
    if record["hindrance"] is not None:
        since = moment(record["hindrance"]["since"], seen.now)
        return f"waits since {since}: {record['hindrance']['reason']}"
    paused = "paused" if seen.is_paused else ""
    files = f"{progress['delivered']}/{progress['wanted']} files" if progress["wanted"] else ""
    end = "" if seen.end is None else f"until {seen.end.in_words(seen.now)}"
    return ", ".join(each for each in (paused, files, end) if each)


def _nobody(seen: Status) -> str:
    """Say why nobody is at work on it, as far as can be seen."""
    if seen.is_under_dagman:
        return "under DAGMan"
    if seen.holder is None:
        return "no daemon is running"
    return f"no sign of life for {roughly(seen.silent_s)} from {seen.holder.host}"
