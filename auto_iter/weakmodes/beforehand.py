"""What was known of an alignment before its data: constraints and prior, as pede was given them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from auto_iter.millepede.pede.input import CONSTRAINTS, PRIOR
from auto_iter.millepede.steering.reader import Combination, read_text
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import of_sigmas

UNKNOWN = 100.0
"""σ (mm, rad) of what nobody knows anything about: larger than the detector."""


def constraint_rows(places: Sequence[Path], labels: list[int]) -> Floats:
    """Return the constraints of all steps in `3millepede` directories.

    Rows of factors over `labels`; none: no rows. A step's constraint file lacks what the step
    fixes, and another phase fixes other things, so those of all steps are read.
    """
    rows: dict[tuple[int, ...], Floats] = {}
    for path in _step_files(places, CONSTRAINTS):
        for constraint in read_text(path).constraints:
            row = np.zeros(len(labels))
            for label, factor in constraint.terms:
                if label in labels:
                    row[labels.index(label)] = factor
            if row.any():
                rows[tuple(row)] = row
    return np.array(list(rows.values())).reshape(len(rows), len(labels))


def _step_files(places: Sequence[Path], name: str) -> list[Path]:
    return [path for place in places for path in sorted(place.glob(f"step*/{name}"))]


def known_before(prior: Sequence[Combination], free: Mapping[int, float]) -> Floats:
    """Return what was known of free labels before the data, as information (1/mm², 1/rad²).

    That is the `prior` which acts on the total; where there is none, the presigmas, `free`: label →
    presigma (mm, rad), 0: none. Shape (labels, labels), in the order of `free`.
    """
    labels = list(free)
    position = {label: at for at, label in enumerate(labels)}
    known = np.zeros((len(labels), len(labels)))
    for measured in prior:
        row = np.zeros(len(labels))
        for label, factor in measured.terms:
            if label in position:
                row[position[label]] = factor
        known += np.outer(row, row) / measured.sigma**2
    if known.any():
        return known + of_sigmas(np.full(len(labels), UNKNOWN))
    return of_sigmas(np.array([presigma or UNKNOWN for presigma in free.values()]))


def prior_of(places: Sequence[Path]) -> list[Combination]:
    """Return the prior of all steps in `3millepede` directories, each constant's once: the latest.

    Empty where the strategy has none. Values in mm and rad.
    """
    found: dict[tuple[tuple[int, float], ...], Combination] = {}
    for path in _step_files(places, PRIOR):
        for each in read_text(path).measurements:
            found[each.terms] = each
    return list(found.values())
