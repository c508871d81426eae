"""What a fit makes of a detector: its answer to where this is, and the covariance of what it finds.

A fit with the data-only Hessian H of its free labels and other knowledge K (a prior on the total, a
survey), whose constraints leave the movements B open, and that began at x₀, ends for a detector at
x, along B, at

    x̂ = x₀ + R (x − x₀) + noise,   R = B N⁺ Bᵀ H,   N = Bᵀ (H + K) B,

with the covariance Σ = B N⁺ Bᵀ H₂ B N⁺ Bᵀ, where H₂ is H with the weights of tracks squared, and so
H where all count alike. Without a prior R is 1 but for what the data leave open. Σ is scaled by the
tracks' χ²/ndf where that is above 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.ledger.sample import Sample
from auto_iter.weakmodes.beforehand import known_before
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import Eigenmodes, eigenmodes
from auto_iter.weakmodes.movement import step_between

TINY = 1e-12
"""Eigenvalues below that part of the largest are rounding errors."""


@dataclass(frozen=True)
class Fit:
    """A fit in amplitudes of modes: `covariance` (modes, modes), `response` (modes, labels).

    `response`: the amplitudes that a unit movement of the labels (mm, rad) leads to.
    """

    modes: Eigenmodes
    covariance: Floats
    response: Floats

    @classmethod
    def of(cls, sample: Sample, modes: Eigenmodes) -> Fit:
        """Return the fit of a sample in amplitudes of `modes`, whose labels are free in it."""
        labels, hessian = list(sample.free), sample.hessian
        scale = known_before([], sample.free) if sample.prior is None else sample.prior
        own = eigenmodes(labels, hessian, scale, constraints=sample.constraints)
        frame = own.scale @ own.vectors
        total = frame.T @ (hessian + sample.known) @ frame
        inverse = frame @ np.linalg.pinv(total, rcond=TINY, hermitian=True) @ frame.T
        covariance = sample.scale * np.asarray(inverse @ sample.noise @ inverse)
        at = [labels.index(label) for label in modes.labels]
        block = np.ix_(at, at)
        seen = modes.vectors.T @ np.linalg.inv(modes.scale)
        return cls(modes, seen @ covariance[block] @ seen.T, seen @ (inverse @ hessian)[block])

    def change(self, one: Sample, other: Sample) -> Floats:
        """Return other − one, without what is only that this fit, of `other`, began elsewhere."""
        labels, scheme = self.modes.labels, other.scheme
        moved = step_between(one.constants, other.constants, labels, scheme)
        began = step_between(one.start, other.start, labels, scheme)
        kept = self._amplitudes(began) - self.response @ began
        return np.asarray(self._amplitudes(moved) - kept)

    def _amplitudes(self, displacement: Floats) -> Floats:
        return np.asarray(self.modes.vectors.T @ self.modes.in_units(displacement))
