"""`millepede.res` and `millepede.end`, in the formats that pede writes (prtglo, peend)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auto_iter.files import write_atomically

HEADER = " Parameter   ! first 3 elements per line are significant (if used as input)\n"


@dataclass(frozen=True)
class Line:
    """What is printed of one parameter; None where pede prints nothing."""

    label: int
    value: float
    presigma: float
    difference: float | None = None
    error: float | None = None
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


def format_line(line: Line) -> str:
    """One line of `millepede.res`, without its end."""
    text = f"{line.label:10d}  {fortran_g(line.value)}{fortran_g(line.presigma)}"
    if line.difference is not None:
        text += fortran_g(line.difference)
    if line.error is not None:
        text += fortran_g(line.error)
    if line.entries is not None:
        return f"{text:<68}{line.entries:12d}"
    if line.correlation is not None:
        text += f"{line.correlation:8.3f}"
    return text


def write_result(directory: Path, lines: Sequence[Line]) -> None:
    """Write `millepede.res`."""
    content = HEADER + "".join(format_line(line) + "\n" for line in lines)
    write_atomically(directory / "millepede.res", content)


def write_end(directory: Path, code: int, text: str) -> None:
    """Write `millepede.end`: exit code and its meaning."""
    write_atomically(directory / "millepede.end", f" {code:4d}   {text}\n")


def set_aside(directory: Path, name: str) -> None:
    """Rename an older file to `name~`, as pede does, so that it cannot be taken for a new one."""
    old = directory / name
    if old.is_file():
        old.replace(directory / f"{name}~")
