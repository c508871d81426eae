"""Mille binaries on disk, both flavours, float or double, plain or gzip, read in blocks.

C flavour: int32 2m, m reals, m int32; a negative length announces doubles (readc.c). Fortran
flavour: the same inside 4-byte record markers (unformatted sequential access, mille.f90). Pede
itself reads Fortran files only with floats and without gzip.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from auto_iter.errors import InputError, raise_what_passes
from auto_iter.millepede.mille.records import (
    BadRecordError,
    Indices,
    Integers,
    Measurements,
    MilleError,
    StrayBytesError,
    decode,
    mask_of,
)

DEFAULT_BLOCK_BYTES = 1 << 20  # the products of a block then stay in the cache
_LONGEST = 1 << 26  # words; a longer record is damage, not to be collected in memory
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Flavour:
    """How records are laid out: C or Fortran, float or double."""

    fortran: bool = False
    double: bool = False

    def __str__(self) -> str:
        """Return words for people: "C, float"."""
        return f"{'Fortran' if self.fortran else 'C'}, {'double' if self.double else 'float'}"


@dataclass(frozen=True)
class Block:
    """Whole, consecutive records of a file, all of one precision.

    `reals` and `integers` (words) of all records, `first` (records + 1) where each begins in them.
    `first_record` is 1-based, `byte` the position of that record in the (uncompressed) file.
    """

    reals: NDArray[np.floating]
    integers: Integers
    first: Indices
    first_record: int
    byte: int
    double: bool

    def measurements(self, path: Path) -> Measurements:
        """Decode; errors name the file and the first record of the block."""
        try:
            return decode(self.reals, self.integers, self.first)
        except BadRecordError as error:
            raise BadRecordError(
                f"{path}: {error.reason} (block of records from {self.first_record} on, "
                f"byte {self.byte})",
                "run `auto-iter millepede check` on it",
            ) from None


def detect_flavour(path: Path) -> Flavour:
    """Flavour of the first record. Raises MilleError when it can be neither."""
    with _open(path) as stream:
        head = stream.read(8)
    if not head:
        return Flavour()
    if len(head) < 8:
        raise MilleError(f"{path}: truncated after {len(head)} bytes, within the first record")
    marker, length = np.frombuffer(head, "<i4").tolist()
    if length != 0 and marker == 4 + 4 * _payload_words(length):
        return Flavour(fortran=True, double=length < 0)
    if marker % 2 or marker == 0:
        raise MilleError(f"{path}: the first word, {marker}, starts neither a C nor a Fortran file")
    return Flavour(double=marker < 0)


def read_blocks(
    path: Path, fortran: bool, *, block_bytes: int = DEFAULT_BLOCK_BYTES
) -> Iterator[Block]:
    """Yield all records in order; at most some times `block_bytes` are in memory.

    Raises MilleError that names file, record and byte when the file is truncated or corrupt.
    """
    record, byte, rest = 1, 0, b""
    with _open(path) as stream:
        while True:
            more = _read(path, stream, max(block_bytes, len(rest)))
            if not more:
                break
            data = rest + more if rest else more
            words = np.frombuffer(data, "<i4", count=len(data) // 4)
            starts, used = _scan(path, words, fortran, record, byte)
            yield from _blocks(words, starts, fortran, record, byte)
            record += len(starts)
            byte += 4 * used
            rest = data[4 * used :]
    if rest:
        kind = MilleError if fortran or len(rest) >= 4 else StrayBytesError
        raise kind(f"{path}: truncated in record {record}, {len(rest)} bytes from byte {byte}")


def records_in(words: NDArray[np.int32]) -> Iterator[Measurements]:
    """Yield the records in `words` (int32): what a C file holds, in memory. Raises MilleError."""
    starts, _ = _scan(Path("records"), words, False, 1, 0)
    for block in _blocks(words, starts, False, 1, 0):
        yield block.measurements(Path("records"))


def _payload_words(length: int) -> int:
    """Return the 4-byte words that follow a record's length word."""
    return length if length >= 0 else -3 * length // 2


def _scan(
    path: Path, words: NDArray[np.int32], fortran: bool, record: int, byte: int
) -> tuple[list[int], int]:
    """Positions of the length words of the whole records, and the words they use.

    Each length tells where the next record starts, so this is the one loop over records; a
    memoryview makes a step cost some tens of nanoseconds.
    """
    view = words.data.cast("B").cast("i")
    starts: list[int] = []
    end, position = len(view), 0
    append = starts.append
    marker = 1 if fortran else 0  # words before the length, and behind the record
    while position + marker < end:
        length = view[position + marker]
        payload = length if length >= 0 else -3 * length // 2
        stop = position + 1 + payload + 2 * marker
        is_whole = stop <= end
        is_marked = not fortran or (
            view[position] == 4 + 4 * payload and (not is_whole or view[stop - 1] == view[position])
        )
        if length % 2 or not is_marked or (not is_whole and payload > _LONGEST):
            record, byte = record + len(starts), byte + 4 * position
            raise MilleError(
                f"{path}: corrupt at record {record}, byte {byte}: {view[position]} is not a "
                "record length"
            )
        if not is_whole:
            break
        append(position + marker)
        position = stop
    return starts, position


def _blocks(
    words: NDArray[np.int32], starts: list[int], fortran: bool, record: int, byte: int
) -> Iterator[Block]:
    """Cut where the precision changes, so that each block is one pair of arrays."""
    if not starts:
        return
    positions = np.array(starts, np.int64)
    lengths = words[positions].astype(np.int64)
    double = lengths < 0
    cuts = [0, *(np.flatnonzero(np.diff(double)) + 1).tolist(), len(positions)]
    for low, high in pairwise(cuts):
        start, size = positions[low:high], np.abs(lengths[low:high]) // 2
        is_double = bool(double[low])
        middle = start + 1 + (2 if is_double else 1) * size
        _, is_real = mask_of(start + 1, middle, len(words))
        first, is_integer = mask_of(middle, middle + size, len(words))
        reals = words[is_real].view("<f8" if is_double else "<f4")
        at = byte + 4 * (int(start[0]) - (1 if fortran else 0))
        yield Block(reals, words[is_integer], first, record + low, at, is_double)


def _open(path: Path) -> IO[bytes]:
    try:
        stream = path.open("rb")
        compressed = stream.read(2) == _GZIP_MAGIC
        stream.seek(0)
    except OSError as error:
        raise_what_passes(error, path)
        raise InputError(f"cannot read the Mille binary {path}: {error.strerror}") from error
    return gzip.GzipFile(fileobj=stream, mode="rb") if compressed else stream  # type: ignore[return-value]  # GzipFile reads bytes as any binary file does


def _read(path: Path, stream: IO[bytes], count: int) -> bytes:
    try:
        return stream.read(count)
    except (OSError, EOFError) as error:
        raise MilleError(
            f"{path}: the compressed data end early or are damaged ({error})"
        ) from error
