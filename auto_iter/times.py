"""Instants and lengths of time, as people read them."""

from __future__ import annotations

import time

_DAY_S = 86400.0
_WEEKDAY_IS_CLEAR_S = 6 * _DAY_S


def to_the_second(at: float) -> str:
    """Return an instant (seconds since the epoch) as date and local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def to_the_minute(at: float) -> str:
    """Return an instant (seconds since the epoch) as date and local time, without seconds."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def moment(at: float, now: float) -> str:
    """Return an instant in local time, as short as is clear now: `14:00`, `Tue 14:00`, or a date.

    Both are in seconds since the epoch.
    """
    there, here = time.localtime(at), time.localtime(now)
    if there[:3] == here[:3]:
        return time.strftime("%H:%M", there)
    is_near = abs(at - now) < _WEEKDAY_IS_CLEAR_S
    return time.strftime("%a %H:%M" if is_near else "%Y-%m-%d %H:%M", there)


def duration(seconds: float) -> str:
    """Return a length of time in the two units that say enough: `2 h 05 min`, `3 min 20 s`."""
    whole = round(seconds)
    if whole >= 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 60} min {whole % 60:02d} s" if whole >= 60 else f"{whole} s"


def roughly(seconds: float) -> str:
    """Return a length of time in the one unit that says its size: `40 s`, `25 min`, `3 h`."""
    for unit_s, name in ((_DAY_S, "d"), (3600.0, "h"), (60.0, "min")):
        if seconds >= 1.5 * unit_s:
            return f"{seconds / unit_s:.0f} {name}"
    return f"{seconds:.0f} s"
