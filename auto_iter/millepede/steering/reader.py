"""Steering, constraint and parameter text files, as pede reads them, with errors that name lines.

A steering file names the binaries and the other text files; every text file may hold options and
`Parameter`, `Constraint`, `Measurement` sections. Rules: Millepede II manual and its option page.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from auto_iter.detector.labels import Parameter
from auto_iter.errors import InputError
from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.steering.options import (
    KEYWORDS,
    METHODS,
    NEEDS_A_NUMBER,
    NOT_WRITTEN,
    REFUSED,
    PedeOptions,
)
from auto_iter.millepede.steering.text import (
    Line,
    is_text_name,
    matches,
    parse_line,
    strip_comment,
)

_TOO_LARGE = 1e38
"""pede keeps options in single precision, which ends here."""
_SECTIONS = ("parameter", "constraint", "measurement", "method")


@dataclass(frozen=True)
class Binary:
    """A Mille binary, its flavour as announced, and the weight of its records (`-- weight`)."""

    path: Path
    fortran: bool = False
    weight: float = 1.0

    @classmethod
    def weighted(cls, paths: Iterable[Path], weights: Mapping[str, float]) -> list[Binary]:
        """Return C binaries; `weights`: by the name of the file, where not 1."""
        return [cls(path.absolute(), weight=weights.get(path.name, 1.0)) for path in paths]


@dataclass(frozen=True)
class Combination:
    """A sum of factor x parameter and its value: a constraint, or (sigma > 0) a measurement."""

    value: float
    sigma: float
    terms: tuple[tuple[int, float], ...]
    where: str = ""


@dataclass(frozen=True)
class Steering:
    """Everything that a steering file and the text files it names say."""

    binaries: tuple[Binary, ...] = ()
    text_files: tuple[Path, ...] = ()
    parameters: tuple[Parameter, ...] = ()  # value: at the start; presigma < 0 fixes, 0 leaves free
    constraints: tuple[Combination, ...] = ()
    measurements: tuple[Combination, ...] = ()
    options: PedeOptions = field(default_factory=PedeOptions)
    notes: tuple[str, ...] = ()  # lines that pede passes over without a word


def read_steering(path: Path, directory: Path | None = None) -> Steering:
    """All of a steering file; relative names count from `directory` (default: the current one).

    Raises PedeAbortError where pede aborts (unknown keywords, no binary), InputError where it would
    misread: both name file and line.
    """
    base = directory or Path()
    lines = _read_lines(base / path, "Aborted, open error for file")
    reader = _Reader()
    binaries, texts, rest = _split_files(lines, base, base / path)
    reader.read(base / path, rest)
    for text in texts:
        reader.read(base / text, list(enumerate(_read_lines(base / text), start=1)))
    said = reader.finish()
    if not binaries:
        raise PedeAbortError(f"{path}: names no Mille binary that exists", 14)
    return replace(said, binaries=tuple(binaries), text_files=tuple(texts))


def read_text(path: Path) -> Steering:
    """Sections and options of one parameter or constraint file, without any binary."""
    reader = _Reader()
    reader.read(path, list(enumerate(_read_lines(path), start=1)))
    return reader.finish()


def _read_lines(path: Path, ending: str | None = None) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError as error:
        raise PedeAbortError(f"cannot read {path}: {error.strerror}", 16, text=ending) from error


def _split_files(
    lines: Sequence[str], base: Path, steering: Path
) -> tuple[list[Binary], list[Path], list[tuple[int, str]]]:
    """Take the lines that name existing files; a switch holds for the binaries after it."""
    binaries: list[Binary] = []
    texts: list[Path] = []
    rest: list[tuple[int, str]] = []
    fortran = False
    for number, line in enumerate(lines, start=1):
        bare = strip_comment(line)
        name, _, option = bare.partition(" -- ")
        name = name.strip()
        if bare.lower() == "end":
            break
        if bare.lower() in ("fortranfiles", "cfiles"):
            fortran = bare.lower() == "fortranfiles"
        elif name and (base / name).is_file():
            if is_text_name(name):
                texts.append(Path(name))
            else:
                weights = parse_line(steering, number, option).numbers
                binaries.append(Binary(base / name, fortran, weights[0] if weights else 1.0))
        else:
            rest.append((number, line))
    return binaries, texts, rest


class _Reader:
    """Collects sections and options over all text files; the last word on an option counts."""

    def __init__(self) -> None:
        self.options = PedeOptions()
        self.parameters: list[Parameter] = []
        self.constraints: list[Combination] = []
        self.measurements: list[Combination] = []
        self.unknown: list[str] = []
        self.notes: list[str] = []
        self._section = ""

    def read(self, file: Path, lines: Iterable[tuple[int, str]]) -> None:
        for number, text in lines:
            if strip_comment(text).lower() == "end":
                return
            line = parse_line(file, number, text)
            for value in line.numbers:
                if not abs(value) < _TOO_LARGE:
                    raise InputError(f"{line.where}: {value:g} is too large a number")
            if line.keyword:
                self._keyword(line)
            elif line.numbers:
                self._continue(line)

    def finish(self) -> Steering:
        """Return what was read, without files; refuse what only the end of all files tells."""
        if self.unknown:
            raise PedeAbortError("; ".join(self.unknown), 13)
        for measurement in self.measurements:
            if not measurement.terms:  # pede would take the next one's value and sigma for a label
                raise InputError(
                    f"{measurement.where}: a measurement without a label (factor 0 is none)"
                )
        return Steering(
            parameters=tuple(self.parameters),
            constraints=tuple(self.constraints),
            measurements=tuple(self.measurements),
            options=self.options,
            notes=tuple(self.notes),
        )

    def _keyword(self, line: Line) -> None:
        for section in _SECTIONS:
            if matches(line.keyword, section):
                self._begin(section, line)
                return
        for refused, why in REFUSED.items():
            if line.keyword.lower() == refused:
                raise InputError(f"{line.where}: `{line.keyword}` is not supported: {why}")
        for keyword in KEYWORDS:
            if matches(line.keyword, keyword):
                self._option(line, keyword)
                return
        if line.text.lower() not in ("fortranfiles", "cfiles"):
            self.unknown.append(
                f"{line.where}: `{line.text}` is neither a keyword nor a file that exists"
            )

    def _option(self, line: Line, keyword: str) -> None:
        if keyword in NEEDS_A_NUMBER and not line.numbers:
            raise InputError(f"{line.where}: `{keyword}` needs a number")
        if keyword in NOT_WRITTEN:
            file = NOT_WRITTEN[keyword]
            self.notes.append(f"{line.where}: the built-in solver writes no {file}")
        try:
            changes = KEYWORDS[keyword](line.numbers)
        except ValueError as error:
            raise InputError(f"{line.where}: {error}") from error
        self.options = replace(self.options, **changes)  # type: ignore[arg-type]  # by their names

    def _begin(self, section: str, line: Line) -> None:
        self._section = section
        numbers = line.numbers
        if section == "method":
            self._method(line)
        elif section == "parameter" and numbers:
            self._continue(line)
        elif section == "constraint":
            if len(numbers) not in (1, 2):
                raise InputError(f"{line.where}: a constraint needs its value (and no labels yet)")
            sigma = numbers[1] if len(numbers) == 2 else 0.0
            self.constraints.append(Combination(numbers[0], sigma, (), line.where))
        elif section == "measurement":
            if len(numbers) != 2:
                raise InputError(f"{line.where}: a measurement needs its value and its sigma")
            self.measurements.append(Combination(numbers[0], numbers[1], (), line.where))

    def _method(self, line: Line) -> None:
        self._section = ""
        if not line.argument:
            raise InputError(f"{line.where}: `method` needs a name: {', '.join(METHODS)}")
        known = [method for method in METHODS if matches(line.argument, method)]
        if known:
            self.options = replace(self.options, method=known[-1])
        else:  # FASER's steering files have `method MINRES`, which is none
            self.notes.append(
                f"{line.where}: pede knows no method `{line.argument}` and keeps "
                f"{self.options.method}; one of {', '.join(METHODS)}"
            )
        if line.numbers and round(line.numbers[0]) >= 1:
            self.options = replace(self.options, iterations=round(line.numbers[0]))
        convergence = line.numbers[1] if len(line.numbers) > 1 else 0.0
        self.options = replace(self.options, convergence=convergence)

    def _continue(self, line: Line) -> None:
        if self._section == "parameter":
            self._parameter(line)
        elif self._section == "constraint":
            self.constraints[-1] = _extended(self.constraints[-1], line)
        elif self._section == "measurement":
            self.measurements[-1] = _extended(self.measurements[-1], line)
        else:
            raise InputError(f"{line.where}: numbers that belong to no section: {line.text}")

    def _parameter(self, line: Line) -> None:
        if len(line.numbers) < 3:
            raise InputError(f"{line.where}: a parameter needs label, value and presigma")
        label = _label(line, line.numbers[0])
        self.parameters.append(Parameter(label, line.numbers[1], line.numbers[2]))


def _extended(combination: Combination, line: Line) -> Combination:
    if len(line.numbers) % 2:
        raise InputError(f"{line.where}: labels and factors come in pairs: {line.text}")
    labels = [_label(line, number) for number in line.numbers[0::2]]
    terms = zip(labels, line.numbers[1::2], strict=True)
    # pede drops factors that are zero, and with them labels that occur nowhere else
    return replace(combination, terms=combination.terms + tuple(t for t in terms if t[1] != 0))


def _label(line: Line, number: float) -> int:
    if number != round(number) or not 1 <= number < 2**31:
        raise InputError(f"{line.where}: {number:g} is no label (1, 2, ... 2147483647)")
    return round(number)
