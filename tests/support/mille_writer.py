"""Mille binaries of any flavour, written: auto-iter itself converts to one, and reads all."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from auto_iter.millepede.mille.file import Flavour
from auto_iter.millepede.mille.records import Floats, Indices, Integers, Measurements


def encode_records(measurements: Measurements, flavour: Flavour) -> bytes:
    """Bytes of the records, ready to be appended to a Mille binary.

    Values are kept as they are, zeros too (Mille itself leaves those out), rounded to floats unless
    the flavour is double.
    """
    reals, integers, first = _encode(measurements)
    size = np.diff(first)
    per_real = 2 if flavour.double else 1
    record_words = 1 + size * (per_real + 1) + (2 if flavour.fortran else 0)
    start = np.concatenate(([0], np.cumsum(record_words)))
    words = np.empty(start[-1], "<i4")
    lead = start[:-1] + (1 if flavour.fortran else 0)
    words[lead] = -2 * size if flavour.double else 2 * size
    if flavour.fortran:
        words[start[:-1]] = words[start[1:] - 1] = 4 * (record_words - 2)
    step = np.arange(first[-1])
    at = np.repeat(lead + 1 - per_real * first[:-1], size) + per_real * step
    if flavour.double:
        pairs = reals.astype("<f8").view("<i4").reshape(-1, 2)
        words[at], words[at + 1] = pairs[:, 0], pairs[:, 1]
    else:
        words[at] = reals.astype("<f4").view("<i4")
    words[np.repeat(lead + 1 + per_real * size - first[:-1], size) + step] = integers
    return words.tobytes()


def write_file(
    path: Path, measurements: Measurements, flavour: Flavour, *, compress: bool = False
) -> None:
    """Write a whole Mille binary; `compress` gzips it (same bytes for same input)."""
    content = encode_records(measurements, flavour)
    path.write_bytes(gzip.compress(content, mtime=0) if compress else content)


def _encode(measurements: Measurements) -> tuple[Floats, Integers, Indices]:
    """Reals, integers and first words of records (records + 1): the inverse of `decode`."""
    locals_ = np.diff(measurements.local_first)
    globals_ = np.diff(measurements.global_first)
    words_before = np.concatenate(([0], np.cumsum(locals_ + globals_ + 2)))
    record = np.repeat(np.arange(measurements.records), np.diff(measurements.record_first))
    begin = words_before[:-1] + record + 1
    first = words_before[measurements.record_first] + np.arange(measurements.records + 1)
    reals = np.zeros(first[-1])
    integers = np.zeros(first[-1], np.int32)
    middle = begin + locals_ + 1
    reals[begin] = measurements.value
    reals[middle] = measurements.sigma
    local_words = _ranges(begin + 1, locals_)
    global_words = _ranges(middle + 1, globals_)
    reals[local_words] = measurements.local_value
    integers[local_words] = measurements.local_index
    reals[global_words] = measurements.global_value
    integers[global_words] = measurements.global_label
    return reals, integers, first


def _ranges(start: Indices, length: Indices) -> Indices:
    """Return the ranges start[k]…start[k] + length[k] - 1, one after the other."""
    before = np.cumsum(length) - length
    return np.repeat(start - before, length) + np.arange(length.sum())
