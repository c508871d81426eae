"""What the built-in solver gives back, and how it judges it: pede's exit codes and warnings."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.millepede.mille.records import Floats, Indices
from auto_iter.millepede.solver.iteration import Descent
from auto_iter.millepede.solver.spectrum import Spectrum


@dataclass(frozen=True)
class SolverResult:
    """The outcome; arrays run over all labels in increasing order, NaN where nothing is fitted.

    `exit_code` and `text` are those of `millepede.end`. `difference` is value - start. `entries`
    counts accepted measurements. `covariance`, `data_hessian` (no presigma, no constraints) and, on
    request, `spectrum` run over `variable`, the labels that are fitted. `ndf` is reduced by the
    fitted parameters. `reasons`: for an exit code other than 0.
    Units: mm and rad, their squares and products in `covariance`, inverse in `data_hessian`.
    Uncertainties are roots of the covariance's diagonal, not scaled by chi2/ndf.
    """

    exit_code: int
    text: str
    warnings: tuple[str, ...]
    reasons: tuple[str, ...]
    labels: Indices
    values: Floats
    presigma: Floats
    difference: Floats
    uncertainties: Floats
    global_correlations: Floats
    entries: Indices
    variable: Indices
    covariance: Floats
    data_hessian: Floats
    spectrum: Spectrum | None
    chi2: float
    ndf: int
    records: int
    rejects: int
    loops: int


def chi2_ratio(end: Descent) -> float:
    """Chi2/ndf in single precision, corrected for Huber down-weighting, as pede prints it."""
    sums = end.evaluation.sums
    mean_weight = sums.weighted_ndf / sums.ndf if sums.ndf else 1.0
    with np.errstate(all="ignore"):
        chi2 = np.float64(end.evaluation.chi2)
        ratio = np.float32(chi2 / mean_weight / np.float64(sums.ndf - end.fitted))
        if end.evaluator.loops != 1 and end.options.down_weighting:
            ratio = np.float32(ratio / np.float32(0.9326))
    return float(ratio)


def judge(end: Descent, empty_constraints: int) -> tuple[int, list[str]]:
    """Exit code 0 to 4 and the reasons: the most severe counts (end of xloopn, pede.f90)."""
    ratio, source = chi2_ratio(end), end.evaluator.source
    rejected = end.evaluation.sums.rejects.total / max(source.records, 1)
    read_errors = len(source.read_errors)
    reasons = (
        (not 90 <= _nearest(100 * ratio) <= 110, 1, f"chi2/ndf is {ratio:.3f}, not close to 1"),
        (_nearest(1e4 * rejected) > 100, 1, f"{100 * rejected:.2f} % of the records are rejected"),
        (empty_constraints > 0, 1, f"{empty_constraints} constraints have no variable parameter"),
        (
            end.low_entries > 0,
            2,
            f"parameters with fewer than {end.options.accepted_entries} accepted entries",
        ),
        (end.constraints.rank < len(end.constraints), 3, "the constraints are linearly dependent"),
        (end.not_decreasing, 3, "the function does not decrease along the solution"),
        (end.defect > 0, 3, f"rank defect {end.defect} of the global matrix"),
        (read_errors > 0, 4, f"{read_errors} binaries end with a read error"),
    )
    code = max((code for holds, code, _ in reasons if holds), default=0)
    return code, [reason for holds, _, reason in reasons if holds]


def _nearest(value: float) -> float:
    """Fortran's NINT for values that are not negative."""
    return float(np.floor(value + 0.5)) if np.isfinite(value) else float("inf")


def signed_root(variances: Floats) -> Floats:
    """Square root, negative for what cannot be a variance, as pede prints it."""
    return np.copysign(np.sqrt(np.abs(variances)), variances)


def printed_root(variances: Floats) -> Floats:
    """Return the uncertainties as pede prints them: roots of variances cut to single precision."""
    with np.errstate(over="ignore", under="ignore"):
        return signed_root(variances.astype(np.float32)).astype(np.float64)


def global_correlation(variances: Floats, diagonal: Floats) -> Floats:
    """Sqrt(1 - 1/(C⁻¹ⱼⱼ Cⱼⱼ)), -1 where that makes no sense (prtglo in pede.f90); no units.

    `variances` C⁻¹ⱼⱼ and `diagonal` Cⱼⱼ over the variable parameters, priors included in both.
    """
    product = variances * diagonal
    square = 1.0 - np.divide(1.0, product, out=np.full_like(product, 2.0), where=product > 0)
    root = np.sqrt(np.abs(square))
    return np.where((square >= 0) & (square <= 1), root, -1.0)
