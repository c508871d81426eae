"""Bringing home what spooled jobs left with the schedd: retrieve, then move into place whole.

The schedd keeps a sandbox until it was retrieved. Outputs land in their job's own directory first,
where a transfer cut short does no harm, and are renamed into `2kfalignment` from there.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Protocol

from auto_iter.alignment.model import Problem, Trouble
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ads import PendingDelivery
from auto_iter.batch.htcondor.jobs import Jobs
from auto_iter.batch.htcondor.queued import Sight
from auto_iter.batch.htcondor.schedd import Ad, SandboxError, WriteError
from auto_iter.errors import TRANSIENT_ERRNOS, InputError, TransientError
from auto_iter.files import sync_directory

AT_A_TIME: Final = 10
TRIES: Final = 3
AGAIN_AFTER_S: Final = 5.0


class Known(Protocol):
    """What `ends.Ends` knows of ended jobs, as far as fetching needs it."""

    def __contains__(self, number: int) -> bool:
        """Tell whether the end of a raw file's job is known."""
        ...

    def enter(self, number: int, problem: Problem | None, machine: str | None) -> None:
        """Note how a job ended, and where."""
        ...


class Deliveries:
    """Outputs that are here, and still have to be moved to where they belong."""

    def __init__(self) -> None:
        self._pending: list[PendingDelivery] = []

    def __bool__(self) -> bool:
        """Tell whether there are any."""
        return bool(self._pending)

    def expect(self, delivery: PendingDelivery) -> None:
        """Add one."""
        self._pending.append(delivery)

    def run(self) -> None:
        """Run the deliveries; one that cannot be run now stays on the list."""
        touched = set()
        while self._pending:
            delivery = self._pending[-1]
            if delivery.source.exists():
                move_whole(delivery.source, delivery.target)
                touched.add(delivery.target.parent)
            self._pending.pop()
        for directory in touched:
            sync_directory(directory)


class Sandboxes:
    """What a cluster's completed jobs left with the schedd."""

    def __init__(self, jobs: Jobs, ends: Known, deliveries: Deliveries) -> None:
        self._jobs = jobs
        self._ends = ends
        self._deliveries = deliveries
        self._tries: Counter[int] = Counter()
        self._home: Sight | None = None
        """All that was complete when the queue said this is home."""
        self.unfetchable: dict[int, Problem] = {}
        """By raw file: the jobs whose files do not come."""

    def fetch(self, seen: Sight | None) -> None:
        """Fetch what is complete, as the queue was `seen` last, and deliver all that is here.

        Raises TransientError when the schedd does not answer, when our own disk is full, or when
        the schedd could not read some job's files and may next time; after `TRIES` tries that is
        the job's problem. What cannot be written here never is: the files stay with the schedd
        until it can.
        """
        is_home = seen is not None and (not seen.counts.completed or self._home is seen)
        if self._deliveries or not is_home:
            self._fetch()
            self._home = seen

    def _fetch(self) -> None:
        self._deliveries.run()
        failed: dict[int, str] = {}
        unwritten: list[WriteError] = []
        for group in _groups(self._wanted()):
            for ad, complaint in self._retrieve(group):
                if complaint is None:
                    self._note_home(ad)
                elif isinstance(complaint, WriteError):
                    unwritten.append(complaint)
                else:
                    failed[ads.number_of(ad)] = str(complaint)
                    self._note_failure(ad, str(complaint))
            self._deliveries.run()
        if unwritten:
            raise _ours(unwritten[0])
        again = [number for number in failed if number not in self.unfetchable]
        if again:
            raise TransientError(
                f"files of {len(again)} jobs did not come, of raw file {again[0]:05d} because "
                f"{failed[again[0]]}",
                delay_s=AGAIN_AFTER_S,
            )

    def _wanted(self) -> list[Ad]:
        # A direct job that is still to be seen has delivered by itself, and has no sandbox.
        completed = f"AutoIterSpool is true && JobStatus == {ads.COMPLETED} && !{ads.HOME}"
        found = self._jobs.query(completed)
        numbers = [(ads.number_of(ad), ad) for ad in found]
        return [ad for n, ad in numbers if n not in self.unfetchable and n not in self._ends]

    def _retrieve(
        self, group: Sequence[Ad]
    ) -> Iterator[tuple[Ad, SandboxError | WriteError | None]]:
        """Retrieve a group at once or, when one of it does not come, each alone."""
        for ad in group:
            _make_room(ad)
        try:
            self._jobs.retrieve([int(ad["ProcId"]) for ad in group])
        except (SandboxError, WriteError) as error:
            if len(group) == 1:
                yield group[0], error
                return
            if isinstance(error, WriteError) and error.number in TRANSIENT_ERRNOS:
                raise _ours(error) from None  # the next one would not come either
            for ad in group:
                yield from self._retrieve([ad])
        else:
            for ad in group:
                yield ad, None

    def _note_home(self, ad: Ad) -> None:
        number, problem, delivery = ads.number_of(ad), ads.problem_of(ad), ads.delivery_of(ad)
        if problem is None and delivery is not None:
            if delivery.source.exists():
                self._deliveries.expect(delivery)
            else:
                problem = _failed(ad, "the job ended well, but left no output")
        self._ends.enter(number, problem, ads.machine_of(ad))

    def _note_failure(self, ad: Ad, complaint: str) -> None:
        number = ads.number_of(ad)
        self._tries[number] += 1
        if self._tries[number] >= TRIES:
            reason = f"its files did not come in {TRIES} tries: {complaint}"
            self.unfetchable[number] = ads.problem_of(ad) or _failed(ad, reason)


def _ours(error: WriteError) -> TransientError | InputError:
    """Return what a person hears of an output that cannot be written here."""
    what = f"{error.path}: {os.strerror(error.number)}"
    if error.number in TRANSIENT_ERRNOS:
        return TransientError(f"{what}: make room; the outputs wait with the schedd", AGAIN_AFTER_S)
    return InputError(
        f"{what}: an output cannot be written there, and waits with the schedd",
        "mend that, then `auto-iter resume` fetches it",
    )


def _groups(waiting: Sequence[Ad]) -> Iterator[Sequence[Ad]]:
    for start in range(0, len(waiting), AT_A_TIME):
        yield waiting[start : start + AT_A_TIME]


def _make_room(ad: Ad) -> None:
    delivery = ads.delivery_of(ad)
    if delivery is not None:
        delivery.source.parent.mkdir(parents=True, exist_ok=True)
        Path(str(ad["SUBMIT_Iwd"]), "logs").mkdir(exist_ok=True)
        # What lies there is of an earlier try, and might be taken for this one's.
        delivery.source.unlink(missing_ok=True)


def _failed(ad: Ad, reason: str) -> Problem:
    job_id = f"{ad['ClusterId']}.{ad['ProcId']}"
    return Problem(
        ads.number_of(ad),
        Trouble.FAILED,
        reason,
        exit_code=0,
        machine=ads.machine_of(ad),
        job_id=job_id,
    )


def move_whole(source: Path, target: Path) -> None:
    """Make `source` appear as `target`, durable and whole, also on another file system."""
    target.parent.mkdir(parents=True, exist_ok=True)
    _sync(source)
    try:
        source.replace(target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        _sync(partial)
        partial.replace(target)
        source.unlink()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
