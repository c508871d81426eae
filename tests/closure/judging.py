"""An alignment's constants against the truth, by independent combinations.

Where an iteration fixes labels, what it finds of the others depends on how wrong those are.
With H the data's Hessian of free (i) and fixed (f) labels, K the prior's information about the free
ones and d = found − truth, a linear problem ends at d_i = −(H_ii + K)⁻¹ (H_if d_f + noise + …). The
first term is taken away: what is left is the free labels' own error.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.weakmodes.beforehand import constraint_rows, known_before, prior_of
from auto_iter.weakmodes.information import data_hessian
from auto_iter.weakmodes.label_space import Floats, label_values
from auto_iter.weakmodes.modes import Eigenmodes, eigenmodes
from auto_iter.weakmodes.truth import Comparison, compare
from tests.closure.harness import Aligned, Solved


@dataclass(frozen=True)
class Split:
    """The labels of an iteration: free in one of its steps, or fixed in all of them."""

    free: dict[int, float]
    fixed: tuple[int, ...]

    @classmethod
    def of(cls, solved: Solved) -> Split:
        """Return the labels of an iteration."""
        presigma = {each.label: each.presigma for each in solved.record.parameters}
        return cls(
            {label: presigma[label] for label in sorted(presigma) if presigma[label] >= 0},
            tuple(label for label in sorted(presigma) if presigma[label] < 0),
        )


@dataclass(frozen=True)
class Judged:
    """The free labels' own error.

    `comparison`: of what the data know more about than the prior. `error`: found − truth (mm, rad)
    with weak modes.
    """

    comparison: Comparison
    error: Floats

    @property
    def largest(self) -> float:
        """The largest pull of an independent combination."""
        return float(np.abs(self.comparison.mode_pulls).max())

    @property
    def open_error(self) -> float:
        """The r.m.s. of what is wrong along weak modes, in σ of the prior."""
        modes = self.comparison.modes
        amplitude = modes.weak.T @ modes.in_units(self.error)
        return float(np.sqrt(np.mean(amplitude**2))) if len(amplitude) else 0.0


def judge(aligned: Aligned, solved: Solved) -> Judged:
    """Compare the labels that an iteration had free with the truth, given those that it fixed."""
    split = Split.of(solved)
    free = list(split.free)
    scheme = aligned.strategy.labels
    hessian = data_hessian(solved.binaries, [*free, *split.fixed], {})
    inner, cross = hessian[: len(free), : len(free)], hessian[: len(free), len(free) :]
    modes = eigenmodes(
        free,
        inner,
        known_before(prior_of([solved.place]), split.free),
        constraints=constraint_rows([solved.place], free),
    )

    def difference(labels: list[int]) -> Floats:
        found, true = solved.constants, aligned.truth
        return label_values(found, labels, scheme) - label_values(true, labels, scheme)

    error = difference(free) + _carried_over(modes, cross @ difference(list(split.fixed)))
    return Judged(compare(modes, error), error)


def _carried_over(modes: Eigenmodes, gradient: Floats) -> Floats:
    """Return (H_ii + K)⁻¹ · gradient within what the constraints allow.

    In units of what is known K is the unit matrix, and an eigenvalue the data's part. Without a
    prior the weak modes are left out of any comparison, so that this does for them, too.
    """
    amplitude = modes.vectors.T @ (modes.scale.T @ gradient) / (np.maximum(modes.values, 0.0) + 1.0)
    return np.asarray(modes.scale @ (modes.vectors @ amplitude))
