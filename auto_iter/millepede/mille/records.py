"""Mille records as arrays: what one block of a Mille binary holds, decoded at once.

A record is two parallel arrays of m words, reals and integers. Word 0 is (0.0, error count). Then,
per measurement: (value, 0), its local derivatives (derivative, 1-based index), (sigma, 0), its
global derivatives (derivative, label). Sources: Millepede II manual, mille.f90.

Derivatives are of the fitted value: `value` is what local and global parameters together have to
explain, measured - fitted. The format knows no units; FASER's files have mm, rad and 1/GeV.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auto_iter.errors import InputError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Integers = NDArray[np.int32]
Indices = NDArray[np.int64]


class MilleError(InputError):
    """A Mille binary does not hold what the format promises."""


class StrayBytesError(MilleError):
    """After the last whole record of a C file come 1 to 3 bytes, which pede does not notice."""


class BadRecordError(MilleError):
    """A record can be read but makes no sense: broken structure, labels below 1, not-a-number."""


@dataclass(frozen=True)
class Measurements:
    """Records in compressed-row form; row k of X is X_value[X_first[k]:X_first[k + 1]].

    `record_first` (records + 1) points into the measurements, `local_first` and `global_first`
    (measurements + 1) into the derivatives. Local indices start at 1, labels are positive. `value`
    and `sigma` (measurements) in the units of the file.
    """

    record_first: Indices
    value: Floats
    sigma: Floats
    local_first: Indices
    local_index: Integers
    local_value: Floats
    global_first: Indices
    global_label: Integers
    global_value: Floats

    @property
    def records(self) -> int:
        """Number of records."""
        return len(self.record_first) - 1


def decode(reals: NDArray[np.floating], integers: Integers, first: Indices) -> Measurements:
    """Measurements of the records whose words are `reals`, `integers` [`first[k]`:`first[k + 1]`].

    Raises BadRecordError with the position of the record within this block.
    """
    # The only markers are zeros among the integers: word 0 of a record, which does not count, and
    # two for each measurement, before its value and before its sigma. Whole blocks are taken apart
    # by them; only special data, which may hold zeros of their own, need a walk through the words.
    zero = integers == 0
    zero[first[:-1][np.diff(first) > 0]] = False
    zeros = np.flatnonzero(zero)
    in_record = np.diff(np.searchsorted(zeros, first))
    begin, middle, special = _pair_up(zeros, in_record, reals)
    if special.any():
        return _decode_with_special(reals, integers, first, zeros, in_record)
    if (in_record % 2).any():
        raise BadRecordError(_broken(int(np.flatnonzero(in_record % 2)[0])))
    record_first = edges_of(in_record // 2)
    end = _measurement_ends(begin, record_first, first)
    return _gather(reals, integers, record_first, (begin, middle, end))


def _pair_up(
    zeros: Indices, in_record: Indices, reals: NDArray[np.floating]
) -> tuple[Indices, Indices, Bools]:
    """Return value words, sigma words, and where a sigma word announces special data."""
    if (in_record % 2).any():
        adjacent = np.flatnonzero(np.diff(zeros) == 1)
        return zeros, zeros, reals[zeros[adjacent + 1]] < 0
    begin, middle = zeros[0::2], zeros[1::2]
    return begin, middle, (middle == begin + 1) & (reals[middle] < 0)


def _measurement_ends(begin: Indices, record_first: Indices, first: Indices) -> Indices:
    end = np.empty_like(begin)
    end[:-1] = begin[1:]
    filled = np.diff(record_first) > 0
    end[record_first[1:][filled] - 1] = first[1:][filled]
    return end


def _gather(
    reals: NDArray[np.floating],
    integers: Integers,
    record_first: Indices,
    words: tuple[Indices, Indices, Indices],
) -> Measurements:
    begin, middle, end = words
    _refuse_nan(reals)
    local_first, local_words = mask_of(begin + 1, middle, len(reals))
    global_first, global_words = mask_of(middle + 1, end, len(reals))
    measurements = Measurements(
        record_first,
        reals[begin].astype(np.float64),
        reals[middle].astype(np.float64),
        local_first,
        integers[local_words],
        reals[local_words].astype(np.float64),
        global_first,
        integers[global_words],
        reals[global_words].astype(np.float64),
    )
    for name, numbers in (
        ("local index", measurements.local_index),
        ("label", measurements.global_label),
    ):
        if len(numbers) and numbers.min() < 1:
            raise BadRecordError(f"a {name} is {int(numbers.min())}, must be 1 or more")
    return measurements


def mask_of(start: Indices, stop: Indices, total: int) -> tuple[Indices, Bools]:
    """Offsets and the mask of the ascending ranges start[k]..stop[k] - 1 among `total` words.

    Masks select faster than indices.
    """
    bounds = np.empty((len(start), 2), np.int64)
    bounds[:, 0], bounds[:, 1] = start, stop
    lengths = np.diff(bounds.ravel(), prepend=0, append=total)
    pattern = np.zeros(len(lengths), bool)
    pattern[1::2] = True
    return edges_of(lengths[1::2]), np.repeat(pattern, lengths)


def edges_of(lengths: NDArray[np.integer] | Bools) -> Indices:
    """Return where each of consecutive parts begins that are so long, and the end of the last."""
    edges = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=edges[1:])
    return edges


def part_of_each(edges: Indices) -> Indices:
    """Return which of consecutive parts, from 0, each element lies in; `edges` as of `edges_of`."""
    return np.repeat(np.arange(len(edges) - 1), np.diff(edges))


def _refuse_nan(reals: NDArray[np.floating]) -> None:
    # the sum is not-a-number when any word is (or when infinities cancel): one pass, no mask
    with np.errstate(invalid="ignore", over="ignore"):
        suspicious = np.isnan(reals.sum())
    if suspicious and np.isnan(reals).any():
        raise BadRecordError(f"{int(np.isnan(reals).sum())} words are not a number")


def _ranges(start: Indices, stop: Indices) -> tuple[Indices, Indices]:
    """Offsets and the concatenation of the ranges start[k]..stop[k] - 1."""
    length = stop - start
    offset = edges_of(length)
    return offset, np.repeat(start - offset[:-1], length) + np.arange(offset[-1])


def _decode_with_special(
    reals: NDArray[np.floating],
    integers: Integers,
    first: Indices,
    zeros: Indices,
    in_record: Indices,
) -> Measurements:
    """Skip special data: (any, 0), (-n, 0), n words of anything. Rare, so record by record."""
    bounds = edges_of(in_record)
    found: list[tuple[int, int, int]] = []
    record_first = [0]
    for record in range(len(first) - 1):
        markers = zeros[bounds[record] : bounds[record + 1]].tolist()
        found += _walk(record, reals, markers, int(first[record + 1]))
        record_first.append(len(found))
    begin, middle, end = np.array(found, np.int64).reshape(-1, 3).T
    return _gather(reals, integers, np.array(record_first), (begin, middle, end))


def _walk(
    record: int, reals: NDArray[np.floating], markers: list[int], stop: int
) -> list[tuple[int, int, int]]:
    found = []
    position = 0
    while position < len(markers):
        if position + 1 == len(markers):
            raise BadRecordError(_broken(record))
        begin, middle = markers[position], markers[position + 1]
        position += 2
        if middle == begin + 1 and reals[middle] < 0:
            resume = middle + round(-float(reals[middle]))
            if resume >= stop:
                if resume >= stop + 1:
                    raise BadRecordError(_broken(record))
                break
            while position < len(markers) and markers[position] <= resume:
                position += 1
            continue
        found.append((begin, middle, markers[position] if position < len(markers) else stop))
    return found


def _broken(record: int) -> str:
    return f"record {record + 1} of the block has an odd number of markers (zeros)"


def select_records(measurements: Measurements, records: Indices) -> Measurements:
    """Copy of the given records in the given order (0-based positions)."""
    m = measurements
    record_first, rows = _ranges(m.record_first[records], m.record_first[records + 1])
    local_first, local_words = _ranges(m.local_first[rows], m.local_first[rows + 1])
    global_first, global_words = _ranges(m.global_first[rows], m.global_first[rows + 1])
    return Measurements(
        record_first,
        m.value[rows],
        m.sigma[rows],
        local_first,
        m.local_index[local_words],
        m.local_value[local_words],
        global_first,
        m.global_label[global_words],
        m.global_value[global_words],
    )
