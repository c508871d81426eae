"""What everybody else has to know of the local batch system."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import ClassVar

from auto_iter.alignment.model import Batch
from auto_iter.alignment.policy import Pace
from auto_iter.alignment.ports import BatchSystem, Clock
from auto_iter.batch.driver import Check, DiskUse
from auto_iter.batch.htcondor.submit import submit_file
from auto_iter.batch.local.system import Limits, LocalBatch
from auto_iter.config.schema import Config


class LocalDriver:
    """Implements `driver.BatchDriver`."""

    name: ClassVar[str] = "local"
    pace = Pace()
    disk_use = DiskUse.RUN

    def __init__(self, config: Config) -> None:
        self._config = config

    @staticmethod
    def is_set_up(env: Mapping[str, str]) -> bool:
        """Tell that it is: it comes with the program."""
        del env
        return True

    @staticmethod
    def made(key: str) -> bool:
        """Tell whether a key names no schedd."""
        return "@" not in key

    @property
    def cpus(self) -> int:
        """Processors of one job, as on HTCondor."""
        return self._config.htcondor.request_cpus

    def submit_file(self, batch: Batch) -> tuple[str, str]:
        """Return HTCondor's: who has a schedd elsewhere can run the same jobs there."""
        return submit_file(batch, self._config.htcondor)

    def refuse_machine(self, env: Mapping[str, str]) -> None:
        """Refuse none."""

    def refuse_place(self, directory: Path) -> None:
        """Refuse none."""

    def refuse_batch(self, batch: Batch) -> None:
        """Refuse none: arguments and paths are handed over as they are."""

    @contextmanager
    def checks(self, env: Mapping[str, str]) -> Iterator[Sequence[Check]]:
        """Give none."""
        del env
        yield ()

    @contextmanager
    def opened(
        self,
        workspace_id: str,
        records: Path,
        clock: Clock,
        should_stop: Callable[[], bool],
        patience_s: float | None = None,
    ) -> Iterator[BatchSystem]:
        """Give the jobs of a workspace. No call waits for anything."""
        del should_stop, patience_s
        local = LocalBatch(
            records,
            workspace_id,
            clock=clock,
            rng=random.SystemRandom(),
            limits=Limits(self._config.local.slots, self._config.local.enforce_memory),
            holds=self._config.htcondor.holds,
        )
        with closing(local):
            yield local
