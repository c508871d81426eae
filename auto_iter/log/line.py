"""A log entry as a person reads it, the same on stderr and in `auto-iter logs`.

`2026-11-25 01:34:07  iter 2 submit_reco    submitted              cluster=4 jobs=50`, local time.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

_COLORS = {"warning": "\x1b[33m", "error": "\x1b[31m", "critical": "\x1b[31m"}
_PLAIN = "\x1b[0m"


def entry_of(line: str | bytes) -> dict[str, Any] | None:
    """Return the entry that a line of the log is; None where it is none."""
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None


def readable(entry: Mapping[str, Any], *, colors: bool = False) -> str:
    """Return the line for a log entry; values of several lines follow it, indented."""
    fields = dict(entry)
    when = _local(str(fields.pop("timestamp", "")))
    level = str(fields.pop("level", "info"))
    where = f"iter {fields.pop('iteration')}" if "iteration" in fields else ""
    where = f"{where} {fields.pop('state', '')}".strip()
    event = _event(fields)
    mark = "" if level in {"info", "debug"} else f"{level.upper()}: "
    below = [
        line
        for name in ("reason", "exception")
        if "\n" in str(fields.get(name, ""))
        for line in str(fields.pop(name)).splitlines()
    ]
    rest = " ".join(f"{name}={_value(value)}" for name, value in fields.items() if value != "")
    text = f"{when}  {where:<21} {mark}{event:<22} {rest}".rstrip()
    text = "\n".join([text, *(f"    {line}" for line in below)])
    return f"{_COLORS[level]}{text}{_PLAIN}" if colors and level in _COLORS else text


def _event(fields: dict[str, Any]) -> str:
    event = str(fields.pop("event", ""))
    if event != "transition" or "to" not in fields:
        return event
    fields.pop("from_state", None)
    return f"→ {fields.pop('to')} ({fields.pop('event_fired', '')})"


def _local(stamp: str) -> str:
    try:
        return datetime.fromisoformat(stamp).astimezone().strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return stamp


def _value(value: object) -> str:
    text = str(value)
    return repr(text) if " " in text or not text.isprintable() else text
