"""Whether two alignments' constants describe the same detector, as far as their data tell.

On the m combinations that both determine, with amplitudes d of the difference and their covariance
C (`difference`), χ² = dᵀ C⁻¹ d has m degrees of freedom when the detector is the same and the
tracks are independent.
"""

from __future__ import annotations

from dataclasses import dataclass

import scipy.stats

from auto_iter.ledger.difference import Difference, difference
from auto_iter.ledger.sample import Sample
from auto_iter.weakmodes.label_space import Floats


@dataclass(frozen=True)
class Agreement:
    """How two samples agree. `pulls`: of the independent combinations that both determine.

    `p_value`: None where both have raw files in common (`shared`), so that it would mean nothing.
    `weak`: how many combinations are left out; `alone`: parameters that only one of them had free.
    """

    pulls: Floats
    chi2: float
    weak: int
    shared: int
    p_value: float | None
    alone: int = 0

    @property
    def dof(self) -> int:
        """The number of combinations that are compared."""
        return len(self.pulls)


def agreement(one: Sample, other: Sample) -> Agreement:
    """Return how two samples agree. Raises InputError where they have nothing in common."""
    return judged(difference(one, other))


def judged(found: Difference) -> Agreement:
    """Return what a difference says of the agreement."""
    pulls = found.pulls
    chi2 = float(pulls @ pulls)
    p_value = None if found.shared else float(scipy.stats.chi2.sf(chi2, len(pulls)))
    return Agreement(pulls, chi2, found.weak, found.shared, p_value, found.alone)
