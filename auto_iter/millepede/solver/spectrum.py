"""Eigenvalues of the data-only matrix, and weakly constrained combinations of parameters."""

from __future__ import annotations

from collections.abc import Sequence
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


@dataclass(frozen=True)
class Spectrum:
    """All eigenvalues in decreasing order, and the weakest modes, weakest first."""

    eigenvalues: Floats
    weakest: tuple[Mode, ...]


def spectrum_of(hessian: Floats, labels: Indices, count: int) -> Spectrum:
    """Spectrum of a symmetric matrix (n, n) over `labels`, with the `count` weakest modes.

    Eigenvalues in 1/mm², 1/rad²: shifts and rotations are compared as they are, so that 1 rad
    counts as 1 mm. `weakmodes` compares in units of what is known beforehand instead.
    """
    values, vectors = np.linalg.eigh(hessian)
    floor = max(float(values[-1]), 0.0) * len(values) * float(np.finfo(np.float64).eps)
    weakest = turned(vectors[:, :count])
    modes = []
    for value, vector in zip(values[:count].tolist(), weakest.T, strict=True):
        # below n roundings of the largest eigenvalue there is nothing but rounding
        uncertainty = 1.0 / np.sqrt(value) if value > floor else float("inf")
        modes.append(Mode(value, float(uncertainty), labels, vector))
    return Spectrum(values[::-1], tuple(modes))


def turned(vectors: Floats) -> Floats:
    """Return eigenvectors (columns; the sign is arbitrary) with their largest components positive.

    Shape (n, any), as given.
    """
    rows = np.abs(vectors).argmax(axis=0)
    return np.asarray(vectors * np.sign(vectors[rows, np.arange(vectors.shape[1])]))


def largest_shares(
    vector: Floats, labels: Sequence[int] | Indices, count: int = 6
) -> tuple[tuple[int, float], ...]:
    """Return the labels that make up `vector` (n) most, with their components, largest first."""
    order = np.argsort(-np.abs(vector), kind="stable")[:count]
    return tuple((int(labels[i]), float(vector[i])) for i in order)
