"""One loop over the Mille binaries: local fits, rejects, and the sums for the global fit.

Per record with residuals r (global contribution subtracted), weights w, local derivatives A, global
derivatives B: b += Bᵀw r', C += BᵀwB - BᵀwA (AᵀwA)⁻¹ AᵀwB, with r' the residuals after the local
fit (Millepede II manual, section on the solution). Rejection and down-weighting follow pede.f90.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from auto_iter.millepede.mille.records import (
    Bools,
    Floats,
    Indices,
    Integers,
    Measurements,
    part_of_each,
    select_records,
)
from auto_iter.millepede.rejects import Rejects
from auto_iter.millepede.solver.chi2_cuts import chi2_limit_per_ndf
from auto_iter.millepede.solver.local_fit import CAUCHY, HUBER, LocalFit, fit, local_rows


@dataclass(frozen=True)
class LoopRequest:
    """What a loop shall do: parameters by index, cuts, whether to build the matrix.

    `parameters`: one for each label of the table (mm, rad). Cuts are factors on the limit of 3
    standard deviations; `chi2_cut` 0: only the huge cut, below 0: neither. `scale_…` multiply σ.
    """

    parameters: Floats
    matrix: bool
    chi2_cut: np.float32
    huge_cut: np.float32
    down_weighting: int  # internal iterations, 0 or 1 for none
    down_weight_cut: np.float32
    scale_global: float = 1.0
    scale_local: float = 1.0


@dataclass
class Sums:
    """What a loop gives; vectors and matrix by index of all labels.

    `gradient` is b = BᵀWr', minus half the derivative of `chi2`: where to go (units 1/mm, 1/rad).
    `matrix` is C (1/mm², 1/rad²), half the second derivative. `entries`: measurements in accepted
    records. `chi2` includes what large rejects count, `ndf` all records with a sound fit.
    """

    gradient: Floats
    entries: Indices
    matrix: Floats | None
    chi2: float = 0.0
    ndf: int = 0
    weighted_ndf: float = 0.0
    rejects: Rejects = field(default_factory=Rejects)
    slack: float = np.inf  # least distance, in units of sqrt(chi2), of a record from the huge cut

    def grow(self, size: int) -> None:
        """Make room for labels that were not met before."""
        more = size - len(self.gradient)
        if more > 0:
            self.gradient = np.pad(self.gradient, (0, more))
            self.entries = np.pad(self.entries, (0, more))
            if self.matrix is not None:
                self.matrix = np.pad(self.matrix, ((0, more), (0, more)))


def empty_sums(size: int, *, matrix: bool) -> Sums:
    """Return sums of no record for `size` labels."""
    return Sums(
        np.zeros(size), np.zeros(size, np.int64), np.zeros((size, size)) if matrix else None
    )


def add_block(
    sums: Sums, m: Measurements, index: Integers, request: LoopRequest, file_weight: float
) -> None:
    """Add the records `m` to `sums` (manual, equations 9, 15 and 16; loopbf in pede.f90).

    `index` gives, per global derivative, the index of its label. `file_weight` multiplies all sums.
    """
    sums.grow(len(request.parameters))
    if not _is_finite(m):
        m, index = _finite_records(m, index, sums)
    local = np.zeros(m.records, np.int64)
    words = m.local_first[m.record_first]
    filled = np.diff(words) > 0
    if filled.any():
        local[filled] = np.maximum.reduceat(m.local_index, words[:-1][filled])
    # more parameters than measurements have no full rank; an index may be damage, and too large
    hopeless = local > np.diff(m.record_first)
    sums.rejects.singular += int(hopeless.sum())
    # records without local parameters say nothing: pede passes over them
    for count in np.unique(local[(local > 0) & ~hopeless]).tolist():
        chosen = np.flatnonzero((local == count) & ~hopeless)
        if len(chosen) == m.records:
            _Batch(m, index, request, file_weight, count).add_to(sums)
        else:
            part = select_records(replace(m, global_label=index), chosen)
            _Batch(part, part.global_label, request, file_weight, count).add_to(sums)


def _is_finite(m: Measurements) -> bool:
    """Whether no value is infinite, found by sums: one pass, no masks."""
    with np.errstate(all="ignore"):
        return bool(np.isfinite(m.value.sum() + m.local_value.sum() + m.global_value.sum()))


def _finite_records(m: Measurements, index: Integers, sums: Sums) -> tuple[Measurements, Integers]:
    """Reject records with an infinite value at once: pede's local fit gives not-a-number there."""
    bad = ~np.isfinite(m.value)
    for first, values in ((m.local_first, m.local_value), (m.global_first, m.global_value)):
        row = part_of_each(first)
        bad[row[~np.isfinite(values)]] = True
    record = part_of_each(m.record_first)
    is_bad = np.bincount(record[bad], minlength=m.records) > 0
    sums.rejects.singular += int(is_bad.sum())
    good = select_records(replace(m, global_label=index), np.flatnonzero(~is_bad))
    return good, good.global_label


class _Batch:
    """Records with the same number of local parameters, fitted together."""

    def __init__(
        self, m: Measurements, index: Integers, request: LoopRequest, file_weight: float, count: int
    ) -> None:
        self.m, self.request, self.file_weight, self.count = m, request, file_weight, count
        self.size = len(request.parameters)
        shape = (len(m.value), self.size)
        self.derivatives = csr_matrix((m.global_value, index, m.global_first), shape=shape)
        self.index = index
        self.equations = np.diff(m.record_first)
        self.record = np.repeat(np.arange(m.records), self.equations)
        self.sigma = self._scaled_sigma()
        self.rows = local_rows(m, count)

    def _scaled_sigma(self) -> Floats:
        request = self.request
        if request.scale_global == request.scale_local == 1.0:
            return self.m.sigma
        is_global = np.diff(self.m.global_first) > 0
        return self.m.sigma * np.where(is_global, request.scale_global, request.scale_local)

    def add_to(self, sums: Sums) -> None:
        value = self.m.value - self.derivatives @ self.request.parameters
        with np.errstate(all="ignore"):
            weight = 1.0 / self.sigma**2
            result, chi2, kept_fraction = self._fit(value, weight)
            accepted = self._reject(sums, result, chi2, kept_fraction)
            residual = value - result.fitted
            weight, loss = self._global_weights(residual, weight)
        keep = accepted[self.record]
        weight = np.where(keep, weight, 0.0) * self.file_weight
        sums.chi2 += self.file_weight * float(loss[keep].sum())
        sums.gradient += self.derivatives.T @ np.where(keep, weight * residual, 0.0)
        sums.entries += self._entries(keep)
        if sums.matrix is not None:
            self._add_matrix(sums.matrix, result, weight)

    def _fit(self, value: Floats, weight: Floats) -> tuple[LocalFit, Floats, NDArray[np.float32]]:
        """Return the last fit, chi2 per record, and the down-weighted fraction per record."""
        starts, plain = self.m.record_first[:-1], weight
        result = fit(self.rows, value, plain, self.m.record_first, self.record)
        pull = (value - result.fitted) / self.sigma
        loss, factor = pull * pull, np.ones_like(pull)
        regular = result.regular
        # each turn weights by the residuals of the one before; the first knows none
        for iteration in range(2, self.request.down_weighting + 1):
            weights = _factor(pull, iteration) * plain
            result = fit(self.rows, value, weights, self.m.record_first, self.record)
            regular = regular & result.regular
            pull = (value - result.fitted) / self.sigma
            loss, factor = _loss(pull, iteration), _factor(pull, iteration)
        chi2 = np.add.reduceat(loss, starts)
        # sums of sqrt(weight ratio), in single precision: so pede has it, the manual without root
        kept = np.add.reduceat(np.sqrt(factor), starts).astype(np.float32)
        equations = self.equations.astype(np.float32)
        return (
            LocalFit(result.inverse_factor, result.fitted, regular),
            chi2,
            ((equations - kept) / equations),
        )

    def _reject(
        self, sums: Sums, result: LocalFit, chi2: Floats, fraction: NDArray[np.float32]
    ) -> Bools:
        request = self.request
        ndf = self.equations - self.count
        finite = result.regular
        usable = finite & (ndf > 0)
        sums.rejects.singular += int((~finite).sum())
        sums.rejects.no_freedom += int((finite & (ndf <= 0)).sum())
        sums.ndf += int(ndf[usable].sum())
        sums.weighted_ndf += self.file_weight * float(ndf[usable].sum())
        limit = chi2_limit_per_ndf(3, ndf) * ndf.astype(np.float32)
        accepted = usable
        if request.chi2_cut >= 0:
            huge_limit = (request.huge_cut * limit).astype(np.float64)
            huge = usable & (chi2 > huge_limit)
            sums.rejects.huge += int(huge.sum())
            accepted = usable & ~huge
            room = np.sqrt(huge_limit[accepted]) - np.sqrt(chi2[accepted])
            sums.slack = min(sums.slack, float(room.min(initial=np.inf)))
            if request.chi2_cut > 0:
                cut = (request.chi2_cut * limit).astype(np.float64)
                large = accepted & (chi2 > cut)
                sums.chi2 += self.file_weight * float(cut[large].sum())
                sums.rejects.large += int(large.sum())
                accepted = accepted & ~large
        if request.down_weighting > 1 and request.down_weight_cut != 0:
            weak = accepted & (fraction > request.down_weight_cut)
            sums.chi2 += self.file_weight * float(chi2[weak].sum())
            sums.rejects.large += int(weak.sum())
            accepted = accepted & ~weak
        return accepted

    def _global_weights(self, residual: Floats, weight: Floats) -> tuple[Floats, Floats]:
        """Weights (Huber's when down-weighting) and contributions to chi2 in the global fit."""
        pull = residual / self.sigma
        if self.request.down_weighting < 2:
            return weight, pull * pull
        return weight * _factor(pull, 2), _loss(pull, 2)

    def _entries(self, keep: Bools) -> Indices:
        if keep.all():
            return np.bincount(self.index, minlength=self.size)
        words = np.repeat(keep, np.diff(self.m.global_first))
        return np.bincount(self.index[words], minlength=self.size)

    def _add_matrix(self, matrix: Floats, result: LocalFit, weight: Floats) -> None:
        """Add BᵀwB and subtract YᵀY, Y = M AᵀwB with MᵀM the inverse of the local matrix.

        M Aᵀ of all records is one sparse matrix, a row for each local parameter of each record: row
        i·T + t has its entries at the measurements of record t. It replaces a loop over records.
        """
        weighted = self.derivatives.copy()
        weighted.data *= np.repeat(weight, np.diff(self.m.global_first))
        matrix += (self.derivatives.T @ weighted).toarray()
        projected = np.empty((self.count, len(weight)))
        for i in range(self.count):
            projected[i] = sum(
                result.inverse_factor[i, j][self.record] * self.rows[j] for j in range(i + 1)
            )
        first, measurements = self.m.record_first, len(weight)
        offsets = np.arange(self.count)[:, None] * measurements + first[:-1]
        indptr = np.append(offsets.ravel(), self.count * measurements)
        columns = np.tile(np.arange(measurements, dtype=np.int32), self.count)
        shape = (self.count * self.m.records, measurements)
        reduce = csr_matrix((projected.ravel(), columns, indptr), shape=shape)
        dense = (reduce @ weighted).toarray()
        if self.file_weight != 1:
            dense /= np.sqrt(self.file_weight)
        matrix -= dense.T @ dense


def _factor(pull: Floats, iteration: int) -> Floats:
    """Weight ratio: Huber's in internal iterations 2 and 3, Cauchy's after."""
    if iteration <= 3:
        size = np.abs(pull)
        return np.where(size > HUBER, HUBER / size, 1.0)
    return 1.0 / (1.0 + (pull / CAUCHY) ** 2)


def _loss(pull: Floats, iteration: int) -> Floats:
    """Contribution to chi2 under the same weights."""
    if iteration <= 3:
        size = np.abs(pull)
        return np.where(size > HUBER, 2.0 * HUBER * (size - 0.5 * HUBER), pull * pull)
    return np.log1p((pull / CAUCHY) ** 2) * CAUCHY**2
