"""Raw files: which ones a command line means, what each is called, and where they lie.

The range follows the scripts that auto-iter replaces: `400-450` and `400:450` exclude their end, so
they mean 50 files, 00400 to 00449; `400` means one.

Everywhere else a raw file is one integer: in an alignment of one run its number; in one of several
(`several_runs`) run and number together, run * 100000 + number. So nothing but names has to know.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auto_iter.errors import InputError, UsageError

_RANGE = re.compile(r"(\d+)(?:[-:](\d+))?", re.ASCII)
_MAX_NUMBER = 99_999
_OF_A_RUN = _MAX_NUMBER + 1
MOST_RUN = 999_999
YEARS = range(2020, 2101)


@dataclass(frozen=True)
class RawRange:
    """The raw files `first` to `stop` - 1."""

    first: int
    stop: int

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.stop <= _MAX_NUMBER + 1:
            raise UsageError(
                f"raw files {self.first}-{self.stop}: the end is excluded, has to lie above the "
                f"start, and numbers have at most five digits"
            )

    @classmethod
    def parse(cls, text: str) -> RawRange:
        """Return the files that `400`, `400-450` or `400:450` (end excluded) mean.

        Raises UsageError when `text` is none of these, has numbers of more than five digits, or
        ends where it starts or before.
        """
        match = _RANGE.fullmatch(text.strip())
        if match is None:
            raise UsageError(
                f"raw files {text!r}: give one number (400) or a range whose end is excluded "
                f"(400-450 or 400:450 for 00400 to 00449)"
            )
        first = _number(match[1], text)
        if match[2] is None:
            return cls(first, first + 1)
        stop = _number(match[2], text, _MAX_NUMBER + 1)
        if stop <= first:
            raise UsageError(
                f"raw files {text!r}: the end is excluded, so it has to lie above the start "
                f"({first}-{first + 1} or just {first} means that one file)"
            )
        return cls(first, stop)

    @property
    def numbers(self) -> range:
        """The raw-file numbers, in order."""
        return range(self.first, self.stop)

    @property
    def text(self) -> str:
        """The range as it names the workspace: `400-450`, or `400` for a single file."""
        return str(self.first) if len(self) == 1 else f"{self.first}-{self.stop}"

    @property
    def summary(self) -> str:
        """One line for people: how many files, first and last."""
        if len(self) == 1:
            return f"1 raw file, {self.first:05d}"
        return f"{len(self)} raw files, {self.first:05d} to {self.stop - 1:05d}"

    def __len__(self) -> int:
        return self.stop - self.first

    def __iter__(self) -> Iterator[int]:
        return iter(self.numbers)


def _number(digits: str, text: str, largest: int = _MAX_NUMBER) -> int:
    number = int(digits) if len(digits) <= 9 else largest + 1  # no huge int() for a typing error
    if number > largest:
        raise UsageError(f"raw files {text!r}: file numbers have at most five digits")
    return number


def parse_run(text: str) -> int:
    """Return the run number that `011705` or `11705` means; UsageError for anything else."""
    digits = text.strip()
    if not re.fullmatch(r"\d{1,6}", digits, re.ASCII) or not 0 < int(digits) <= MOST_RUN:
        raise UsageError(f"run {text!r}: give a number of at most six digits, e.g. 011705")
    return int(digits)


def parse_year(text: str) -> int:
    """Return the year of data taking (four digits); UsageError for anything else."""
    digits = text.strip()
    if not re.fullmatch(r"\d{4}", digits, re.ASCII) or int(digits) not in YEARS:
        raise UsageError(
            f"year {text!r}: give four digits from {YEARS[0]} to {YEARS[-1]}, e.g. 2023"
        )
    return int(digits)


def with_run(run: int, number: int) -> int:
    """Return what a raw file is called inside an alignment of several runs."""
    return run * _OF_A_RUN + number


def run_and_number(raw_file: int, run: int | None) -> tuple[int, int]:
    """Return run and number of a raw file; `run`: the alignment's, None where it has several."""
    own, number = divmod(raw_file, _OF_A_RUN)
    return own or run or 0, number


def spoken(raw_file: int, between: str = ":") -> str:
    """Return how people call a raw file: `00400`, or, one of several runs, `011705:00400`."""
    run, number = divmod(raw_file, _OF_A_RUN)
    return f"{run:06d}{between}{number:05d}" if run else f"{number:05d}"


def file_tag(raw_file: int) -> str:
    """Return how names of files and nodes say which raw file: `00400`, `011705_00400`.

    `int` makes the raw file of it again.
    """
    return spoken(raw_file, "_")


def logged(raw_file: int) -> int | str:
    """Return a raw file as a field of the log: a number, or `011705:00400`."""
    return spoken(raw_file) if raw_file >= _OF_A_RUN else raw_file


def raw_name(run: int, number: int) -> str:
    """Return a raw file's name, e.g. `Faser-Physics-011705-00400.raw`."""
    return f"Faser-Physics-{run:06d}-{number:05d}.raw"


def raw_path(raw_dir: Path, year: int, run: int, number: int) -> Path:
    """Return where a raw file lies: `<raw_dir>/<year>/<run>/Faser-Physics-<run>-<file>.raw`."""
    return raw_dir / f"{year:04d}" / f"{run:06d}" / raw_name(run, number)


@dataclass(frozen=True)
class MissingRaw:
    """A raw file that cannot be reconstructed, and why."""

    number: int
    path: Path
    reason: str


def missing(
    raw_dir: Path, year: int, run: int | None, numbers: Collection[int]
) -> tuple[MissingRaw, ...]:
    """Return every raw file of `numbers` that is not there, empty or not readable, in order.

    `run`: the alignment's; None: of several. Raises InputError when there is no raw directory.
    """
    if not raw_dir.is_dir():
        raise InputError(f"{raw_dir}: no such raw directory", "set paths.raw_dir or --raw_dir")
    found = []
    for number in sorted(numbers):
        path = raw_path(raw_dir, year, *run_and_number(number, run))
        reason = _why_unusable(path)
        if reason:
            found.append(MissingRaw(number, path, reason))
    return tuple(found)


def _why_unusable(path: Path) -> str:
    try:
        with path.open("rb") as raw:
            # access(2) says yes to everything when root asks, and guesses on EOS: read instead.
            return "" if os.fstat(raw.fileno()).st_size and raw.read(1) else "empty"
    except FileNotFoundError:
        return "not there"
    except OSError as error:
        return f"unreadable: {error.strerror or error}"


def describe_missing(lost: Sequence[MissingRaw], wanted: int) -> str:
    """Return one line that names all that are lost of `wanted` files, and why.

    `.../011705: 3 of 50 raw files: 00402 00410 (not there); 00411 (empty)`
    """
    by_reason: dict[str, list[int]] = {}
    for one in lost:
        by_reason.setdefault(one.reason, []).append(one.number)
    named = "; ".join(f"{_compact(numbers)} ({reason})" for reason, numbers in by_reason.items())
    places = {one.path.parent for one in lost}
    where = lost[0].path.parent if len(places) == 1 else lost[0].path.parent.parent
    return f"{where}: {len(lost)} of {wanted} raw files: {named}"


def _compact(numbers: list[int]) -> str:
    """Write consecutive numbers as `00402..00407`: all are named and the line stays readable."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return " ".join(
        spoken(run[0]) if len(run) == 1 else f"{spoken(run[0])}..{spoken(run[-1])}" for run in runs
    )
