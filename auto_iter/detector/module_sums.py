"""The sums over a layer's modules that are held at zero, and what they leave to be found.

A layer's own x (y, rz) is its modules' common one, so one of the two has to be held. Where only few
members may move, the sums say where each of these is, or the same twice; pede answers the first
with an uncertainty of zero but for rounding errors of either sign, the second with a bad matrix.
Both are taken care of here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from auto_iter.detector.labels import LAYERS, Parameter, Place
from auto_iter.detector.rigid import folded

Floats = npt.NDArray[np.float64]
NEGLIGIBLE = 1e-9
"""Factors are ±1: what is smaller is rounding."""


Sum = dict[Parameter, float]
"""One sum: its members, each where it starts, with their factors; Σ factor·value is to be 0."""


def layer_sums(kinds: Sequence[str], members: Mapping[Place, Parameter]) -> Iterator[list[Sum]]:
    """Yield the sums (`kinds`: x, y, rz) of each layer, with the factor of each member.

    Factors are ±1 without units, so a sum is in mm (x, y; y without its 1/(2·20 mrad)) or rad (rz).
    """
    stations = sorted({place.component.station for place in members})
    for layer in ((station, layer) for station in stations for layer in range(LAYERS)):
        sums = [
            folded({m: _factor(place, layer, kind) for place, m in members.items()})
            for kind in kinds
        ]
        if any(sums):
            yield [each for each in sums if each]


def _factor(place: Place, layer: tuple[int, int], kind: str) -> float:
    """Return the factor of a label in the sum over a layer's modules; 0: it is not in there.

    Up to 1/(2·20 mrad), which is the same for all, a module's y is ±(x₁ − x₀) of its sides.
    """
    component = place.component
    is_in_layer = (component.station, component.layer) == layer
    if component.depth not in ("module", "side") or not is_in_layer:
        return 0.0
    if kind == "y":
        is_of_a_side = place.parameter == "x" and component.depth == "side"
        return component.stereo if is_of_a_side else 0.0
    return 1.0 if place.parameter == kind else 0.0


def pinned(sums: Sequence[Sum]) -> dict[int, float]:
    """Return the labels that may move but to which the sums leave one value, with that value.

    A label is pinned when every direction that the sums leave open, the null space of their
    factors, has nothing of it. Values (mm, rad) make the sums zero, with the fixed members' starts.
    """
    free, rows = _of_free(sums)
    if not len(free):
        return {}
    missing = [-sum(f * m.value for m, f in each.items() if not m.is_free) for each in sums]
    values = np.linalg.lstsq(rows, np.array(missing), rcond=None)[0]
    _, sizes, basis = np.linalg.svd(rows)
    open_directions = basis[np.count_nonzero(sizes > NEGLIGIBLE) :]
    is_pinned = np.abs(open_directions).max(axis=0, initial=0.0) < NEGLIGIBLE
    return {free[at].label: float(values[at]) for at in np.flatnonzero(is_pinned)}


def independent(sums: Sequence[Sum]) -> list[Sum]:
    """Return the sums that say something of what may move that those before did not.

    Dependent ones would be a rank defect of the constraints, which pede answers with code 3.
    """
    _, rows = _of_free(sums)
    told: list[int] = []
    for at in range(len(sums)):
        if np.linalg.matrix_rank(rows[[*told, at]], tol=NEGLIGIBLE) > len(told):
            told.append(at)
    return [sums[at] for at in told]


def _of_free(sums: Sequence[Sum]) -> tuple[list[Parameter], Floats]:
    """Return the members that may move, and their factors: a row for each sum."""
    free = list(dict.fromkeys(m for each in sums for m in each if m.is_free))
    return free, np.array([[each.get(m, 0.0) for m in free] for each in sums]).reshape(
        len(sums), -1
    )
