"""Raw files of several runs in one alignment: `011705:400-450,011710:0-50@0.5`.

A list of one run is that run's range: `-r 011705:400-450` is `-r 011705 -f 400-450`, name and all.
Within an alignment of several runs a raw file is known by `rawfiles.with_run`.
"""

from __future__ import annotations

import hashlib
import itertools
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auto_iter.errors import UsageError
from auto_iter.rawfiles import RawRange, parse_run, spoken, with_run

LONGEST_NAME = 100
"""A workspace's name is part of many paths; a longer list of runs is cut, and told by a hash."""


MOST_WEIGHT = 1000.0
_WEIGHT = re.compile(r"\d{1,9}(\.\d{0,9})?|\.\d{1,9}", re.ASCII)


@dataclass(frozen=True, order=True)
class RunFiles:
    """A range of raw files of one run, and the weight of its tracks in the fit."""

    run: int
    first: int
    stop: int
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> RunFiles:
        """Return what `011705:400-450`, `011705:400@0.5` … mean. Raises UsageError."""
        ranges, at, weight = text.partition("@")
        run, colon, files = ranges.partition(":")
        if not colon:
            raise UsageError(
                f"{text.strip()!r}: say which raw files of which run, e.g. 011705:400-450, or in a "
                "list 011705:400-450,011710:0-50"
            )
        asked = RawRange.parse(files)
        return cls(parse_run(run), asked.first, asked.stop, _weight(weight, text) if at else 1.0)

    @property
    def files(self) -> RawRange:
        """The range."""
        return RawRange(self.first, self.stop)

    @property
    def numbers(self) -> tuple[int, ...]:
        """The raw files, as an alignment of several runs knows them."""
        return tuple(with_run(self.run, each) for each in self.files)

    @property
    def text(self) -> str:
        """As it is written in a list."""
        weight = "" if self.weight == 1 else f"@{_plain(self.weight)}"
        return f"{self.run:06d}:{self.files.text}{weight}"

    @property
    def name(self) -> str:
        """As it is part of a workspace's name."""
        weight = "" if self.weight == 1 else f"x{_plain(self.weight)}"
        return f"R{self.run:06d}_F{self.files.text}{weight}"


@dataclass(frozen=True)
class SeveralRuns:
    """Raw files of more than one range, in the order of runs; no file twice."""

    parts: tuple[RunFiles, ...]

    @classmethod
    def of(cls, parts: Iterable[RunFiles]) -> SeveralRuns:
        """Return these ranges in order. Raises UsageError where two of them share a raw file."""
        ordered = tuple(sorted(parts))
        for one, other in itertools.pairwise(ordered):
            if one.run == other.run and other.first < one.stop:
                twice = spoken(with_run(other.run, other.first))
                raise UsageError(f"raw file {twice}: is in {one.text} and in {other.text}")
        return cls(ordered)

    @classmethod
    def parse(cls, text: str) -> SeveralRuns:
        """Return the raw files of a list; see `parse_files` for a list of one. UsageError."""
        return cls.of(map(RunFiles.parse, text.split(",")))

    @property
    def runs(self) -> tuple[int, ...]:
        """The runs, each once."""
        return tuple(sorted({part.run for part in self.parts}))

    @property
    def numbers(self) -> tuple[int, ...]:
        """The raw files, in order."""
        return tuple(number for part in self.parts for number in part.numbers)

    @property
    def text(self) -> str:
        """As it is written on the command line, in order."""
        return ",".join(part.text for part in self.parts)

    @property
    def name(self) -> str:
        """How a workspace's name says it: `R011705_F400-450_R011710_F0-50`."""
        whole = "_".join(part.name for part in self.parts)
        if len(whole) <= LONGEST_NAME:
            return whole
        told = hashlib.sha256(self.text.encode()).hexdigest()[:8]
        return f"R{self.runs[0]:06d}-R{self.runs[-1]:06d}_{len(self)}files_{told}"

    @property
    def summary(self) -> str:
        """One line for people: how many files, of how many runs, first and last."""
        numbers = self.numbers
        runs = f"{len(self.runs)} runs" if len(self.runs) > 1 else "1 run"
        return f"{len(numbers)} raw files of {runs}, {spoken(numbers[0])} to {spoken(numbers[-1])}"

    def __len__(self) -> int:
        return sum(len(part.files) for part in self.parts)

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)


def _weight(text: str, whole: str) -> float:
    """Return a weight: a plain number, as pede reads it too."""
    weight = float(text) if _WEIGHT.fullmatch(text.strip()) else math.nan
    if not 0 < weight <= MOST_WEIGHT:
        raise UsageError(
            f"{whole.strip()!r}: the weight after @ is a number above 0 and up to {MOST_WEIGHT:g}, "
            "e.g. 0.5"
        )
    return weight


def _plain(weight: float) -> str:
    return f"{weight:.9f}".rstrip("0").rstrip(".")


RawFiles = RawRange | SeveralRuns
"""The raw files of an alignment: of one run, or of several."""


def parse_files(text: str) -> RawFiles:
    """Return the files of a checkpoint: a range, or a list with runs. Raises UsageError."""
    return SeveralRuns.parse(text) if "," in text else RawRange.parse(text)


def parse_run_and_files(run: str, files: str | None) -> tuple[int | None, RawFiles]:
    """Return what `-r` and `-f` mean: one run and its files, or None and the files of several.

    Raises UsageError.
    """
    if ":" not in run and "," not in run:
        if files is None:
            raise UsageError(
                f"-r {run}: -f/--files says which raw files (or, of several runs: "
                "-r 011705:400-450,011710:0-50)"
            )
        return parse_run(run), RawRange.parse(files)
    parts = [RunFiles.parse(part) for part in run.split(",")]
    if len(parts) == 1 and parts[0].weight != 1:
        raise UsageError(f"-r {run}: a weight is between ranges; there is only one")
    if files is not None:
        raise UsageError(f"-r {run}: names raw files already; leave -f {files} out")
    if len(parts) == 1:
        return parts[0].run, parts[0].files
    return None, SeveralRuns.of(parts)


def parts_of(run: int | None, files: RawFiles) -> tuple[RunFiles, ...]:
    """Return raw files as ranges of runs."""
    if isinstance(files, SeveralRuns):
        return files.parts
    return () if run is None else (RunFiles(run, files.first, files.stop),)


def command_line(run: int | None, files: RawFiles) -> str:
    """Return the options that `parse_run_and_files` makes these of."""
    return f"-r {files.text}" if run is None else f"-r {run:06d} -f {files.text}"


def weights(files: RawFiles) -> dict[int, float]:
    """Return the weights of raw files in the fit, of those where it is not 1."""
    parts = files.parts if isinstance(files, SeveralRuns) else ()
    return {raw: part.weight for part in parts if part.weight != 1 for raw in part.numbers}
