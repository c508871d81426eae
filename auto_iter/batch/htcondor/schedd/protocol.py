"""A schedd, as the HTCondor batch system needs it: a handful of calls on plain values.

`child` makes them in a child process; tests hand in a schedd made of dictionaries.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from auto_iter.alignment.model import Submission
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ads import Ad
from auto_iter.errors import FULL_DISK_ERRNOS, Hindrance, TransientError

JobAction: TypeAlias = Literal["hold", "release", "remove"]


class SandboxError(TransientError):
    """The schedd is there, but cannot read a job's files."""


class WriteError(TransientError):
    """A job's files came, but could not be written here: no fault of the job's, or the schedd's.

    They stay with the schedd, and can be fetched again.
    """

    def __init__(self, path: str, number: int) -> None:
        super().__init__(f"{path}: {os.strerror(number)}")
        self.path = path
        self.number = number
        if number in FULL_DISK_ERRNOS:
            self.kind = Hindrance.DISK


class RefusedError(TransientError):
    """The schedd took none of a submission, for a reason of its own: perhaps for good."""


@dataclass(frozen=True)
class Placed:
    """What the schedd made of a submission."""

    cluster: int
    jobs: int
    schedd: str


@dataclass(frozen=True)
class QueueCounts:
    """How many jobs of the queue are how. `running` includes those that transfer or are paused."""

    total: int = 0
    idle: int = 0
    held: int = 0
    completed: int = 0
    removed: int = 0

    @classmethod
    def of(cls, statuses: Mapping[int, int]) -> QueueCounts:
        """Return what so many jobs of each status (HTCondor's `JobStatus`) amount to."""
        numbers = {name: statuses.get(status, 0) for name, status in _STATUS.items()}
        return cls(total=sum(statuses.values()), **numbers)

    @property
    def running(self) -> int:
        """Jobs on a machine."""
        return self.total - self.idle - self.held - self.completed - self.removed


_STATUS = {"idle": 1, "held": ads.HELD, "completed": ads.COMPLETED, "removed": 3}


def by_cluster(rows: Iterable[Sequence[int]]) -> dict[int, QueueCounts]:
    """Return the counts of each cluster, of rows with cluster, status and number of jobs."""
    found: dict[int, Counter[int]] = {}
    for cluster, status, number in rows:
        found.setdefault(cluster, Counter())[status] += number
    return {cluster: QueueCounts.of(statuses) for cluster, statuses in found.items()}


class Schedd(Protocol):
    """One schedd.

    Constraints are ClassAd expressions. Each call raises TransientError when the schedd does not
    answer in time or at all, and PermanentError when it refuses for good.
    """

    def at(self, name: str | None) -> Schedd:
        """Return the schedd called `name`, reached the same way; for None, this one."""
        ...

    def name(self) -> str:
        """Return its full name, by which it is found from everywhere."""
        ...

    def count(self, constraint: str) -> QueueCounts:
        """Count the queue's jobs; the answer is one ad whatever their number."""
        ...

    def count_by_cluster(self, constraint: str) -> dict[int, QueueCounts]:
        """Count the queue's jobs by cluster; the answer is an ad for each cluster, status and key.

        The constraint is about these three, and knows nothing else of a job.
        """
        ...

    def query(self, constraint: str, projection: Sequence[str], *, limit: int = -1) -> list[Ad]:
        """Return ads of the queue's jobs, some attributes of them."""
        ...

    def cluster_ad(self, cluster: int, projection: Sequence[str]) -> Ad | None:
        """Return what the jobs of a cluster share, and how many of them exist already."""
        ...

    def history(self, constraint: str, projection: Sequence[str], *, limit: int) -> list[Ad]:
        """Return ads of jobs that left the queue, the latest first, at most `limit`."""
        ...

    def has_machine(self, constraint: str) -> bool:
        """Tell whether the pool has a machine that is such, by its ad at the collector."""
        ...

    def store_credential(self) -> None:
        """Give the credential daemon a fresh Kerberos credential for our jobs."""
        ...

    def submit(
        self, description: Mapping[str, str], rows: Sequence[Mapping[str, str]], *, spool: bool
    ) -> Placed:
        """Submit one cluster with one job a row, all or nothing; spooled ones wait for `spool`.

        Raises LimitError when they are too many, RefusedError when the schedd says no.
        """
        ...

    def spool(self, placed: Placed) -> None:
        """Send the input of the cluster that was submitted last, by this very process."""
        ...

    def retrieve(self, cluster: int, procs: Collection[int]) -> None:
        """Bring the sandboxes of completed, spooled jobs to where they were submitted from.

        Raises SandboxError when one of them cannot be had, WriteError when it cannot be written
        here; after some of them may have come.
        """
        ...

    def act(self, action: JobAction, constraint: str, reason: str) -> int:
        """Hold, release or remove jobs; return how many it changed."""
        ...

    def edit(self, constraint: str, attribute: str, value: str) -> int:
        """Set an attribute of queued jobs; return of how many."""
        ...


class DagSchedd(Schedd, Protocol):
    """A schedd that DAGs are submitted to."""

    def submit_dag(
        self,
        directory: Path,
        dag: str,
        options: Mapping[str, str | int],
        commands: Mapping[str, str],
    ) -> Placed:
        """Submit DAGMan for the file `dag` in `directory`; `commands` change its description."""
        ...


def make_sure_we_are_known(schedd: Schedd) -> None:
    """Raise TransientError when the schedd would not let us change our jobs.

    With an expired ticket a schedd may show nothing instead of refusing: that is no answer.
    """
    schedd.act("release", ads.NONE, "auto-iter: are we known here?")


@dataclass(frozen=True)
class Jobs:
    """The jobs of `submission` on its schedd: what is asked of all jobs there, narrowed to them."""

    schedd: Schedd
    submission: Submission

    def _those(self, which: str | None) -> str:
        ours = ads.of(self.submission)
        return ours if which is None else f"{ours} && {which}"

    def count(self, which: str) -> QueueCounts:
        """Count those in the queue."""
        return self.schedd.count(self._those(which))

    def query(
        self, which: str | None = None, projection: Sequence[str] = ads.JOB, *, limit: int = -1
    ) -> list[Ad]:
        """Return ads of those in the queue."""
        return self.schedd.query(self._those(which), projection, limit=limit)

    def history(self, limit: int) -> list[Ad]:
        """Return ads of those that left the queue, the latest first."""
        return self.schedd.history(self._those(None), ads.JOB, limit=limit)

    def act(self, action: JobAction, reason: str, which: str | None = None) -> None:
        """Hold, release or remove them."""
        self.schedd.act(action, self._those(which), f"auto-iter: {reason}")

    def edit(self, which: str, attribute: str, value: int) -> None:
        """Set an attribute of those in the queue."""
        self.schedd.edit(self._those(which), attribute, str(value))
