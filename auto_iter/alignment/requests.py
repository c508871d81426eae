"""What a person asks of an alignment, whether a daemon is at work on it or not.

A daemon takes requests in between two steps, and remembers in the checkpoint which: a request is in
one of the two places until the checkpoint is saved, and in both for an instant after that.
"""

from __future__ import annotations

from typing import Literal, Protocol

from auto_iter.alignment.attempt import Record

Wish = Literal["pause", "go on", "retry", "skip", "cleaned"]


class Request(Record):
    """One wish. `files`: the raw files meant; `iterations`: those that were cleaned."""

    id: str
    wish: Wish
    by: str
    at: float
    files: tuple[int, ...] = ()
    iterations: tuple[int, ...] = ()
    freed_bytes: int = 0


class Pause(Record):
    """Since when, and by whom, nothing new is begun."""

    since: float
    by: str


class Inbox(Protocol):
    """Where requests lie until they are in the checkpoint."""

    def pending(self) -> tuple[Request, ...]:
        """Return all that lie there, the oldest first."""
        ...

    def ids(self) -> frozenset[str]:
        """Return the ids of what lies there; cheap."""
        ...

    def drop(self, requests: tuple[Request, ...]) -> None:
        """Remove those that the checkpoint knows of; whoever asked sees by it that they are."""
        ...
