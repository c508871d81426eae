"""The daemon's side of telling people: one event at a time, in a child, and never waited for.

The event travels in the child's environment: a full disk is told of, too.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from auto_iter.alignment.event import Event
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.notify import Notify
from auto_iter.errors import passes
from auto_iter.log.setup import get_logger
from auto_iter.notify.delivery import Delivery
from auto_iter.notify.notices import noticed
from auto_iter.processes.children import Child, start_child

VARIABLE = "AUTO_ITER_EVENT"
SPARE_S = 30.0
"""More than the time limit that a delivery may take, before it is ended as a whole."""


class Herald(Protocol):
    """Who tells people of an alignment."""

    def noticed(self, snapshot: Snapshot, now: float) -> Snapshot:
        """Return the snapshot that remembers what is to be told."""
        ...

    def deliver(self, outbox: Sequence[Event]) -> frozenset[str]:
        """Begin with the next, if nothing is on its way; return the ids of what is settled."""
        ...

    def has_news(self) -> bool:
        """Tell whether something was delivered, or could not be, since `deliver`."""
        ...


class ChildHerald:
    """Tells by child processes of a daemon."""

    def __init__(self, root: Path, settings: Notify, env: Mapping[str, str]) -> None:
        self._root, self._settings, self._env = root, settings, env
        self._child: Child | None = None
        self._event = ""
        self._until = 0.0

    def noticed(self, snapshot: Snapshot, now: float) -> Snapshot:
        """Return the snapshot that remembers what is to be told."""
        return noticed(snapshot, now, self._settings)

    def has_news(self) -> bool:
        """Tell whether a delivery is over."""
        return self._child is not None and self._child.has_ended

    def deliver(self, outbox: Sequence[Event]) -> frozenset[str]:
        """Begin with the next, if nothing is on its way; return the ids of what is settled.

        An event is settled when it was delivered, and as well when it could not be: that is logged,
        and nothing else waits for it.
        """
        settled = self._reap()
        left = [event for event in outbox if event.id not in settled]
        if self._child is None and left:
            settled |= self._start(left[0])
        return settled

    def finish(
        self,
        outbox: Sequence[Event],
        spare_s: float = SPARE_S,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> frozenset[str]:
        """Deliver all, as far as that takes no longer than the time limit of one, and `spare_s`.

        Returns what is settled; the rest is told by whoever goes on, as after a stop.
        """
        deadline = time.monotonic() + self._settings.time_limit_s + spare_s
        settled = self.deliver(outbox)
        while self._child is not None and self._child.ends_within(
            max(0.0, deadline - time.monotonic()), should_stop
        ):
            settled |= self.deliver([event for event in outbox if event.id not in settled])
        self.stop()
        return settled

    def stop(self) -> None:
        """End what is on its way: it is told again by whoever goes on."""
        if self._child is not None:
            self._child.stop()
        self._child = None

    def _start(self, event: Event) -> frozenset[str]:
        root = self._root
        delivery = Delivery(
            event=event, settings=self._settings, workspace=str(root), title=root.name
        )
        env = {**self._env, VARIABLE: delivery.model_dump_json()}
        try:
            command = [sys.executable, "-m", "auto_iter.notify"]
            self._child = start_child(command, env=env, workspace=root)
        except OSError as error:
            if passes(error):  # no process, no room in /tmp: not yet
                return frozenset()
            get_logger().warning("nobody was told", event_id=event.id, reason=str(error))
            return frozenset({event.id})
        self._event = event.id
        self._until = time.monotonic() + 2 * self._settings.time_limit_s + SPARE_S
        return frozenset()

    def _reap(self) -> frozenset[str]:
        child = self._child
        if child is None or not (child.has_ended or time.monotonic() > self._until):
            return frozenset()
        self._child = None
        error: str | None = "not delivered in time"
        if child.has_ended:
            error = child.finish()
        else:
            child.stop()
        if error is None:
            get_logger().info("told", event_id=self._event)
        else:
            get_logger().warning("nobody was told", event_id=self._event, reason=error)
        return frozenset({self._event})
