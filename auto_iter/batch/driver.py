"""What everybody else has to know of a batch system without running it: its driver says so.

Each batch system's folder has a module `driver`; `registry` lists them. Nobody else asks which one
is configured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Protocol

from auto_iter.alignment.model import Batch
from auto_iter.alignment.policy import ANY_PACE, Pace
from auto_iter.alignment.ports import BatchSystem
from auto_iter.config.schema import Config


class DiskUse(StrEnum):
    """What jobs do on the workspace's disk: where that is full, they fail through no fault."""

    NOTHING = "nothing"
    DELIVER = "deliver"
    RUN = "run"


@dataclass(frozen=True)
class Home:
    """What a batch system is given of a workspace: how its keys begin, and where it keeps notes."""

    workspace_id: str
    records: Path
    now: Callable[[], float]


@dataclass(frozen=True)
class Check:
    """One thing that has to be right on this machine; for `auto-iter doctor`.

    `look` says what it found, or raises AutoIterError. `remedy` stands in where that has none.
    """

    subject: str
    look: Callable[[], str]
    remedy: str = ""


class BatchDriver(Protocol):
    """A batch system as it is configured. Cheap to make, and holds nothing open.

    Each is a subclass: what has a body here is right for one that asks for nothing special.
    """

    name: ClassVar[str]
    """As in `batch.system`."""

    def __init__(self, config: Config) -> None: ...

    @staticmethod
    def is_set_up(env: Mapping[str, str]) -> bool:
        """Tell whether this machine can submit to it: then `auto` chooses it."""
        ...

    @staticmethod
    def made(key: str) -> bool:
        """Tell whether a submission key is one of its own."""
        ...

    @property
    def cpus(self) -> int:
        """Processors of one job."""
        ...

    @property
    def disk_use(self) -> DiskUse:
        """What its jobs do on the workspace's disk."""
        ...

    @property
    def pace(self) -> Pace:
        """How often it may be polled."""
        return ANY_PACE

    def submit_file(self, batch: Batch) -> tuple[str, str]:
        """Return name and content of a file with which a person can submit `batch` by hand."""
        ...

    def refuse_machine(self, env: Mapping[str, str]) -> None:
        """Raise InputError where nothing could ever be submitted from this machine."""

    def refuse_place(self, directory: Path) -> None:
        """Raise UsageError or InputError where no workspace can be in `directory`."""

    def refuse_batch(self, batch: Batch) -> None:
        """Raise UsageError or InputError for paths that a submission could not have."""

    def checks(self, env: Mapping[str, str]) -> AbstractContextManager[Sequence[Check]]:
        """Give what is to be checked; each makes sense only where the ones before are right."""
        del env
        return nullcontext(())

    def opened(
        self, home: Home, should_stop: Callable[[], bool], patience_s: float | None = None
    ) -> AbstractContextManager[BatchSystem]:
        """Give the batch system of one workspace.

        Calls give up when `should_stop`, and after `patience_s` where a person waits for them.
        """
        ...
