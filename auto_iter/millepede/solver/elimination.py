"""Linear constraints: make parameters feasible, eliminate them from the fit (pede's mpqldec.f90).

Kᵀ = Q (0 L)ᵀ with Householder reflections, K a row for each of m constraints: in the basis Q the
last m of n variable parameters are given by the constraints, the first ones are free. Pede's order
of constraints and signs is kept, because its printed uncertainties depend on the basis for one
method. Sources: manual, "Feasible parameters" (equation 11), "Major changes", elimination.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_iter.millepede.mille.records import Floats, Indices
from auto_iter.millepede.steering.reader import Combination

PIVOT = 1e-10
"""A pivot below that fraction of its diagonal counts as zero."""


@dataclass(frozen=True)
class Constraints:
    """All constraints: value = factors @ parameters, over all labels and over the variable ones.

    `rank` is that of the product matrix K Kᵀ over the variable parameters, `inverse_product` (m, m)
    its inverse, with zeros for constraints that depend on others.
    """

    value: Floats
    all_factors: Floats  # (constraints, labels)
    factors: Floats  # (constraints, variable parameters)
    inverse_product: Floats
    rank: int

    def __len__(self) -> int:
        return len(self.value)

    def discrepancies(self, parameters: Floats) -> Floats:
        """Return (m) what is missing to satisfy each constraint: value - K p, p over all labels."""
        return self.value - self.all_factors @ parameters

    def violated(self, parameters: Floats, limit: float) -> bool:
        """Whether the rms discrepancy reaches `limit` (so pede would correct)."""
        missing = self.discrepancies(parameters)
        return bool(len(missing)) and float(np.sqrt(np.mean(missing**2))) >= limit

    def correct(self, parameters: Floats, variable: Indices) -> Floats:
        """Parameters with the smallest change that satisfies the constraints.

        p += Kᵀ (K Kᵀ)⁻¹ (value - K p), manual equation 11; twice, as feasib does, for rounding.
        """
        corrected = parameters.copy()
        for _ in range(2):
            solution = self.inverse_product @ self.discrepancies(corrected)
            corrected[variable] += self.factors.T @ solution
        return corrected


def build_constraints(
    combinations: Sequence[Combination], position: dict[int, int], variable: Indices, size: int
) -> Constraints:
    """Constraints sorted as pede sorts them: by their first, then last variable parameter.

    `position`: place of each label in the table, of `size` labels; `variable`: places that vary.
    """
    value = np.array([c.value for c in combinations])
    factors = np.zeros((len(combinations), size))
    for row, combination in enumerate(combinations):
        for label, factor in combination.terms:
            factors[row, position[label]] += factor
    order = sorted(range(len(value)), key=lambda row: (*_extent(factors[row, variable]), row))
    value, factors = value[order], factors[order]
    free = factors[:, variable]
    inverse, rank = sweep_inverse(free @ free.T)
    return Constraints(value, factors, free, inverse, rank)


def _extent(row: Floats) -> tuple[int, int]:
    used = np.flatnonzero(row)
    return (int(used[0]), int(used[-1])) if len(used) else (len(row), -1)


@dataclass(frozen=True)
class Elimination:
    """Basis Q (n, n), orthogonal, and triangle L (m, m), lower: Kᵀ = Q (0 L)ᵀ."""

    basis: Floats
    triangle: Floats

    @property
    def singular(self) -> bool:
        """Whether a constraint acts on no variable parameter, so that L has a zero."""
        return bool((np.diag(self.triangle) == 0).any())


def eliminate(factors: Floats) -> Elimination:
    """QL decomposition of the transposed constraint matrix `factors` K (m, n), m <= n: qldec."""
    constraints, size = factors.shape
    work = factors.T.copy()
    basis = np.eye(size)
    triangle = np.zeros((constraints, constraints))
    for k in range(constraints - 1, -1, -1):
        last = size - constraints + k
        normal = np.zeros(size)
        normal[: last + 1] = work[: last + 1, k]
        length = np.sqrt(_in_order(normal * normal))
        if length == 0:
            continue  # leaves a zero on L's diagonal: `singular`
        # away from zero, so that nothing cancels
        normal[last] += length if normal[last] >= 0 else -length
        normal /= np.sqrt(_in_order(normal * normal))
        for other in range(k + 1):
            work[:, other] -= 2.0 * normal * _in_order(normal * work[:, other])
        triangle[k:, k] = work[last:, k]
        basis -= 2.0 * np.outer(basis @ normal, normal)
    return Elimination(basis, triangle)


def _in_order(products: Floats) -> float:
    """Sum from first to last, as Fortran does: whether L has a zero is a matter of bits."""
    return float(np.cumsum(products)[-1])


def sweep_inverse(matrix: Floats) -> tuple[Floats, int]:
    """Inverse and rank of a symmetric matrix, pede's way (sqminl, mpnum.f90): largest pivot first.

    Rows and columns that depend on the others, to `PIVOT` of their diagonal, are zero in it.
    """
    work = matrix.copy()
    diagonal = np.abs(np.diag(matrix))
    unused = np.ones(len(work), bool)
    for _ in range(len(work)):
        pivots = np.abs(np.diag(work))
        size = np.where(unused & (pivots > PIVOT * diagonal), pivots, 0.0)
        k = int(size.argmax())
        if size[k] == 0:
            break
        pivot, column = work[k, k], work[:, k].copy()
        work -= np.outer(column, column) / pivot
        work[k, :] = work[:, k] = column / pivot
        work[k, k] = -1.0 / pivot
        unused[k] = False
    work[unused, :] = work[:, unused] = 0.0
    return -work, int((~unused).sum())
