"""What is around a daemon: who wakes it, where its snapshot goes, who asks and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from auto_iter.alignment.requests import Inbox
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.notify.herald import Herald


class Sleeper(Protocol):
    """Waits, and knows whether somebody asked to stop (`clock.Signals`)."""

    def should_stop(self) -> bool:
        """Tell whether somebody asked to stop."""
        ...

    def sleep(
        self,
        seconds: float,
        descriptors: Iterable[int] = (),
        has_news: Callable[[], bool] | None = None,
    ) -> None:
        """Wait until there is something to do."""
        ...


@dataclass(frozen=True)
class SnapshotSink:
    """Where the daemon keeps its snapshot, and who looks on."""

    save: Callable[[Snapshot], None]
    seen: Callable[[Snapshot], None]
    alive: Callable[[], None]
    """Called again and again, also while nothing happens for hours."""
    check: Callable[[], None]
    """Raises FencedError when the workspace is another daemon's by now."""
    inbox: Inbox
    """What people ask of the daemon."""
    herald: Herald
    """Who tells people of it."""
