"""What a state is handed and what it answers.

A state is one function `run(snapshot, ports) -> Fire | Stay`. It may have been run before, wholly
or in part; it never saves, sleeps or touches the machine. The daemon does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from auto_iter.alignment.plan import Plan
from auto_iter.alignment.policy import Policy
from auto_iter.alignment.ports import (
    BatchSystem,
    Credentials,
    MillepedeChain,
    Reconstruction,
)
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.rawfiles import logged


@dataclass(frozen=True)
class Ports:
    """The world, as the states see it."""

    batch: BatchSystem
    reconstruction: Reconstruction
    millepede: MillepedeChain
    now: Callable[[], float]
    """Seconds since the epoch."""
    policy: Policy
    plan: Plan
    credentials: Credentials


_RAW_FILES = frozenset({"file", "first", "last", "files"})
"""The fields of a note that name raw files (`file` also others, `files` also says how many)."""


def _told(value: object) -> object:
    if isinstance(value, list):
        return [_told(each) for each in value]
    return logged(value) if isinstance(value, int) else value


@dataclass(frozen=True)
class Note:
    """A line for the log: a short constant phrase and its fields."""

    phrase: str
    fields: dict[str, object] = field(default_factory=dict)
    level: str = "info"

    @property
    def told(self) -> dict[str, object]:
        """The fields as the log has them: raw files of several runs as `011705:00400`."""
        return {
            key: _told(value) if key in _RAW_FILES else value for key, value in self.fields.items()
        }


@dataclass(frozen=True)
class Fire:
    """The state's work is done; `event` says how."""

    event: str
    snapshot: Snapshot
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class Stay:
    """Not done yet: save the snapshot if it changed, and come back.

    `wait_s` is how long nothing is expected to happen; None stands for the poll interval.
    """

    snapshot: Snapshot
    wait_s: float | None = None
    notes: tuple[Note, ...] = ()


Outcome: TypeAlias = Fire | Stay
State: TypeAlias = Callable[[Snapshot, Ports], Outcome]
