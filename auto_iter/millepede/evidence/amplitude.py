"""How much of a change of the constants is in the residuals of some tracks.

A change Δ, one value a label, moves a track's residuals r by −BΔ. What the track's own parameters
(derivatives A, weights W) cannot follow of that is measured by W' = W − W A (AᵀWA)⁻¹ AᵀW. Over all
tracks, with g = Σ (BΔ)ᵀ W' r and κ = Σ (BΔ)ᵀ W' BΔ, the amplitude of the change is g/κ, its
uncertainty 1/√κ, and chi2 falls by 2g − κ when Δ is applied: by κ where it fits best.

This is the least-squares fit of one number, Δ's factor, with the local parameters eliminated as in
the solution (manual, equations 3 and 4); κ = ΔᵀCΔ with the C of these tracks. Nothing in it has
units but r, BΔ (mm) and the weights (1/mm²).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from auto_iter.alignment.judges.arrival import Look
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.mille.records import Floats, Measurements, part_of_each
from auto_iter.millepede.solver.local_fit import fit, local_rows

ByLabel = Mapping[int, float]
"""A change of the constants by label (mm, rad). Other labels do not move."""


def shifts(m: Measurements, change: ByLabel) -> Floats:
    """Return BΔ (one for each measurement): by how much (mm) its residual gets smaller."""
    labels, at = np.unique(m.global_label, return_inverse=True)
    moved = m.global_value * np.array([change.get(label, 0.0) for label in labels.tolist()])[at]
    row = part_of_each(m.global_first)
    return np.bincount(row, weights=moved, minlength=len(m.value)).astype(np.float64)


def look_at(blocks: Iterable[Measurements], change: ByLabel, statistics: Statistics) -> Look:
    """Return what records show of `change`; `statistics`, read last, are of their conversion.

    "Read last", because a converter that makes the records lazily fills it meanwhile.
    """
    gradient, curvature = 0.0, 0.0
    for block in blocks:
        g, kappa = _sums(block, change)
        gradient, curvature = gradient + g, curvature + kappa
    return Look(
        gradient,
        curvature,
        tracks=statistics.tracks_kept,
        chi2=statistics.chi2_kept,
        ndf=statistics.ndf_kept,
    )


def _sums(m: Measurements, change: ByLabel) -> tuple[float, float]:
    """Return g and κ; tracks whose own fit is not sound count for nothing."""
    if not m.records:
        return 0.0, 0.0
    rows = local_rows(m, int(m.local_index.max(initial=1)))
    record = part_of_each(m.record_first)
    shift = shifts(m, change)
    with np.errstate(all="ignore"):
        weight = m.sigma**-2.0
        of_value = fit(rows, m.value, weight, m.record_first, record)
        of_shift = fit(rows, shift, weight, m.record_first, record)
    weight[~(of_value.regular & of_shift.regular)[record]] = 0.0
    moved = weight * (shift - of_shift.fitted)
    return float(moved @ (m.value - of_value.fitted)), float(moved @ (shift - of_shift.fitted))
