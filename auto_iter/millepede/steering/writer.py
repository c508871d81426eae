"""Steering, constraint and parameter text files, as `reader` and pede read them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from auto_iter.detector.labels import Parameter
from auto_iter.errors import InputError
from auto_iter.millepede.steering.reader import Combination

MAX_NAME_LENGTH = 1024
"""pede refuses longer file names (exit code 17)."""


def format_parameters(parameters: Iterable[Parameter]) -> str:
    """Return the text of a parameter file: label, start value and presigma (mm, rad)."""
    # + 0.0: no minus before a zero
    lines = [f"  {each.label}  {each.value + 0.0!r}  {each.presigma!r}" for each in parameters]
    return "\n".join(["Parameter", *lines, ""])


def format_combinations(
    section: Literal["Constraint", "Measurement"], combinations: Iterable[Combination]
) -> str:
    """Return sections of sums: value (and σ) in a line, then label and factor of each term."""
    lines: list[str] = []
    for each in combinations:
        lines.append(f"{section} {each.value + 0.0!r}" + (f" {each.sigma!r}" if each.sigma else ""))
        lines += [f"  {label} {factor!r}" for label, factor in each.terms]
    return "\n".join([*lines, ""]) if lines else ""


def format_binary(name: str, weight: float) -> str:
    """Return the line of a Mille binary whose records count with a weight (manual, *Steering*)."""
    return name if weight == 1 else f"{name} -- {weight!r}"


def format_steering(
    title: str, texts: Sequence[str], binaries: Sequence[str], options: Sequence[str]
) -> str:
    """Return the text of a steering file; names are relative to where pede will run.

    Raises InputError for names that are too long for pede.
    """
    too_long = [name for name in binaries if len(name) > MAX_NAME_LENGTH]
    if too_long:
        raise InputError(f"{too_long[0]}: pede takes no name of more than {MAX_NAME_LENGTH} bytes")
    return "\n".join(
        [f"* {title}", "Fortranfiles", *texts, "Cfiles", *binaries, *options, "end", ""]
    )
