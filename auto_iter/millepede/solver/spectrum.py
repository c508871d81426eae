"""Eigenvalues of the data-only matrix, and weakly constrained combinations of parameters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.millepede.mille.records import Floats, Indices


@dataclass(frozen=True)
class Mode:
    """One combination of parameters: unit vector over `labels`, its eigenvalue and uncertainty.

    `uncertainty` is 1/sqrt(eigenvalue), infinite where the data say nothing.
    """

    eigenvalue: float
    uncertainty: float
    labels: Indices
    components: Floats

    def largest(self, count: int) -> list[tuple[int, float]]:
        """Labels that contribute most, with their components."""
        order = np.argsort(-np.abs(self.components), kind="stable")[:count]
        return [(int(self.labels[i]), float(self.components[i])) for i in order]


@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues in decreasing order, and the weakest modes, weakest first."""

    eigenvalues: Floats
    weakest: tuple[Mode, ...]


def spectrum_of(hessian: Floats, labels: Indices, count: int) -> Spectrum:
    """Spectrum of a symmetric matrix (n, n) over `labels`, with the `count` weakest modes.

    Eigenvalues in 1/mm², 1/rad²: shifts and rotations are compared as they are, so that 1 rad
    counts as 1 mm. `report` compares in units of what is known beforehand instead.
    """
    values, vectors = np.linalg.eigh(hessian)
    floor = max(float(values[-1]), 0.0) * len(values) * float(np.finfo(np.float64).eps)
    modes = []
    for at in range(min(count, len(values))):
        value, vector = float(values[at]), vectors[:, at]
        # the sign of an eigenvector is arbitrary: make its largest component positive
        vector = vector * np.sign(vector[np.abs(vector).argmax()])
        # below n roundings of the largest eigenvalue there is nothing but rounding
        uncertainty = 1.0 / np.sqrt(value) if value > floor else float("inf")
        modes.append(Mode(value, float(uncertainty), labels, vector))
    return Spectrum(values[::-1], tuple(modes))
