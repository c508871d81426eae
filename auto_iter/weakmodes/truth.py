"""Found constants against the truth, after removal of what the data cannot fix.

With S the scale of what is known (`modes`), u = S⁻¹ (found − truth) and eigenmodes v, λ of the
data-only Hessian in those units, d' = S · Σ v (v·u) over the modes that are not weak; its
covariance is S · (Σ v vᵀ / λ) · Sᵀ. Weak modes drop out of both.

The eigenvectors of a covariance are independent, so their pulls √λ (v·u) have mean 0 and width 1
where uncertainties are right; those of single labels are not independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from auto_iter.detector.labels import Scheme
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import (
    THRESHOLD,
    Eigenmodes,
    WeakMode,
    eigenmodes,
    name_weak_modes,
)

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
    weak: tuple[WeakMode, ...]

    @property
    def chi2(self) -> float:
        """Σ of squared mode pulls; `dof` is expected."""
        return float(self.mode_pulls @ self.mode_pulls)

    @property
    def dof(self) -> int:
        """The number of modes that the data fix."""
        return len(self.mode_pulls)

    @property
    def mean(self) -> float:
        """The mean of the labels' pulls."""
        return float(np.nanmean(self.pulls)) if np.isfinite(self.pulls).any() else 0.0

    @property
    def width(self) -> float:
        """The root mean square of the mode pulls: 1 when errors are what they are said to be."""
        return float(np.sqrt(self.chi2 / self.dof)) if self.dof else 0.0

    @property
    def largest_pull(self) -> tuple[int, float]:
        """The label with the largest |pull|, and that pull; (0, 0) when none is determined."""
        if not np.isfinite(self.pulls).any():
            return 0, 0.0
        at = int(np.nanargmax(np.abs(self.pulls)))
        return self.labels[at], float(self.pulls[at])


def compare(  # noqa: PLR0913 - what is compared, and the scales by which
    found: Floats,
    truth: Floats,
    labels: Sequence[int],
    hessian: Floats,
    known: Floats,
    *,
    scheme: Scheme | None = None,
    threshold: float = THRESHOLD,
    constraints: Floats | None = None,
) -> Comparison:
    """Compare label values (mm, rad) with the truth, given the data-only Hessian of the labels.

    What `constraints` (rows over the labels) fix is left out: the fit was told, not the data.

    `known`: the information of priors or presigmas. Shapes: `found` and `truth` (n), matrices as
    in `eigenmodes`. The sign is found - truth. Raises InputError as `eigenmodes` does.
    """
    modes = eigenmodes(labels, hessian, known, threshold, constraints)
    weak = name_weak_modes(modes, scheme or Scheme())
    return compare_in(modes, weak, found - truth)


def compare_in(modes: Eigenmodes, weak: tuple[WeakMode, ...], difference: Floats) -> Comparison:
    """Return what `compare` does, for modes that are known already; `difference` (n; mm, rad)."""
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
        weak,
    )
