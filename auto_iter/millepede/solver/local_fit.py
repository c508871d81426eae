"""The local (track) fits of many records at once: normal equations, Cholesky factors, residuals.

All records of a batch have the same number of local parameters L. Derivatives are kept as L rows
over all measurements, so that each step is one operation over the whole batch.

Shapes: L local parameters, T records, N measurements of all of them; `record_first` (T + 1) says
where each record's measurements begin, `record` (N) to which record a measurement belongs. Units
are the file's (mm, rad); what is divided by σ has none. Formulas: Millepede II manual, equation 6
and "The local fit"; docs/solver.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auto_iter.millepede.mille.records import Floats, Indices, Measurements, part_of_each
from auto_iter.millepede.solver.elimination import PIVOT, sweep_inverse

HUBER = 1.345
CAUCHY = 2.3849
"""Where down-weighting begins, in σ: 95 % efficient for normal errors (manual, "Outliers")."""
_UNROLLED = 12  # up to here the factorisation is spelled out over the batch, beyond LAPACK does it


@dataclass(frozen=True)
class LocalFit:
    """Result of one weighted fit per record.

    `inverse_factor[i, j]` (L, L, T; lower triangle) is row i of M with MᵀM = (AᵀwA)⁻¹; `fitted` (N)
    is A x solution, in units of the measurements; `regular` (T) tells which records have full rank
    and finite result. Of the others factor and fitted values are zero.
    """

    inverse_factor: Floats
    fitted: Floats
    regular: NDArray[np.bool_]


def local_rows(m: Measurements, count: int) -> Floats:
    """Return the dense local derivatives A of `m`, transposed: shape (`count`, N).

    `count` is L, no less than the largest local index in `m`; what is not stored is zero.
    """
    row = part_of_each(m.local_first)
    at = (m.local_index.astype(np.int64) - 1) * len(m.value) + row
    dense = np.bincount(at, weights=m.local_value, minlength=count * len(m.value))
    return dense.reshape(count, len(m.value)).astype(np.float64, copy=False)


def fit(
    rows: Floats, value: Floats, weight: Floats, record_first: Indices, record: Indices
) -> LocalFit:
    """Fit each record's local parameters: q = (AᵀwA)⁻¹ Aᵀw·value (manual, equation 6).

    `rows` (L, N) as of `local_rows`; `value` and `weight` (N), 1/σ² or less where down-weighted.
    Every record has at least one measurement. Raises nothing: see `LocalFit.regular`.
    """
    count, starts = len(rows), record_first[:-1]
    weighted = rows * weight
    vector = np.stack([np.add.reduceat(weighted[i] * value, starts) for i in range(count)])
    factor, regular = _inverse_factors(_normal_matrices(rows, weighted, starts))
    half = np.einsum("ijt,jt->it", factor, vector)
    solution = np.einsum("jit,jt->it", factor, half)
    regular &= np.isfinite(solution).all(axis=0)
    solution[:, ~regular] = 0.0
    fitted = np.zeros_like(value)
    for i in range(count):
        fitted += rows[i] * solution[i][record]
    return LocalFit(factor, fitted, regular)


def independence(rows: Floats, sigma: Floats, record_first: Indices) -> Floats:
    """Return how well each record's local parameters are told apart: 1 fully, 0 not at all.

    `rows` (L, N), `sigma` (N); the result is (T). It is the smallest 1 - ρ² of a record's
    parameters, ρ the global correlation of one with the others: 1 / ((Γ⁻¹)ⱼⱼ Γⱼⱼ), Γ = AᵀwA. The
    smallest pivot, relative to its diagonal element, is no smaller, whatever the order of a
    Cholesky decomposition. It has no units and does not depend on residuals.
    A parameter without any derivative counts as 0, unless there are none behind it: then the record
    has fewer parameters. NaN where a derivative is not finite.
    """
    starts = record_first[:-1]
    scaled = rows / sigma
    with np.errstate(all="ignore"):
        matrix = _normal_matrices(scaled, scaled, starts)
        diagonal = np.einsum("iit->it", matrix)  # a view
        finite = np.isfinite(diagonal).all(axis=0)
        is_behind_all = np.cumsum(diagonal[::-1] != 0, axis=0)[::-1] == 0
        diagonal[is_behind_all] = 1.0
        factor = _unrolled(matrix)
        smallest = _smallest_pivots(matrix, factor)
    smallest[~(smallest > 0)] = 0.0
    return np.where(finite, smallest, np.nan)


def _normal_matrices(rows: Floats, weighted: Floats, starts: Indices) -> Floats:
    """AᵀwA of all records, shape (L, L, records)."""
    count = len(rows)
    matrix = np.empty((count, count, len(starts)))
    for i in range(count):
        for j in range(i + 1):
            matrix[i, j] = matrix[j, i] = np.add.reduceat(weighted[i] * rows[j], starts)
    return matrix


def _smallest_pivots(matrix: Floats, inverse_factor: Floats) -> Floats:
    """Return the smallest pivot, relative to its diagonal, that a parameter can have: 1 - ρ²."""
    diagonal = np.einsum("iit->it", matrix)
    product = np.einsum("ijt,ijt->jt", inverse_factor, inverse_factor) * diagonal
    smallest: Floats = 1.0 / product.max(axis=0)
    return smallest


def _inverse_factors(matrix: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Inverse Cholesky factors (L, L, records), and which matrices have full rank."""
    with np.errstate(all="ignore"):
        factor = _unrolled(matrix) if len(matrix) <= _UNROLLED else _lapack(matrix)
        smallest = _smallest_pivots(matrix, factor)
        # no order of elimination meets a smaller pivot; only near the limit rounding errors could
        # decide otherwise than pede's own order, so there it is followed, record by record: that of
        # its global fit. Its local fit goes down to 16 roundings, and gets noise there; such tracks
        # are cut at conversion
        regular = (smallest > 10 * PIVOT) & np.isfinite(smallest)
    for t in np.flatnonzero(~regular & (smallest > 0)):
        one = matrix[:, :, t]
        regular[t] = np.isfinite(one).all() and sweep_inverse(one)[1] == len(one)
    factor[:, :, ~regular] = 0.0
    return factor, regular


def _unrolled(matrix: Floats) -> Floats:
    count = len(matrix)
    lower = np.zeros_like(matrix)
    inverse = np.zeros_like(matrix)
    for j in range(count):
        pivot = matrix[j, j] - sum(lower[j, k] ** 2 for k in range(j))
        inverse[j, j] = 1.0 / np.sqrt(pivot)
        for i in range(j + 1, count):
            inner = sum(lower[i, k] * lower[j, k] for k in range(j))
            lower[i, j] = (matrix[i, j] - inner) * inverse[j, j]
    for i in range(count):
        for j in range(i):
            inner = sum(lower[i, k] * inverse[k, j] for k in range(j, i))
            inverse[i, j] = -inner * inverse[i, i]
    return inverse


def _lapack(matrix: Floats) -> Floats:
    stacked = np.moveaxis(matrix, -1, 0)
    inverse = np.full_like(stacked, np.nan)
    try:
        inverse = np.linalg.inv(np.linalg.cholesky(stacked))
    except np.linalg.LinAlgError:
        for t, one in enumerate(stacked):
            try:
                inverse[t] = np.linalg.inv(np.linalg.cholesky(one))
            except np.linalg.LinAlgError:
                continue
    return np.moveaxis(inverse, 0, -1).copy()
