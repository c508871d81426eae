"""By how much two alignments' constants differ, and how well their data know it.

With H_A, H_B the data-only Hessians of two samples, the data know of a difference what the parallel
sum P = H_A (H_A + H_B)⁺ H_B says (the inverse of the sum of the covariances); along eigenmodes of P
that are weak the constants are wherever they began, and nothing is compared. What each fit made of
the detector is in `fit`: x̂ = x₀ + R (x − x₀) with the covariance Σ. Of a detector that stayed,

    x̂_B − x̂_A − (1 − R_B) (x₀_B − x₀_A) = (R_B − R_A) (x − x₀_A) + noise:

where both began is known, and taken off. How differently priors pull at samples of different size
is not, but x is about x₀ as the prior K says. So on the m strong modes, with amplitudes d of the
left side and D = R_B − R_A, χ² = dᵀ (Σ_A + Σ_B + D K⁻¹ Dᵀ)⁻¹ d has m degrees of freedom when both
describe the same detector and the tracks are independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import scipy.stats

from auto_iter.detector.labels import Scheme
from auto_iter.errors import InputError
from auto_iter.ledger.fit import TINY, Fit
from auto_iter.ledger.sample import Sample
from auto_iter.weakmodes.beforehand import constraint_rows, known_before, prior_of
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import Eigenmodes, eigenmodes


@dataclass(frozen=True)
class Difference:
    """Other − one: amplitudes of the modes that are not weak, and their covariance (modes, modes).

    `response` (modes, labels): the amplitudes that a movement of the labels (mm, rad) between the
    two leads to: the other fit's answer R. So it holds for movements that constraints forbid,
    too: such a one appears as the combination that the fit may answer with. `shared`: raw files in
    both. `alone`: parameters that only one of the fits had free.
    """

    modes: Eigenmodes
    scheme: Scheme
    amplitudes: Floats
    covariance: Floats
    response: Floats
    shared: int
    alone: int = 0

    @property
    def weak(self) -> int:
        """How many combinations are left out."""
        return int(self.modes.is_weak.sum())

    @cached_property
    def pulls(self) -> Floats:
        """Of the independent combinations, one for each mode that is not weak."""
        values, vectors = np.linalg.eigh(self.covariance)
        return np.asarray((vectors.T @ self.amplitudes) / np.sqrt(values))

    @property
    def largest_pull(self) -> float:
        """The largest difference of all independent combinations, in σ."""
        return max(map(abs, self.pulls), default=0.0)

    @property
    def dof(self) -> int:
        """The number of combinations that are compared."""
        return len(self.amplitudes)

    @property
    def chi2(self) -> float:
        """Σ of squared pulls; `dof` is expected of one detector."""
        return float(self.pulls @ self.pulls)

    @property
    def p_value(self) -> float | None:
        """None where both have raw files in common (`shared`), so that it would mean nothing."""
        return None if self.shared else float(scipy.stats.chi2.sf(self.chi2, self.dof))


def difference(one: Sample, other: Sample) -> Difference:
    """Return other − one. Raises InputError where they have nothing in common."""
    labels = common_labels([one, other])
    modes = common_modes([one, other], labels)
    strong = ~modes.is_weak
    if not strong.any():
        raise InputError(f"{one.name} and {other.name}: their data determine nothing in common")
    first, second = (Fit.of(each, modes) for each in (one, other))
    by_priors = _of_priors([one, other], labels, second.response - first.response)
    covariance = first.covariance + second.covariance + by_priors
    return Difference(
        modes,
        one.scheme,
        second.change(one, other)[strong],
        covariance[np.ix_(strong, strong)],
        second.response[strong],
        len(one.files & other.files),
        len(set(one.free) ^ set(other.free)),
    )


def _of_priors(samples: Sequence[Sample], labels: list[int], unlike: Floats) -> Floats:
    """Return how uncertain it is where priors left the constants, by responses that are `unlike`.

    Shape (modes, modes); `unlike`: (modes, labels).
    """
    prior = [each for sample in samples for each in prior_of([sample.directory])]
    if not prior:
        return np.zeros((len(unlike), len(unlike)))
    presigmas = {label: samples[0].free[label] for label in labels}
    known = known_before(prior, presigmas) / len(samples)
    return np.asarray(unlike @ np.linalg.inv(known) @ unlike.T)


def common_labels(samples: Sequence[Sample]) -> list[int]:
    """Return the labels that are free in all samples. Raises InputError where there is none."""
    first = samples[0]
    for each in samples[1:]:
        if each.scheme != first.scheme:
            raise InputError(f"{first.name} and {each.name}: have different labels")
    labels = set(first.free).intersection(*(each.free for each in samples[1:]))
    if not labels:
        names = " and ".join(each.name for each in samples)
        raise InputError(f"{names}: no parameter is free in all of them")
    return sorted(labels)


def common_modes(samples: Sequence[Sample], labels: list[int]) -> Eigenmodes:
    """Return the modes of what the samples know of a difference between two of them."""
    presigmas = {label: samples[0].free[label] for label in labels}
    prior = [each for sample in samples for each in prior_of([sample.directory])]
    together = samples[0].hessian_of(labels)
    for each in samples[1:]:
        together = _parallel(together, each.hessian_of(labels))
    pairs = len(samples) / 2
    return eigenmodes(
        labels,
        pairs * together,
        known_before(prior, presigmas) / (pairs if prior else 1.0),
        constraints=constraint_rows([each.directory for each in samples], labels),
    )


def _parallel(one: Floats, other: Floats) -> Floats:
    """Return A (A + B)⁺ B, the information about a difference of independent measurements."""
    inner = np.linalg.pinv(one + other, rcond=TINY, hermitian=True)
    product = one @ inner @ other
    return np.asarray(0.5 * (product + product.T))
