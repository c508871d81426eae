"""Which constants moved between two intervals, and by how much.

A movement of one constant by a leads to the amplitudes a·e, with e the answer of the fit to a unit
movement (`Difference.response`). With the amplitudes' covariance C, a = eᵀC⁻¹d / eᵀC⁻¹e has the
uncertainty 1/√(eᵀC⁻¹e), and χ² decreases by a²/σ². The constant that explains most is taken first,
then the next one beside it, all fitted together, as long as the decrease is no accident. So sizes
are those of the movement itself, not of the part of it that is left without weak modes; but they
take for granted that what is named is what moved: movements that look alike are told with it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.stats

from auto_iter.detector.labels import PARAMETERS, place_of
from auto_iter.ledger.difference import Difference
from auto_iter.weakmodes.label_space import Floats, label_values

MOST = 12
"""So many constants are named at most; a detector taken apart needs no longer list."""
AS_GOOD = 4.0
"""What explains χ² as well as the best up to that much is told as another possibility."""
LEAST_NEW = 0.01
"""A movement of which less than that part (squared) is new cannot be told from those before."""


@dataclass(frozen=True)
class Movement:
    """A constant that moved: value and uncertainty in mm or rad; `or_else`: what looks alike."""

    key: str
    parameter: str
    value: float
    sigma: float
    or_else: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Explained:
    """What moved, and χ² and degrees of freedom of the rest."""

    movements: tuple[Movement, ...]
    chi2: float
    dof: int


def movements(difference: Difference, false_alarm: float) -> Explained:
    """Return which constants moved; `false_alarm`: how often one may be named that did not."""
    names, unit_movements = _candidates(difference)
    whitened = np.linalg.cholesky(difference.covariance)
    rest = np.linalg.solve(whitened, difference.amplitudes)
    answers = np.linalg.solve(whitened, difference.response @ unit_movements)
    least = float(scipy.stats.chi2.isf(false_alarm / len(names), 1))
    chosen: list[int] = []
    or_else: list[tuple[tuple[str, str], ...]] = []
    while len(chosen) < MOST:
        gains = _gains(answers, chosen, rest)
        best = int(np.argmax(gains))
        if gains[best] < least:
            break
        alike = np.flatnonzero(gains > gains[best] - AS_GOOD)
        or_else.append(tuple(names[at] for at in alike if at != best))
        chosen.append(best)
    values, sigmas, chi2 = _fitted(answers[:, chosen], rest)
    found = [
        Movement(*names[at], float(value), float(sigma), alike)
        for at, value, sigma, alike in zip(chosen, values, sigmas, or_else, strict=True)
    ]
    return Explained(tuple(found), chi2, len(rest) - len(chosen))


def _candidates(difference: Difference) -> tuple[list[tuple[str, str]], Floats]:
    """Return all constants of the labels, and their unit movements (labels, constants; mm, rad)."""
    labels, scheme = difference.modes.labels, difference.scheme
    keys = dict.fromkeys(place_of(label, scheme).component.key for label in labels)
    names, columns = [], []
    for key in keys:
        for at, parameter in enumerate(PARAMETERS):
            six = tuple(float(at == number) for number in range(len(PARAMETERS)))
            column = label_values({key: six}, labels, scheme)
            if column.any():
                names.append((key, parameter))
                columns.append(column)
    return names, np.column_stack(columns)


def _gains(answers: Floats, chosen: list[int], data: Floats) -> Floats:
    """Return by how much χ² decreases with each further movement beside the chosen ones."""
    lengths = (answers**2).sum(axis=0)
    basis = np.linalg.qr(answers[:, chosen])[0]
    new = answers - basis @ (basis.T @ answers)
    squared = (new**2).sum(axis=0)
    is_new = squared > LEAST_NEW * lengths.clip(min=np.finfo(float).tiny)
    return np.where(is_new, (new.T @ data) ** 2 / np.where(is_new, squared, 1.0), 0.0)


def _fitted(answers: Floats, data: Floats) -> tuple[Floats, Floats, float]:
    """Return values and uncertainties of movements fitted together, and χ² of the rest."""
    covariance = np.linalg.inv(answers.T @ answers)
    values = covariance @ answers.T @ data
    left = data - answers @ values
    return np.asarray(values), np.sqrt(np.diag(covariance)), float(left @ left)
