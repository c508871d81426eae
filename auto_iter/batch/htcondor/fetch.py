"""Bringing home what spooled jobs left with the schedd: retrieve, then move into place whole.

The schedd keeps a sandbox until it was retrieved. Outputs land in their job's own directory first,
where a transfer cut short does no harm, and are renamed into `2kfalignment` from there.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ledger import Ledger
from auto_iter.batch.htcondor.schedd import Ad, SandboxError, Schedd, WriteError
from auto_iter.errors import PASSING, InputError, TransientError
from auto_iter.files import sync_directory
from auto_iter.model import Problem, Submission, Trouble

AT_A_TIME: Final = 10
TRIES: Final = 3
AGAIN_AFTER_S: Final = 5.0


def fetch(schedd: Schedd, submission: Submission, ledger: Ledger) -> None:
    """Fetch every completed job's files, and deliver every output that is here.

    Raises TransientError when the schedd does not answer, when our own disk is full, or when the
    schedd could not read some job's files and may next time; after `TRIES` tries that is the job's
    problem. What cannot be written here never is: the files stay with the schedd until it can.
    """
    _deliver(ledger)
    waiting = [ad for ad in _completed(schedd, submission) if _is_wanted(ad, ledger)]
    failed: dict[int, str] = {}
    unwritten: list[WriteError] = []
    for group in _groups(waiting):
        for ad, complaint in _retrieve(schedd, submission, group):
            if complaint is None:
                _note_home(ad, ledger)
            elif isinstance(complaint, WriteError):
                unwritten.append(complaint)
            else:
                failed[ads.number_of(ad)] = str(complaint)
                _note_failure(ad, str(complaint), ledger)
        _deliver(ledger)
    if unwritten:
        raise _ours(unwritten[0])
    again = [number for number in failed if number not in ledger.unfetchable]
    if again:
        raise TransientError(
            f"files of {len(again)} jobs did not come, of raw file {again[0]:05d} because "
            f"{failed[again[0]]}",
            delay_s=AGAIN_AFTER_S,
        )


def _ours(error: WriteError) -> TransientError | InputError:
    """Return what a person hears of an output that cannot be written here."""
    what = f"{error.path}: {os.strerror(error.number)}"
    if error.number in PASSING:
        return TransientError(f"{what}: make room; the outputs wait with the schedd", AGAIN_AFTER_S)
    return InputError(
        f"{what}: an output cannot be written there, and waits with the schedd",
        "mend that, then `auto-iter resume` fetches it",
    )


def _completed(schedd: Schedd, submission: Submission) -> list[Ad]:
    # A direct job that is still to be seen has delivered by itself, and has no sandbox to fetch.
    which = f"{ads.of(submission)} && AutoIterSpool is true"
    constraint = f"{which} && JobStatus == {ads.COMPLETED} && !{ads.HOME}"
    return schedd.query(constraint, ads.JOB, at=submission.schedd)


def _is_wanted(ad: Ad, ledger: Ledger) -> bool:
    number = ads.number_of(ad)
    return number not in ledger.unfetchable and number not in ledger.ended


def _groups(waiting: Sequence[Ad]) -> Iterator[Sequence[Ad]]:
    for start in range(0, len(waiting), AT_A_TIME):
        yield waiting[start : start + AT_A_TIME]


def _retrieve(
    schedd: Schedd, submission: Submission, group: Sequence[Ad]
) -> Iterator[tuple[Ad, SandboxError | WriteError | None]]:
    """Retrieve a group at once or, when one of it does not come, each alone."""
    for ad in group:
        _make_room(ad)
    try:
        _retrieve_all(schedd, submission, group)
    except (SandboxError, WriteError) as error:
        if len(group) == 1:
            yield group[0], error
            return
        if isinstance(error, WriteError) and error.number in PASSING:
            raise _ours(error) from None  # the next one would not come either
        for ad in group:
            yield from _retrieve(schedd, submission, [ad])
    else:
        for ad in group:
            yield ad, None


def _retrieve_all(schedd: Schedd, submission: Submission, group: Sequence[Ad]) -> None:
    procs = [int(ad["ProcId"]) for ad in group]
    schedd.retrieve(int(submission.cluster), procs, at=submission.schedd)


def _make_room(ad: Ad) -> None:
    errand = ads.errand_of(ad)
    if errand is not None:
        errand.source.parent.mkdir(parents=True, exist_ok=True)
        Path(str(ad["SUBMIT_Iwd"]), "logs").mkdir(exist_ok=True)
        # What lies there is of an earlier try, and might be taken for this one's.
        errand.source.unlink(missing_ok=True)


def _note_home(ad: Ad, ledger: Ledger) -> None:
    number, problem, errand = ads.number_of(ad), ads.problem_of(ad), ads.errand_of(ad)
    if problem is None and errand is not None:
        if errand.source.exists():
            ledger.errands.append(errand)
        else:
            problem = _failed(ad, "the job ended well, but left no output")
    ledger.enter(number, problem, ads.machine_of(ad))


def _note_failure(ad: Ad, complaint: str, ledger: Ledger) -> None:
    number = ads.number_of(ad)
    ledger.fetch_tries[number] = ledger.fetch_tries.get(number, 0) + 1
    if ledger.fetch_tries[number] >= TRIES:
        reason = f"its files did not come in {TRIES} tries: {complaint}"
        ledger.unfetchable[number] = ads.problem_of(ad) or _failed(ad, reason)


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


def _deliver(ledger: Ledger) -> None:
    """Run the errands; one that cannot be run now stays on the list."""
    touched = set()
    while ledger.errands:
        errand = ledger.errands[-1]
        if errand.source.exists():
            move_whole(errand.source, errand.target)
            touched.add(errand.target.parent)
        ledger.errands.pop()
    for directory in touched:
        sync_directory(directory)


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
