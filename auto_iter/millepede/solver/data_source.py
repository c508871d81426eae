"""The Mille binaries of a steering file as one stream of blocks, and the table of their labels."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from auto_iter.errors import InputError
from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.mille.file import DEFAULT_BLOCK_BYTES, read_blocks
from auto_iter.millepede.mille.records import (
    BadRecordError,
    Indices,
    Integers,
    Measurements,
    MilleError,
    StrayBytesError,
    part_of_each,
    select_records,
)
from auto_iter.millepede.solver.data_loop import LoopRequest, Sums, add_block, empty_sums
from auto_iter.millepede.steering.reader import Binary

_MOST_DIRECT = 1 << 20
"""Labels below can be looked up in an array, the faster way; it takes 4 MB at the most."""


class LabelTable:
    """Labels in the order they are met, and their positions in that order.

    `labels` is the one list of them. Two ways to search it are made anew whenever it grows: sorted,
    for any label, and an array indexed by the label, for blocks that have none beyond its end.
    """

    def __init__(self) -> None:
        self.labels = np.empty(0, np.int64)
        self._direct = np.empty(0, np.int32)
        self._order = np.empty(0, np.int32)
        self._sorted = np.empty(0, np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def indices(self, labels: Integers) -> Integers:
        """Positions (int32, from 0) of `labels`; new ones are appended in increasing order."""
        if not len(labels):
            return np.empty(0, np.int32)
        found = self._find(labels)
        if found.min() < 0:
            self._append(np.unique(labels[found < 0]).astype(np.int64))
            found = self._find(labels)
        return found

    def _find(self, labels: Integers) -> Integers:
        """Positions of `labels`, -1 for new ones."""
        if labels.max() < len(self._direct):
            return self._direct[labels]
        if not len(self):
            return np.full(len(labels), -1, np.int32)
        at = np.minimum(np.searchsorted(self._sorted, labels), len(self) - 1)
        return np.where(self._sorted[at] == labels, self._order[at], np.int32(-1))

    def _append(self, labels: Indices) -> None:
        self.labels = np.concatenate((self.labels, labels))
        self._order = np.argsort(self.labels).astype(np.int32)
        self._sorted = self.labels[self._order]
        small = self._sorted[: np.searchsorted(self._sorted, _MOST_DIRECT)]
        self._direct = np.full(int(small.max(initial=-1)) + 1, -1, np.int32)
        self._direct[small] = self._order[: len(small)]


@dataclass
class DataSource:
    """Reads all binaries, again for each loop; Fortran files come first, as in pede."""

    binaries: Sequence[Binary]
    max_records: int = 0
    read_error_is_end: bool = False
    block_bytes: int = DEFAULT_BLOCK_BYTES
    table: LabelTable = field(default_factory=LabelTable)
    records: int = 0
    measurements: int = 0
    local_parameters: int = 0
    most_measurements: int = 0
    read_errors: list[str] = field(default_factory=list)
    silent_ends: list[str] = field(default_factory=list)
    _seen: bool = False

    def blocks(self) -> Iterator[tuple[Measurements, Integers, float]]:
        """Yield records, the label positions of their derivatives, and the weight of the file.

        Raises PedeAbortError with pede's code where a file cannot be opened (15), ends within a
        record (18) or holds broken records (20).
        """
        left = self.max_records or None
        ordered = sorted(self.binaries, key=lambda b: not b.fortran)
        for number, binary in enumerate(ordered, start=1):
            for m in self._file(binary, number):
                part = m
                if left is not None and m.records > left:
                    part = select_records(m, np.arange(left))
                if left is not None:
                    left -= part.records
                if not self._seen:
                    self._count(part)
                # pede keeps weights in single precision
                weight = float(np.float32(binary.weight))
                yield part, self.table.indices(part.global_label), weight
                if left == 0:  # `maxrecord`: what is behind is not even read
                    self._seen = True
                    return
        self._seen = True

    def _file(self, binary: Binary, number: int) -> Iterator[Measurements]:
        try:
            for block in read_blocks(binary.path, binary.fortran, block_bytes=self.block_bytes):
                yield block.measurements(binary.path)
        except BadRecordError as error:
            raise PedeAbortError(error.reason, 20, error.remedy) from error
        except MilleError as error:
            # pede takes any read error of a Fortran file, and half a length word, for the end
            if binary.fortran or isinstance(error, StrayBytesError):
                _note(self.silent_ends, error.reason)
            elif self.read_error_is_end:
                _note(self.read_errors, error.reason)
            else:
                raise PedeAbortError(
                    error.reason,
                    18,
                    "is the flavour (Cfiles, Fortranfiles) right?",
                    number=f" {number:7d}",
                ) from error
        except InputError as error:
            raise PedeAbortError(error.reason, 15) from error

    def _count(self, m: Measurements) -> None:
        self.records += m.records
        self.measurements += len(m.value)
        self.local_parameters = max(self.local_parameters, int(m.local_index.max(initial=0)))
        longest = int(np.diff(m.record_first).max(initial=0))
        self.most_measurements = max(self.most_measurements, longest)

    def loop(self, request: Callable[[], LoopRequest]) -> tuple[Sums, Indices]:
        """One data loop: the sums, and how often each label occurs in the files.

        `request` is asked again for each block, because labels may have been added meanwhile.
        """
        first = request()
        sums = empty_sums(len(self.table), matrix=first.matrix)
        seen = np.zeros(len(self.table), np.int64)
        for m, index, weight in self.blocks():
            seen = self._with(seen, index)
            add_block(sums, m, index, request(), weight)
        return sums, seen

    def count_entries(self, *, per_record: bool) -> Indices:
        """How many measurements (or records) have a derivative for each label, by its place."""
        counts = np.zeros(len(self.table), np.int64)
        for m, index, _ in self.blocks():
            counted: Indices | Integers = index
            if per_record:
                record = part_of_each(m.global_first[m.record_first])
                counted = np.unique(record * len(self.table) + index) % len(self.table)
            counts = self._with(counts, counted)
        return counts

    def count_without(self, excluded: np.ndarray) -> Indices:
        """Entries once more, leaving out measurements with any label of the mask `excluded`."""
        counts = np.zeros(len(self.table), np.int64)
        for m, index, _ in self.blocks():
            row = part_of_each(m.global_first)
            bad = np.bincount(row[excluded[index]], minlength=len(m.value)) > 0
            counts = self._with(counts, index[~bad[row]])
        return counts

    def _with(self, counts: Indices, index: Indices | Integers) -> Indices:
        """Return counts by label's place, of a table that may have grown, with those of `index`."""
        more = np.bincount(index, minlength=len(self.table))
        more[: len(counts)] += counts
        return more


def _note(notes: list[str], text: str) -> None:
    if text not in notes:
        notes.append(text)
