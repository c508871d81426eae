"""What pede leaves behind: `millepede.res`, one line per parameter, and `millepede.end`."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

from auto_iter.detector.labels import Parameter
from auto_iter.errors import InputError, raise_what_passes

_COUNT = re.compile(r"-?\d+")
MOST_INPUT_FIELDS = 3
"""Label, value and presigma: more than these only pede itself writes."""


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
    parameter = Parameter(label, *numbers)
    # pede prints the root of a negative variance with a minus sign: no uncertainty is known
    is_uncertain = parameter.sigma is None or parameter.sigma < 0
    return replace(parameter, sigma=None) if is_uncertain else parameter
