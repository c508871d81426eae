"""What tracks that stayed out of the fit say of the constants that they were made with."""

from __future__ import annotations

import math

from auto_iter.alignment.judges.hold_out import HoldOut
from auto_iter.detector.labels import component_of_number
from auto_iter.millepede.conversion.curvature import Curvature
from auto_iter.millepede.conversion.statistics import Statistics

FEWEST_HITS = 25
"""The mean of fewer residuals is chance."""


def hold_out_figures(statistics: Statistics, files: int) -> HoldOut:
    """Return the figures of `files` held-out files, given their statistics added up."""
    modules = {n: each for n, each in statistics.modules.items() if each.hits >= FEWEST_HITS}
    worst = max(modules, key=lambda number: abs(modules[number].mean_um), default=None)
    bias, error = _qop_bias(statistics)
    ift = statistics.matching
    return HoldOut(
        files=files,
        tracks=statistics.tracks_kept,
        chi2_ndf=statistics.chi2_kept / max(statistics.ndf_kept, 1),
        ndf=statistics.ndf_kept,
        largest_mean_um=None if worst is None else modules[worst].mean_um,
        worst_module="" if worst is None else component_of_number(worst).name,
        rms_width_um=_rms([each.width_um for each in modules.values()]),
        qop_bias_per_tev=bias,
        qop_bias_error_per_tev=error,
        ift_mean_um=ift.mean_um if ift.hits > 1 else None,
        ift_mean_error_um=ift.width_um / math.sqrt(ift.hits - 1) if ift.hits > 1 else None,
        ift_width_um=ift.width_um if ift.hits > 1 else None,
    )


def _rms(values: list[float]) -> float | None:
    return math.sqrt(sum(value * value for value in values) / len(values)) if values else None


def _qop_bias(statistics: Statistics) -> tuple[float | None, float | None]:
    """Return half the difference of the mean |q/p| of both charges, and its error (1/TeV)."""
    plus, minus = (statistics.curvatures.get(sign, Curvature()) for sign in ("+", "-"))
    error = math.hypot(plus.error_per_tev, minus.error_per_tev) / 2
    if not math.isfinite(error):
        return None, None
    return (plus.mean_per_tev - minus.mean_per_tev) / 2, error
