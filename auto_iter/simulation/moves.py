"""A detector that moves: by so much it is away from its truth while certain raw files are taken."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from auto_iter.detector.labels import PARAMETERS, component_of_key
from auto_iter.errors import InputError, UsageError
from auto_iter.simulation.misalignment import Drawn

Moves = Mapping[tuple[str, str], float]
"""(key, parameter) → mm or rad."""


def parse_move(text: str) -> tuple[tuple[str, str], float]:
    """Return what `20.y=0.02` means: layer 20's y by 0.02 mm. Raises UsageError."""
    name, _, value = text.partition("=")
    key, _, parameter = name.strip().partition(".")
    try:
        component = component_of_key(key)
        amount = float(value)
    except (InputError, ValueError):
        component, amount = None, math.nan
    is_one = component is not None and component.layer >= 0 and parameter in PARAMETERS
    if not (is_one and math.isfinite(amount)):
        raise UsageError(
            f"--move {text}: must be KEY.PARAMETER=VALUE in mm or rad, e.g. 20.y=0.02 (station 2 "
            f"layer 0 by 20 µm); parameters: {', '.join(PARAMETERS)}"
        )
    return (key, parameter), amount


def moved(truth: Drawn, moves: Moves) -> Drawn:
    """Return the constants of the detector where it moved. Raises UsageError."""
    constants = {key: list(values) for key, values in truth.items()}
    for (key, parameter), amount in moves.items():
        if key not in constants:
            raise UsageError(f"--move {key}.{parameter}: this detector has no component {key}")
        constants[key][PARAMETERS.index(parameter)] += amount
    return constants


def noted(
    before: Sequence[Mapping[str, Any]], run: int, files: Sequence[int], moves: Moves
) -> list[dict[str, Any]]:
    """Return which files have which moves, now that `files` of `run` are simulated (anew)."""
    entries = []
    for entry in before:
        left = [n for n in entry["files"] if entry["run"] != run or n not in files]
        if left:
            entries.append({**entry, "files": left})
    if moves:
        by = {f"{key}.{parameter}": amount for (key, parameter), amount in moves.items()}
        entries.append({"run": run, "files": list(files), "by": by})
    return entries
