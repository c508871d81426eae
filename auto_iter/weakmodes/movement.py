"""How far constants moved in an iteration, weak modes projected out: what a verdict is based on.

Along what the data leave open, constants may move for ever without a track that notices. What the
data determine of a change Δ is, as in `truth`, d = S Σ v (v·S⁻¹Δ) over the modes that are not weak,
and its covariance S (Σ v vᵀ / λ) Sᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from auto_iter.alignment.solution import GroupChange
from auto_iter.detector.constants import Constants
from auto_iter.detector.labels import Scheme, place_of
from auto_iter.weakmodes.label_space import Floats, label_values
from auto_iter.weakmodes.modes import Eigenmodes
from auto_iter.weakmodes.truth import compare

DIGITS = 5
"""Significant ones that are kept: a judge needs no more, and a person reads them."""


def group_changes(
    modes: Eigenmodes, change: Floats, before: Floats | None, scheme: Scheme
) -> tuple[GroupChange, ...]:
    """Return the change of each group of labels, e.g. `layer ry`, by name.

    `change`, `before`: of this iteration and the one before it, by `modes.labels` (n; mm, rad);
    None: there was none. Parameters of which the data determine nothing are not counted.
    """
    now = compare(modes, change)
    pulls_before = None if before is None else compare(modes, before).pulls
    members: dict[str, list[int]] = {}
    for number, label in enumerate(modes.labels):
        if np.isfinite(now.pulls[number]):
            members.setdefault(place_of(label, scheme).kind, []).append(number)
    found = []
    for name, at in sorted(members.items()):
        determined, pulls, raw = 1e3 * now.difference[at], now.pulls[at], 1e3 * change[at]
        worst = modes.labels[at[int(np.argmax(np.abs(pulls)))]]
        group = GroupChange(
            name=name,
            parameters=len(at),
            largest=_largest(determined),
            rms=_rms(determined),
            largest_pull=_largest(pulls),
            rms_pull=_rms(pulls),
            worst=place_of(worst, scheme).name,
            raw_largest=_largest(raw),
            raw_rms=_rms(raw),
            cosine=None if pulls_before is None else _cosine(pulls, pulls_before[at]),
        )
        found.append(group)
    return tuple(found)


def step_between(
    earlier: Constants, later: Constants, labels: Sequence[int], scheme: Scheme
) -> Floats:
    """Return the change from one set of constants to another by `labels` (n; mm, rad)."""
    return label_values(later, labels, scheme) - label_values(earlier, labels, scheme)


def _largest(values: Floats) -> float:
    return _rounded(float(np.max(np.abs(values))))


def _rms(values: Floats) -> float:
    return _rounded(float(np.sqrt(np.mean(values**2))))


def _cosine(one: Floats, other: Floats) -> float | None:
    lengths = float(np.linalg.norm(one) * np.linalg.norm(other))
    return _rounded(float(one @ other) / lengths) if lengths > 0 else None


def _rounded(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
