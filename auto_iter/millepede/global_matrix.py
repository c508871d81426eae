"""Solve the global normal equations under constraints: inversion, diagonalisation, multipliers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky

from auto_iter.millepede.elimination import Constraints, Elimination, sweep_inverse
from auto_iter.millepede.mille_records import Floats


@dataclass(frozen=True)
class Inverse:
    """Inverse of the matrix in the free directions, its rank defect, and the way back.

    With elimination `reduced` is C in the basis Q; with multipliers it is C bordered by the
    constraints.
    """

    matrix: Floats
    reduced: Floats
    inverse: Floats
    defect: int
    elimination: Elimination | None
    free: int

    def solve(self, gradient: Floats, missing: Floats) -> Floats:
        """Step that leads to the minimum and satisfies the constraints (`missing` there)."""
        if self.elimination is None:
            return (self.inverse @ np.concatenate((gradient, missing)))[: len(gradient)]
        basis, free = self.elimination.basis, self.free
        rotated = basis.T @ gradient
        bound = np.linalg.solve(self.elimination.triangle.T, missing) if len(missing) else missing
        first = self.inverse @ (rotated[:free] - self.reduced[:free, free:] @ bound)
        return basis @ np.concatenate((first, bound))

    @property
    def covariance(self) -> Floats:
        """Covariance matrix of the variable parameters."""
        size = len(self.matrix)
        if self.elimination is None:
            return self.inverse[:size, :size]
        free_basis = self.elimination.basis[:, : self.free]
        return free_basis @ self.inverse @ free_basis.T

    @property
    def old_diagonal(self) -> Floats:
        """What pede before V04-12-03 takes for variances after a diagonalisation with constraints.

        The free part in the basis Q, and behind it elements of the projected matrix itself.
        """
        if self.elimination is None or self.free == len(self.matrix):
            return np.diag(self.covariance)
        free_basis = self.elimination.basis[:, : self.free]
        projected = free_basis @ self.reduced[: self.free, : self.free] @ free_basis.T
        return np.concatenate((np.diag(self.inverse), np.diag(projected)[self.free :]))


def invert(
    matrix: Floats,
    constraints: Constraints,
    elimination: Elimination | None,
    *,
    defect_allowed: bool,
) -> Inverse:
    """Invert in the free directions; without `defect_allowed` dependent ones are dropped."""
    if elimination is None and len(constraints):
        size = len(matrix)
        bordered = np.zeros((size + len(constraints),) * 2)
        bordered[:size, :size] = matrix
        bordered[size:, :size] = constraints.factors
        bordered[:size, size:] = constraints.factors.T
        inverse, rank = sweep_inverse(bordered)
        return Inverse(matrix, bordered, inverse, len(bordered) - rank, None, len(bordered))
    if elimination is None:
        inverse, defect = _symmetric_inverse(matrix, defect_allowed)
        return Inverse(matrix, matrix, inverse, defect, None, len(matrix))
    free = len(matrix) - len(constraints)
    reduced = elimination.basis.T @ matrix @ elimination.basis
    inverse, defect = _symmetric_inverse(reduced[:free, :free], defect_allowed)
    return Inverse(matrix, reduced, inverse, defect, elimination, free)


def _symmetric_inverse(matrix: Floats, defect_allowed: bool) -> tuple[Floats, int]:
    """Inverse by Cholesky where the matrix is safely regular, else by pede's pivoting."""
    if defect_allowed:
        values, vectors = np.linalg.eigh(matrix)
        weights = np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)
        return (vectors * weights) @ vectors.T, 0
    scale = np.sqrt(np.abs(np.diag(matrix)))
    scale[scale == 0] = 1.0  # then Cholesky fails, as it has to
    try:
        factor = cholesky(matrix / np.outer(scale, scale), lower=True)
        inverse = cho_solve((factor, True), np.eye(len(matrix)))
        if np.diag(inverse).max(initial=0.0) < 1e9:
            inverse = 0.5 * (inverse + inverse.T)
            return inverse / np.outer(scale, scale), 0
    except (LinAlgError, ValueError):
        pass
    inverse, rank = sweep_inverse(matrix)
    return inverse, len(matrix) - rank
