"""What everybody else has to know of HTCondor where DAGMan submits the jobs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from auto_iter.alignment.model import Batch
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.driver import DiskUse, Home
from auto_iter.batch.htcondor.dagman.nodes import NodeJobs
from auto_iter.batch.htcondor.dagman.submit import reco_text
from auto_iter.batch.htcondor.driver import HTCondorDriver
from auto_iter.config.schema import Config


class DagDriver(HTCondorDriver):
    """HTCondor, as the nodes of the DAG with the key `key` see it."""

    def __init__(self, config: Config, key: str) -> None:
        super().__init__(config)
        self._key = key

    @property
    def disk_use(self) -> DiskUse:
        """What has failed has failed: no job of a node is run again for a disk's sake."""
        return DiskUse.NOTHING

    def submit_file(self, batch: Batch) -> tuple[str, str]:
        """Return the submit description that an iteration's nodes share."""
        return "reco.sub", reco_text(batch, self._config, self._key)

    @contextmanager
    def opened(
        self,
        home: Home,
        should_stop: Callable[[], bool],
        patience_s: float | None = None,
    ) -> Iterator[BatchSystem]:
        """Give the jobs that the nodes were."""
        del should_stop, patience_s
        yield NodeJobs(home.records.parent, spool=self._config.spool)
