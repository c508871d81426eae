"""Constants that walk along what the data leave open, iteration by iteration: seen and named.

Along a weak mode χ² of the tracks is flat, so that nothing else shows it: steps of one direction,
that do not become smaller, add up for as long as the alignment runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from auto_iter.detector.constants import Constants, changes
from auto_iter.detector.labels import Parameter, Scheme
from auto_iter.weakmodes.label_space import Floats, label_values
from auto_iter.weakmodes.modes import Eigenmodes, name_weak_modes

STEPS = 4
"""So many steps in one direction are a walk; fewer of them happen by chance."""
SAME_DIRECTION = 0.5
"""The least cosine between two steps of a walk."""
NOT_SHRINKING = 0.5
"""A walk's last step over its first: what converges does so faster."""
LEAST_SHIFT_MM, LEAST_ROTATION_RAD = 0.02, 0.0002
"""A shorter walk does no harm yet."""
PRIOR_HOLDS = 1.0
"""Where there is a prior, a walk has to be longer than its σ to be one."""


@dataclass(frozen=True)
class Walk:
    """A movement along which constants walk.

    `step_…`, `total_…`: the largest displacement of any constant (mm, rad) in the last step, and in
    all `STEPS` of them.
    """

    mode: str
    step_mm: float
    step_rad: float
    total_mm: float
    total_rad: float

    def __str__(self) -> str:
        total = _size(self.total_mm, self.total_rad)
        return (
            f"constants walk along what the data leave open: {self.mode}, by "
            f"{_size(self.step_mm, self.step_rad)} in the last iteration, {total} in {STEPS}; a "
            f"prior (docs/strategies.md) would hold them"
        )


def _size(shift_mm: float, rotation_rad: float) -> str:
    parts = [f"{1e3 * shift_mm:.0f} µm"] if 1e3 * shift_mm >= 1 else []
    parts += [f"{1e3 * rotation_rad:.2f} mrad"] if 1e3 * rotation_rad >= 0.01 else []
    return " and ".join(parts) or "little"


def walks(
    path: Sequence[Constants], modes: Eigenmodes, scheme: Scheme, least: float = 0.0
) -> list[Walk]:
    """Return the weak movements along which constants walked in the last `STEPS` iterations.

    `path`: constants, oldest first, one more than steps; a shorter path holds no walk. `least`: a
    walk shorter than that, in units of what is known, is none; with a prior 1 σ, for it holds them.
    """
    if len(path) <= STEPS:
        return []
    values = [label_values(constants, modes.labels, scheme) for constants in path[-STEPS - 1 :]]
    steps = np.array([modes.in_units(after - before) for before, after in pairwise(values)])
    found = []
    for mode in name_weak_modes(modes, scheme):
        along = steps @ modes.weak @ mode.directions
        if not _is_walk(along) or np.linalg.norm(along.sum(axis=0)) < least:
            continue
        vectors = modes.scale @ modes.weak @ mode.directions
        walk = Walk(
            mode.name,
            *_largest(vectors @ along[-1], modes.labels, scheme),
            *_largest(vectors @ along.sum(axis=0), modes.labels, scheme),
        )
        if walk.total_mm >= LEAST_SHIFT_MM or walk.total_rad >= LEAST_ROTATION_RAD:
            found.append(walk)
    return found


def _is_walk(along: Floats) -> bool:
    """Tell whether steps (rows) go one way and do not become much smaller."""
    lengths = np.linalg.norm(along, axis=1)
    if not (lengths > 0).all():
        return False
    cosines = np.einsum("ij,ij->i", along[1:], along[:-1]) / (lengths[1:] * lengths[:-1])
    return bool((cosines > SAME_DIRECTION).all() and lengths[-1] > NOT_SHRINKING * lengths[0])


def _largest(displacement: Floats, labels: Sequence[int], scheme: Scheme) -> tuple[float, float]:
    """Return the largest shift (mm) and rotation (rad) of any constant."""
    parts = [
        Parameter(label, float(value)) for label, value in zip(labels, displacement, strict=True)
    ]
    moved = changes(parts, scheme)
    return (
        max((abs(each.value) for each in moved if each.is_shift), default=0.0),
        max((abs(each.value) for each in moved if not each.is_shift), default=0.0),
    )
