"""Before pede reads them: whether Mille binaries are those that the conversions wrote.

Reads every byte once, here and not in the daemon; what follows reads them again from memory.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from auto_iter.alignment.solution import Hashes
from auto_iter.errors import DamagedError, InputError, PhysicsError, raise_what_passes
from auto_iter.millepede.mille.file import read_blocks
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.results import ConversionRecord
from auto_iter.workspace.hashes import hash_of_all, hash_of_file

MOST_THREADS = 4
"""Hashing lets other threads run; more of them than this only wait for the disk."""


def refuse_damaged(binaries: Sequence[Path], records: Sequence[ConversionRecord]) -> None:
    """Raise DamagedError, naming all that are not as their conversion's record says.

    Where an older version recorded no hash, the number of records has to do.
    """
    with ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1)) as pool:
        found = list(pool.map(_what_is_wrong, binaries, records))
    wrong = {path: reason for path, reason in zip(binaries, found, strict=True) if reason}
    if wrong:
        first = next(iter(wrong))
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        raise DamagedError(f"{first}: {wrong[first]}{more}", list(wrong))


def _what_is_wrong(binary: Path, record: ConversionRecord) -> str:
    try:
        told = record.binary
        if told is not None:
            is_same = binary.stat().st_size == told.size and hash_of_file(binary) == told.digest
            return "" if is_same else "does not match its checksum"
        records = sum(len(each.first) - 1 for each in read_blocks(binary, fortran=False))
    except InputError as error:
        return str(error).removeprefix(f"{binary}: ")
    except OSError as error:
        raise_what_passes(error, binary)
        return f"cannot be read ({error.strerror})"
    told_records = record.statistics.records
    return "" if records == told_records else f"holds {records} records instead of {told_records}"


def refuse_lost_records(read: int, records: Sequence[ConversionRecord]) -> None:
    """Raise PhysicsError when the solver has read other records than were converted.

    `read`: as the solver says; 0: it does not.
    """
    converted = sum(record.statistics.records for record in records if record.error is None)
    if read not in (0, converted):
        raise PhysicsError(
            f"pede has read {read} records, but {converted} were converted",
            "look at what it says of the Mille binaries in step0/millepede.log",
        )


def hashes_of(
    request: SolveRequest, records: Sequence[ConversionRecord], before: str, strategy: str
) -> Hashes:
    """Return what a solution is made of; `constants` is still to come.

    `before`: the hash of the constants that the tracks were made with, `strategy`: its content.
    """
    converted = [[each.cuts.model_dump(), asdict(each.labels)] for each in records[:1]]
    return Hashes(
        constants_before=before,
        root_files=hash_of_all([record.number, record.source.digest] for record in records),
        mille_binaries=hash_of_all(
            [record.number, record.binary.digest if record.binary else ""] for record in records
        ),
        settings=hash_of_all([request.settings, *converted]),
        strategy=hash_of_all([strategy]),
    )
