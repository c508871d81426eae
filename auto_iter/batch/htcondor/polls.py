"""When a cluster is asked for, and of when an answer has to be that others were given."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager

AFTER_ACTION_S = 30.0
"""For so long after jobs were released or removed, every poll asks the schedd."""

HEARD_AT_MOST = 10
"""So often running, what others were told will do: then every daemon looks for itself again."""


class Polls:
    """When the schedd was asked about a cluster, and when it is to be asked again.

    `last`: of when the last answer is, also where another daemon was given it.
    """

    def __init__(self, interval_s: float, now: Callable[[], float]) -> None:
        self._interval_s = interval_s
        self._now = now
        self._is_urgent = False
        self._acted_at: float | None = None
        self._changed_at = -math.inf
        self._heard = 0
        self.last: float | None = None

    def is_due(self) -> bool:
        """Tell whether the last answer is too old, or there is a reason to ask."""
        now = self._now()
        if self.last is None or self._is_urgent or self._has_just_acted(now):
            return True
        return now - self.last >= self._interval_s

    def may_hear(self) -> bool:
        """Tell whether an answer that another daemon was given may do."""
        is_as_usual = not self._is_urgent and not self._has_just_acted(self._now())
        return self.last is not None and is_as_usual and self._heard < HEARD_AT_MOST

    def is_news(self, asked_at: float) -> bool:
        """Tell whether the answer to a question put at `asked_at` says more than we know.

        One from before we last did something with the jobs does not.
        """
        is_later = asked_at > self._changed_at and (self.last is None or asked_at > self.last)
        return is_later and 0 <= self._now() - asked_at < self._interval_s

    def _has_just_acted(self, now: float) -> bool:
        return self._acted_at is not None and now - self._acted_at < AFTER_ACTION_S

    def hurry(self) -> None:
        """Make the next poll due."""
        self._is_urgent = True

    def note_action(self) -> None:
        """Note that jobs were changed: what the schedd makes of it is wanted soon."""
        self._acted_at = self._now()

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Change the queue, also where that seems to fail: answers up to its end are of before."""
        try:
            yield
        finally:
            self._changed_at = self._now()

    def note_poll(self) -> None:
        """Note that the schedd has just answered."""
        self.last, self._is_urgent = self._now(), False
        self._heard = 0

    def note_hearing(self, asked_at: float) -> None:
        """Note that somebody else's answer, to a question put at `asked_at`, has done."""
        self.last = asked_at
        self._heard += 1
