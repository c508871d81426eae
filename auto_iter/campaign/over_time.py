"""Each constant from interval to interval, weak modes left out.

All values are relative to the first interval, projected onto what the intervals determine of a
difference; each has the uncertainty of its own interval, also the first, so that the uncertainties
of two intervals are independent and add in squares. A movement shows here as the part of it that
the data tell from the weak modes: smaller than it is, with the rest in others of its kind.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_iter.ledger.fit import Fit
from auto_iter.ledger.sample import Sample
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import Eigenmodes
from auto_iter.weakmodes.truth import by_constant, projected


@dataclass(frozen=True)
class ConstantCourse:
    """One constant over the intervals: values and uncertainties, mm or rad."""

    key: str
    parameter: str
    values: tuple[float, ...]
    sigmas: tuple[float, ...]


def courses(samples: Sequence[Sample], modes: Eigenmodes) -> tuple[ConstantCourse, ...]:
    """Return the course of each constant that the data determine. `modes`: of all samples."""
    strong = ~modes.is_weak
    points = []
    for each in samples:
        fit = Fit.of(each, modes)
        amplitudes = fit.change(samples[0], each)[strong]
        covariance = fit.covariance[np.ix_(strong, strong)]
        points.append(_by_constant(modes, amplitudes, covariance, each))
    names = [name for name in points[0] if all(name in point for point in points)]
    return tuple(
        ConstantCourse(
            *name,
            tuple(point[name][0] for point in points),
            tuple(point[name][1] for point in points),
        )
        for name in names
    )


def _by_constant(
    modes: Eigenmodes, amplitudes: Floats, covariance: Floats, sample: Sample
) -> dict[tuple[str, str], tuple[float, float]]:
    pulls = amplitudes / np.sqrt(np.diag(covariance))
    left = projected(modes, amplitudes, covariance, pulls)
    return {
        name: (change.value, change.sigma or 0.0)
        for name, change in by_constant(left, sample.scheme).items()
    }
