"""Mille binaries for people: print one, check one (`auto-iter millepede dump|check FILE`)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auto_iter.millepede.mille.file import Block, Flavour, detect_flavour, read_blocks
from auto_iter.millepede.mille.records import Measurements


@dataclass(frozen=True)
class Summary:
    """What a whole Mille binary holds; a file that cannot be read to its end raises instead.

    Counts, no units. `labels`: different ones; `bad_sigmas`: measurements with sigma 0 or below.
    """

    path: Path
    flavour: Flavour
    records: int
    measurements: int
    local_parameters: int
    labels: int
    bad_sigmas: int
    longest_record: int

    def __str__(self) -> str:
        """Return one line per fact."""
        return "\n".join(
            (
                f"{self.path}: {self.flavour}",
                f"  records             {self.records}",
                f"  measurements        {self.measurements}",
                f"  labels              {self.labels}",
                f"  local parameters    {self.local_parameters} at most in a record",
                f"  longest record      {self.longest_record} measurements",
                f"  sigma not positive  {self.bad_sigmas}",
            )
        )


def check(path: Path) -> Summary:
    """Read all of `path`, flavour detected. Raises MilleError that names record and byte."""
    flavour = detect_flavour(path)
    records = count = locals_ = bad = longest = 0
    labels = np.empty(0, np.int32)
    for block in read_blocks(path, flavour.fortran):
        m = block.measurements(path)
        records += m.records
        count += len(m.value)
        locals_ = max(locals_, int(m.local_index.max(initial=0)))
        labels = np.union1d(labels, m.global_label)
        bad += int((m.sigma <= 0).sum())
        longest = max(longest, int(np.diff(m.record_first).max(initial=0)))
    return Summary(path, flavour, records, count, locals_, len(labels), bad, longest)


def dump_lines(path: Path, limit: int | None = None) -> Iterator[str]:
    """Yield the text of the first `limit` records (all when None), flavour detected.

    Values in the units of the file. Raises MilleError that names record and byte.
    """
    flavour = detect_flavour(path)
    yield f"{path}: {flavour}"
    for block in read_blocks(path, flavour.fortran, block_bytes=1 << 16):
        if limit is not None and block.first_record > limit:
            return
        yield from _block_lines(block, block.measurements(path), limit)


def _block_lines(block: Block, m: Measurements, limit: int | None) -> Iterator[str]:
    for position in range(m.records):
        record = block.first_record + position
        if limit is not None and record > limit:
            return
        low, high = m.record_first[position : position + 2].tolist()
        yield f"record {record}: {high - low} measurements"
        for row in range(low, high):
            yield f"  {row - low + 1:4d}  {m.value[row]:14.7g} +- {m.sigma[row]:<13.7g}"
            yield "        local  " + _pairs(m.local_index, m.local_value, m.local_first, row)
            yield "        global " + _pairs(m.global_label, m.global_value, m.global_first, row)


def _pairs(keys: np.ndarray, values: np.ndarray, first: np.ndarray, row: int) -> str:
    inside = slice(int(first[row]), int(first[row + 1]))
    return "  ".join(f"{k}: {v:.7g}" for k, v in zip(keys[inside], values[inside], strict=True))
