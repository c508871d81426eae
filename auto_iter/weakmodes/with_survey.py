"""What survey measurements would buy: weak combinations, and how well they are known, with them.

In units of what is known before (`modes`), with eigenmodes V, λ of data alone, or of data and
survey, the covariance of all combinations is V (1 + λ)⁻¹ Vᵀ: the fit's, the prior included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from auto_iter.detector.labels import Scheme
from auto_iter.millepede.steering.reader import Combination
from auto_iter.weakmodes.beforehand import factors_over, information
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import Eigenmodes, eigenmodes, name_weak_modes


@dataclass(frozen=True)
class Gain:
    """Weak combinations of one name: how many without and with the survey.

    `sigmas`: of that one among them which gains most, without and with, as the movement of
    `label`, its largest member (mm, rad); None where only the survey makes it weak by that name.
    """

    name: str
    counts: tuple[int, int]
    label: int | None = None
    sigmas: tuple[float, float] | None = None


@dataclass(frozen=True)
class WithSurvey:
    """An iteration's fit without and with a survey: pairs are in that order.

    `weak`: how many combinations are weak; `sigmas`: of each measured combination (mm, rad).
    """

    weak: tuple[int, int]
    gains: tuple[Gain, ...]
    sigmas: tuple[tuple[float, float], ...]


def with_survey(  # noqa: PLR0913, PLR0917 - a fit is all of these
    survey: Sequence[Combination],
    labels: Sequence[int],
    hessian: Floats,
    known: Floats,
    constraints: Floats,
    scheme: Scheme,
) -> WithSurvey:
    """Return what `survey` changes. Matrices and errors: those of `modes.eigenmodes`."""
    without = eigenmodes(labels, hessian, known, constraints=constraints)
    measured = hessian + information(survey, labels)
    extended = eigenmodes(labels, measured, known, constraints=constraints)
    covariances = _covariance(without), _covariance(extended)
    return WithSurvey(
        (int(without.is_weak.sum()), int(extended.is_weak.sum())),
        tuple(_gains(without, extended, covariances, scheme)),
        tuple(_sigmas(each, without, covariances) for each in survey),
    )


def _covariance(modes: Eigenmodes) -> Floats:
    """Return the covariance in units of what is known, shape (labels, labels)."""
    # rounding leaves eigenvalues of nothing slightly below 0
    inverse = 1.0 / (1.0 + np.maximum(modes.values, 0.0))
    return np.asarray((modes.vectors * inverse) @ modes.vectors.T)


def _gains(
    without: Eigenmodes, extended: Eigenmodes, covariances: tuple[Floats, Floats], scheme: Scheme
) -> list[Gain]:
    still = {mode.name: mode.count for mode in name_weak_modes(extended, scheme)}
    found: list[Gain] = []
    for mode in name_weak_modes(without, scheme):
        vectors = without.weak @ mode.directions
        before, after = (vectors.T @ each @ vectors for each in covariances)
        gaining = vectors @ scipy.linalg.eigh(before, after)[1][:, -1]
        gaining /= np.linalg.norm(gaining)
        label, moves = _largest_member(gaining, without)
        sigmas = [float(moves * np.sqrt(gaining @ each @ gaining)) for each in covariances]
        counts = (mode.count, still.pop(mode.name, 0))
        found.append(Gain(mode.name, counts, label, (sigmas[0], sigmas[1])))
    return [*found, *(Gain(name, (0, count)) for name, count in still.items())]


def _largest_member(vector: Floats, modes: Eigenmodes) -> tuple[int, float]:
    """Return the label that a combination moves most, for what is known of it, and by how much."""
    movement = modes.scale @ vector
    at = int(np.argmax(np.abs(movement) / np.linalg.norm(modes.scale, axis=1)))
    return modes.labels[at], float(abs(movement[at]))


def _sigmas(
    measured: Combination, modes: Eigenmodes, covariances: tuple[Floats, Floats]
) -> tuple[float, float]:
    row = factors_over(modes.labels, measured) @ modes.scale
    before, after = (float(np.sqrt(row @ each @ row)) for each in covariances)
    return before, after
