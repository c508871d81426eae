"""Events that people are told of, and what the checkpoint remembers of them.

What is to be told is saved together with what it is about, and forgotten when it was delivered: a
daemon that is killed in between tells it again, under the same id.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from auto_iter.alignment.attempt import Record

Kind = Literal[
    "finished", "failed", "held", "stalled", "waiting", "converged", "diverging", "crowded", "test"
]


class Event(Record):
    """One event. `about`: which one of its kind, e.g. what is waited for; `words`: a sentence."""

    id: str
    kind: Kind
    at: float
    words: str
    about: str = ""
    remedy: str = ""
    iteration: int
    state: str
    files: tuple[int, ...] = ()
    verdict: str | None = None
    exit_code: int | None = None


class Told(Record):
    """That something was told, and when."""

    about: str
    at: float


class Notices(Record):
    """`outbox`: what is not delivered yet. `told`: by kind, and what is waited for.

    `moved_at`: when jobs last ended, or the state changed, which `mark` stands for.
    """

    number: int = 0
    outbox: tuple[Event, ...] = ()
    told: dict[str, Told] = Field(default_factory=dict)
    mark: str = ""
    moved_at: float = 0.0

    def without(self, delivered: frozenset[str]) -> Notices:
        """Return it without events that need not be told any more."""
        left = tuple(each for each in self.outbox if each.id not in delivered)
        return self.model_copy(update={"outbox": left})
