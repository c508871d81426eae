"""Solve the global normal equations under constraints: inversion, diagonalisation, multipliers.

n variable parameters, m constraints. C d = b with K d = missing (manual, "Optimization with linear
constraints", equations 1 and 10; "Major changes", elimination; pede.f90: minver, mdiags, mminrs).
Units follow the parameters: C in 1/mm², 1/rad² and mixed, its inverse is the covariance.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import LinAlgError, cho_solve, cholesky

from auto_iter.millepede.mille.records import Floats
from auto_iter.millepede.solver.elimination import Constraints, Elimination, sweep_inverse


@dataclass(frozen=True)
class Inverse:
    """Inverse of the matrix in the free directions, its rank defect, and the way back.

    `matrix` is C (n, n). With elimination `reduced` is QᵀCQ (n, n) and `inverse` that of its first
    `free` = n - m rows and columns; with multipliers both are (n + m, n + m), C bordered by the
    constraints; without constraints both are as C.
    """

    matrix: Floats
    reduced: Floats
    inverse: Floats
    defect: int
    elimination: Elimination | None
    free: int

    def solve(self, gradient: Floats, missing: Floats) -> Floats:
        """Step (n) that leads to the minimum and satisfies the constraints.

        `gradient` b (n), downhill; `missing` (m): what the present parameters lack of each
        constraint's value. The inverse may be older than both: pede keeps it over iterations.
        """
        if self.elimination is None:
            return (self.inverse @ np.concatenate((gradient, missing)))[: len(gradient)]
        basis, free = self.elimination.basis, self.free
        rotated = basis.T @ gradient
        # in the basis Q the last m components follow from the constraints alone; the others adapt
        bound = np.linalg.solve(self.elimination.triangle.T, missing) if len(missing) else missing
        first = self.inverse @ (rotated[:free] - self.reduced[:free, free:] @ bound)
        return basis @ np.concatenate((first, bound))

    @property
    def covariance(self) -> Floats:
        """Covariance matrix (n, n) of the variable parameters; not scaled by chi2/ndf."""
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
    method: str,
) -> Inverse:
    """Invert in the free directions, and treat what the matrix leaves open as pede's `method` does.

    `matrix` C (n, n), without fixed parameters; `elimination` None: by multipliers. Raises nothing
    for a singular matrix: `defect` tells.

    `diagonalization` divides by whatever the eigenvalues are, MINRES leaves the undetermined
    combinations where they are, the other methods drop dependent parameters and tell the defect.
    """
    if elimination is None and len(constraints):
        size = len(matrix)
        bordered = np.zeros((size + len(constraints),) * 2)
        bordered[:size, :size] = matrix
        bordered[size:, :size] = constraints.factors
        bordered[:size, size:] = constraints.factors.T
        inverse, rank = sweep_inverse(bordered)
        return Inverse(matrix, bordered, inverse, len(bordered) - rank, None, len(bordered))
    if elimination is None:
        inverse, defect = _symmetric_inverse(matrix, np.diag(matrix), method)
        return Inverse(matrix, matrix, inverse, defect, None, len(matrix))
    free = len(matrix) - len(constraints)
    reduced = elimination.basis.T @ matrix @ elimination.basis
    conditioner = (elimination.basis[:, :free] ** 2).T @ np.diag(matrix)
    inverse, defect = _symmetric_inverse(reduced[:free, :free], conditioner, method)
    return Inverse(matrix, reduced, inverse, defect, elimination, free)


def _symmetric_inverse(matrix: Floats, conditioner: Floats, method: str) -> tuple[Floats, int]:
    """Inverse by Cholesky where the matrix is safely regular, else as `method` has it."""
    if method == "diagonalization":
        values, vectors = np.linalg.eigh(matrix)
        weights = np.divide(1.0, values, out=np.zeros_like(values), where=values != 0)
        return (vectors * weights) @ vectors.T, 0
    scale = np.sqrt(np.abs(np.diag(matrix)))
    scale[scale == 0] = 1.0  # then Cholesky fails, as it has to
    try:
        factor = cholesky(matrix / np.outer(scale, scale), lower=True)
        inverse = cho_solve((factor, True), np.eye(len(matrix)))
        # ten times off the 1e-10 at which pede drops a parameter: nothing would be dropped here
        if np.diag(inverse).max(initial=0.0) < 1e9:
            inverse = 0.5 * (inverse + inverse.T)
            return inverse / np.outer(scale, scale), 0
    except (LinAlgError, ValueError):
        pass
    if "MINRES" in method:
        return _least_norm_inverse(matrix, conditioner), 0
    inverse, rank = sweep_inverse(matrix)
    return inverse, len(matrix) - rank


def _least_norm_inverse(matrix: Floats, conditioner: Floats) -> Floats:
    """Return what MINRES tends to, starting from zero with a diagonal preconditioner D.

    That is the solution of least norm of D^-1/2 C D^-1/2 y = D^-1/2 b with x = D^-1/2 y.
    """
    scale = np.sqrt(np.where(conditioner > 0, conditioner, 1.0))
    scales = np.outer(scale, scale).astype(np.float64)
    inverse = np.linalg.pinv(matrix / scales, rcond=1e-10, hermitian=True)
    return inverse / scales
