"""What everybody else has to know of the local batch system."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import ClassVar

from auto_iter.alignment.model import Batch
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.driver import BatchDriver, DiskUse, Home
from auto_iter.batch.htcondor.submit import submit_file
from auto_iter.batch.local.limits import Limits
from auto_iter.batch.local.system import LocalBatch
from auto_iter.config.schema import Config


class LocalDriver(BatchDriver):
    """Jobs on this machine, of any path, as often asked as one likes."""

    name: ClassVar[str] = "local"
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

    @contextmanager
    def opened(
        self, home: Home, should_stop: Callable[[], bool], patience_s: float | None = None
    ) -> Iterator[BatchSystem]:
        """Give the jobs of a workspace. No call waits for anything."""
        del should_stop, patience_s
        local = LocalBatch(
            home.records,
            home.workspace_id,
            now=home.now,
            rng=random.SystemRandom(),
            limits=Limits(self._config.local.slots, self._config.local.enforce_memory),
            holds=self._config.htcondor.holds,
        )
        with closing(local):
            yield local
