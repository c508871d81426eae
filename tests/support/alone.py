"""A daemon that nobody asks, looks at, or listens to: what stands in where a test needs no more."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from auto_iter.alignment.event import Event
from auto_iter.alignment.requests import Inbox, Request
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.surroundings import SnapshotSink
from auto_iter.notify.herald import Herald


class NobodyAsks:
    """An inbox that stays empty."""

    def pending(self) -> tuple[Request, ...]:
        return ()

    def ids(self) -> frozenset[str]:
        return frozenset()

    def drop(self, requests: tuple[Request, ...]) -> None:
        pass


class Silent:
    """A herald that tells nobody."""

    def noticed(self, snapshot: Snapshot, now: float) -> Snapshot:
        del now
        return snapshot

    def deliver(self, outbox: Sequence[Event]) -> frozenset[str]:
        del outbox
        return frozenset()

    def has_news(self) -> bool:
        return False


class NoCredentials:
    """Nobody asks who we are."""

    is_needed = False

    def lapsed(self, now: float) -> None:
        pass

    def warning(self, now: float, needed_until: float | None) -> None:
        pass


def sink_of(  # noqa: PLR0917 - the parts of a sink
    save: Callable[[Snapshot], None],
    seen: Callable[[Snapshot], None] = lambda _snapshot: None,
    alive: Callable[[], None] = lambda: None,
    check: Callable[[], None] = lambda: None,
    inbox: Inbox | None = None,
    herald: Herald | None = None,
) -> SnapshotSink:
    """Return where a daemon saves, with nobody around but who is given."""
    return SnapshotSink(save, seen, alive, check, inbox or NobodyAsks(), herald or Silent())
