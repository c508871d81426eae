"""Bringing home what spooled jobs left with the schedd: retrieve, then move into place whole.

The schedd keeps a sandbox until it was retrieved. Outputs land in their job's own directory first,
where a transfer cut short does no harm, and are renamed into `2kfalignment` from there.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from auto_iter.alignment.model import Problem
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ads import Ad
from auto_iter.batch.htcondor.ends import Ends
from auto_iter.batch.htcondor.queued import Sight
from auto_iter.batch.htcondor.schedd.protocol import Jobs, SandboxError, WriteError
from auto_iter.errors import TRANSIENT_ERRNOS, InputError, TransientError
from auto_iter.rawfiles import spoken

AT_A_TIME: Final = 10
TRIES: Final = 3
AGAIN_AFTER_S: Final = 5.0


class Sandboxes:
    """What a cluster's completed jobs left with the schedd."""

    def __init__(self, jobs: Jobs, ends: Ends) -> None:
        self._jobs = jobs
        self._ends = ends
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
        if self._ends.undelivered or not is_home:
            self._fetch()
            self._home = seen

    def _fetch(self) -> None:
        self._ends.deliver()
        failed: dict[int, str] = {}
        unwritten: list[WriteError] = []
        for group in _groups(self._wanted()):
            for ad, complaint in self._retrieve(group):
                if complaint is None:
                    self._ends.take(ad, is_fetched=True)
                elif isinstance(complaint, WriteError):
                    unwritten.append(complaint)
                else:
                    failed[ads.number_of(ad)] = str(complaint)
                    self._note_failure(ad, str(complaint))
            self._ends.deliver()
        if unwritten:
            raise _ours(unwritten[0])
        again = [number for number in failed if number not in self.unfetchable]
        if again:
            raise TransientError(
                f"the files of {len(again)} jobs could not be fetched; raw file "
                f"{spoken(again[0])}: {failed[again[0]]}",
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
            procs = [int(ad["ProcId"]) for ad in group]
            self._jobs.schedd.retrieve(int(self._jobs.submission.cluster), procs)
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

    def _note_failure(self, ad: Ad, complaint: str) -> None:
        number = ads.number_of(ad)
        self._tries[number] += 1
        if self._tries[number] >= TRIES:
            reason = f"its files could not be fetched in {TRIES} tries: {complaint}"
            self.unfetchable[number] = ads.problem_of(ad) or ads.failed(ad, reason)


def _ours(error: WriteError) -> TransientError | InputError:
    """Return what a person hears of an output that cannot be written here."""
    what = f"{error.path}: {os.strerror(error.number)}"
    if error.number in TRANSIENT_ERRNOS:
        return TransientError(f"{what}: make room; the outputs stay with the schedd", AGAIN_AFTER_S)
    return InputError(
        f"{what}: an output cannot be written there, and stays with the schedd",
        "fix that, then `auto-iter resume` fetches it",
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
