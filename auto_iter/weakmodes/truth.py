"""Found constants against the truth, after removal of what the data cannot fix.

With S the scale of what is known (`modes`), u = S⁻¹ (found − truth) and eigenmodes v, λ of the
data-only Hessian in those units, d' = S · Σ v (v·u) over the modes that are not weak; its
covariance is S · (Σ v vᵀ / λ) · Sᵀ. Weak modes drop out of both.

The eigenvectors of a covariance are independent, so their pulls √λ (v·u) have mean 0 and width 1
where uncertainties are right; those of single labels are not independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.detector.constants import Change, changes
from auto_iter.detector.labels import Parameter, Scheme, pairs_within_modules
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import Eigenmodes

NOT_DETERMINED = 1e-6
"""Of a label with less than this part (squared) in strong modes only rounding errors are left."""


@dataclass(frozen=True)
class Comparison:
    """Found − truth without weak modes; arrays over `labels` (mm, rad), NaN: not determined.

    `mode_pulls`: one for each mode that is not weak; unlike `pulls` they are independent.
    `covariance` (labels, labels) is of the strong modes only. Pulls have no units.
    """

    labels: tuple[int, ...]
    difference: Floats
    sigma: Floats
    covariance: Floats
    pulls: Floats
    mode_pulls: Floats
    modes: Eigenmodes

    @property
    def chi2(self) -> float:
        """Σ of squared mode pulls; `dof` is expected."""
        return float(self.mode_pulls @ self.mode_pulls)

    @property
    def dof(self) -> int:
        """The number of modes that the data fix."""
        return len(self.mode_pulls)

    @property
    def width(self) -> float:
        """The root mean square of the mode pulls: 1 when errors are what they are said to be."""
        return float(np.sqrt(self.chi2 / self.dof)) if self.dof else 0.0


def compare(modes: Eigenmodes, difference: Floats) -> Comparison:
    """Return what is left of label values' `difference` found − truth (n; mm, rad).

    `modes` (of n labels): what their constraints fix is left out, too: the fit was told, not the
    data.
    """
    values = modes.values[~modes.is_weak]
    amplitudes = modes.strong.T @ modes.in_units(difference)
    return projected(modes, amplitudes, np.diag(1 / values), amplitudes * np.sqrt(values))


def projected(
    modes: Eigenmodes, amplitudes: Floats, covariance: Floats, mode_pulls: Floats
) -> Comparison:
    """Return what amplitudes of the modes that are not weak say of the labels.

    `amplitudes` (strong modes) with their `covariance`; `mode_pulls`: of independent combinations.
    """
    strong = modes.strong
    of_labels = modes.scale @ (strong @ covariance @ strong.T) @ modes.scale.T
    sigma = np.sqrt(np.diag(of_labels))
    determined = (strong**2).sum(axis=1) > NOT_DETERMINED
    left = np.where(determined, modes.scale @ (strong @ amplitudes), np.nan)
    sigma = np.where(determined, sigma, np.nan)
    return Comparison(modes.labels, left, sigma, of_labels, left / sigma, mode_pulls, modes)


def by_constant(comparison: Comparison, scheme: Scheme) -> dict[tuple[str, str], Change]:
    """Return a comparison by constant, (key, parameter), in mm or rad: of a module both sides tell.

    Constants that the data do not determine are absent.
    """
    determined = {
        label: Parameter(label, float(value), 0.0, None, float(sigma))
        for label, value, sigma in zip(
            comparison.labels, comparison.difference, comparison.sigma, strict=True
        )
        if np.isfinite(sigma)
    }
    labels = comparison.labels
    covariance = {
        (labels[one], labels[other]): float(comparison.covariance[one, other])
        for one, other in pairs_within_modules(labels)
    }
    return {
        (change.key, change.parameter): change
        for change in changes(determined.values(), scheme, covariance)
        if change.sigma
    }
