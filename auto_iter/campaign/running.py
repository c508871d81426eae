"""A campaign at work: it starts alignments, so many at once, and watches them to their end.

Each is a daemon like any other, in a session of its own: it goes on when the campaign ends, however
that happens. A campaign keeps no state. What there is to do is read off the workspaces, whose locks
see to it that no alignment has two daemons.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from auto_iter.campaign.plan import Campaign, Interval
from auto_iter.campaign.standing import Standing, lines
from auto_iter.daemon.lock import STALE_AFTER_S, live_holder, silence


class Process(Protocol):
    """A daemon that was started."""

    def poll(self) -> int | None:
        """Return its exit code; None while it runs."""
        ...


@dataclass
class Watch:
    """The world of a running campaign; tests hand in their own.

    `start`: start a daemon; `look`: how an interval stands; `wait`: for some seconds; `tell`: a
    line for a person; `now`: seconds of a clock that runs on.
    """

    start: Callable[[Interval], Process]
    look: Callable[[Interval], Standing]
    wait: Callable[[float], None]
    tell: Callable[[str], None]
    now: Callable[[], float]
    every_s: float = 2.0
    processes: dict[str, Process] = field(default_factory=dict)
    told: dict[str, tuple[object, ...]] = field(default_factory=dict)
    started_at: float = float("-inf")


def run(campaign: Campaign, watch: Watch) -> list[Standing]:
    """Start what is not done, each once, and return how all stand when no daemon is left."""
    while True:
        # Before looking: who ends in between has written down how, and is looked at once more.
        active = {each.name for each in campaign.intervals if _is_active(each, watch)}
        seen = [watch.look(each) for each in campaign.intervals]
        _tell(seen, watch)
        tried = active | watch.processes.keys()
        waiting = [
            each.interval for each in seen if not each.is_done and each.interval.name not in tried
        ]
        if not active and not waiting:
            return seen
        is_time = watch.now() - watch.started_at >= campaign.settings.stagger_s
        if waiting and is_time and len(active) < campaign.settings.parallel:
            watch.processes[waiting[0].name] = watch.start(waiting[0])
            watch.started_at = watch.now()
        else:
            watch.wait(watch.every_s)


def _is_active(interval: Interval, watch: Watch) -> bool:
    process = watch.processes.get(interval.name)
    is_ours = process is not None and process.poll() is None
    lock = interval.workspace.lock
    # Of a host that went down nothing but silence is left.
    is_heard = silence(lock, time.time()) < STALE_AFTER_S
    return is_ours or (is_heard and live_holder(lock) is not None)


def _tell(seen: Sequence[Standing], watch: Watch) -> None:
    rows = lines(seen)
    for each, row in zip(seen, rows, strict=True):
        name = each.interval.name
        if each.is_begun and watch.told.get(name) != each.news:
            watch.told[name] = each.news
            watch.tell(row)


def start_daemon(campaign: Campaign, interval: Interval) -> subprocess.Popen[bytes]:
    """Start `auto-iter run` for an interval, in a session of its own; its words go to a file."""
    said = campaign.said(interval)
    said.parent.mkdir(exist_ok=True)
    with said.open("ab") as sink:
        return subprocess.Popen(
            [sys.executable, "-m", "auto_iter", "run", *interval.command, *campaign.common],
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
