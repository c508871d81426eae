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
    strong = modes.strong
    values = modes.values[~modes.is_weak]
    amplitude = strong.T @ modes.in_units(difference)
    covariance = modes.scale @ ((strong / values) @ strong.T) @ modes.scale.T
    sigma = np.sqrt(np.diag(covariance))
    determined = (strong**2).sum(axis=1) > NOT_DETERMINED
    left = np.where(determined, modes.scale @ (strong @ amplitude), np.nan)
    sigma = np.where(determined, sigma, np.nan)
    return Comparison(
        modes.labels,
        left,
        sigma,
        covariance,
        left / sigma,
        amplitude * np.sqrt(values),
        modes,
    )
