"""`millepede.res` and `millepede.end`: read, and written as pede does (prtglo, peend)."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from auto_iter.detector.labels import Parameter
from auto_iter.errors import InputError, raise_what_passes
from auto_iter.files import write_atomically
from auto_iter.millepede.exit_codes import ENDINGS, PedeEnding, ending_of

HEADER = " Parameter   ! first 3 elements per line are significant (if used as input)\n"
_COUNT = re.compile(r"-?\d+")
MOST_INPUT_FIELDS = 3
"""Label, value and presigma: more than these only pede itself writes."""


@dataclass(frozen=True)
class ResultLine(Parameter):
    """What is printed of one parameter; None where pede prints nothing."""

    correlation: float | None = None
    entries: int | None = None


def fortran_g(value: float) -> str:
    """Return a number in Fortran's format G14.5, from single precision."""
    with np.errstate(over="ignore"):
        single = float(np.float32(value))
    if not math.isfinite(single):
        text = "NaN" if math.isnan(single) else "Infinity" if single > 0 else "-Infinity"
        return f"{text:>14}"
    if single == 0:
        return "    0.0000    "
    mantissa, exponent = f"{abs(single):.4e}".split("e")
    power = int(exponent) + 1
    sign = "-" if single < 0 else ""
    if 0 <= power <= 5:
        decimals = 5 - power
        text = f"{abs(single):.{decimals}f}" + ("." if decimals == 0 else "")
        return f"{sign + text:>10}    "
    digits = mantissa.replace(".", "")
    return f"{f'{sign}0.{digits}E{power:+03d}':>14}"


def format_line(line: ResultLine) -> str:
    """One line of `millepede.res`, without its end."""
    text = f"{line.label:10d}  {fortran_g(line.value)}{fortran_g(line.presigma)}"
    if line.change is not None:
        text += fortran_g(line.change)
    if line.sigma is not None:
        text += fortran_g(line.sigma)
    if line.entries is not None:
        return f"{text:<68}{line.entries:12d}"
    if line.correlation is not None:
        text += f"{line.correlation:8.3f}"
    return text


def write_result(directory: Path, lines: Sequence[ResultLine]) -> None:
    """Write `millepede.res`."""
    content = HEADER + "".join(format_line(line) + "\n" for line in lines)
    write_atomically(directory / "millepede.res", content)


def read_result(path: Path) -> dict[int, Parameter]:
    """Return the parameters of a `millepede.res` by label, in the file's order.

    Raises InputError, with the line number, for what is not such a file, and for NaN.
    """
    try:
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise_what_passes(error, path)
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    if not lines or not lines[0].lstrip().lower().startswith("parameter"):
        raise InputError(f"{path}: line 1 is not the header 'Parameter …' of a millepede.res")
    parameters: dict[int, Parameter] = {}
    for number, line in enumerate(lines[1:], 2):
        fields = line.split("!", 1)[0].split()
        if fields:
            parameter = _parameter(fields, f"{path}: line {number}")
            if parameter.label in parameters:
                raise InputError(f"{path}: line {number}: label {parameter.label} comes twice")
            parameters[parameter.label] = parameter
    if not parameters:
        raise InputError(f"{path}: no parameters")
    return parameters


def _parameter(fields: list[str], where: str) -> Parameter:
    if len(fields) > MOST_INPUT_FIELDS and _COUNT.fullmatch(fields[-1]):
        fields = fields[:-1]  # `printcounts` puts it there, whatever else there is
    try:
        label = int(fields[0])
        numbers = [float(field) for field in fields[1:5]]
    except ValueError as error:
        raise InputError(f"{where}: not 'label value presigma [change [sigma]]'") from error
    if not numbers:
        raise InputError(f"{where}: label {label} has no value")
    if not all(math.isfinite(number) for number in numbers):
        raise InputError(f"{where}: label {label} is not finite")
    parameter = Parameter(label, *numbers)  # type: ignore[arg-type] # four at most
    # pede prints the root of a negative variance with a minus sign: no uncertainty is known
    is_uncertain = parameter.sigma is None or parameter.sigma < 0
    return replace(parameter, sigma=None) if is_uncertain else parameter


def write_end(directory: Path, code: int, words: str = "") -> None:
    """Write `millepede.end`: exit code and its meaning, or other `words`."""
    words = words or ending_of(code).words
    write_atomically(directory / "millepede.end", f" {code:4d}   {words}\n")


def read_ending(directory: Path) -> PedeEnding:
    """Return what `millepede.end` says; missing or unreadable means crashed (code −1)."""
    try:
        text = (directory / "millepede.end").read_text(encoding="ascii", errors="replace")
        return ending_of(int(text.split()[0]))
    except (OSError, ValueError, IndexError):
        return ENDINGS[-1]


def set_aside(directory: Path, name: str) -> None:
    """Rename an older file to `name~`, as pede does, so that it cannot be taken for a new one."""
    old = directory / name
    if old.is_file():
        old.replace(directory / f"{name}~")
