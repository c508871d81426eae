"""The eigenvalue spectrum and the weakest combinations of constants, as text."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from auto_iter.detector.labels import Scheme, place_of
from auto_iter.weakmodes.modes import Eigenmodes, WeakMode, largest_shares

_BAR = 40


def spectrum_lines(modes: Eigenmodes, scheme: Scheme, weakest: int = 10) -> list[str]:
    """Return the spectrum by decades and the `weakest` modes with what they are made of.

    Numbers have no units: information relative to what is known. Raises InputError for labels that
    `scheme` does not know.
    """
    weak = int(modes.is_weak.sum())
    return [
        (
            f"{len(modes.values)} combinations, {weak} that the data fix less than what is known "
            "without them"
        ),
        "information of the data relative to what is known without them, number of combinations:",
        *_histogram(modes),
        "",
        "weakest combinations (shares in units of what is known):",
        *(_mode_line(modes, number, scheme) for number in range(min(weakest, len(modes.values)))),
    ]


def weak_mode_lines(weak: Iterable[WeakMode]) -> list[str]:
    """Return one line for each name: how many combinations, and how far the data fix them."""
    return [f"{mode.count:4d}  {mode.name}{_how_weak(mode.information)}" for mode in weak]


def _how_weak(information: float) -> str:
    if information < 1e-3:
        return ""
    return f" (the data say {information:.2g} of what is known without them)"


def _histogram(modes: Eigenmodes) -> list[str]:
    decades = np.floor(np.log10(np.maximum(modes.values, 1e-4))).astype(int)
    counts = {int(decade): int((decades == decade).sum()) for decade in np.unique(decades)}
    scale = _BAR / max(counts.values(), default=1)
    return [
        f"  {'   below 10^-3' if decade < -3 else f'10^{decade:<2} … 10^{decade + 1:<2}':<14}"
        f"{count:5d}  {'▇' * max(1, round(scale * count))}"
        for decade, count in counts.items()
    ]


def _mode_line(modes: Eigenmodes, number: int, scheme: Scheme) -> str:
    value = max(float(modes.values[number]), 0.0)
    shares = largest_shares(modes.vectors[:, number], modes.labels, 4)
    made_of = ", ".join(f"{share:+.2f} {place_of(label, scheme).name}" for label, share in shares)
    fixed = f"± {1 / math.sqrt(value):.3g} of what is known" if value > 1e-9 else "not fixed"
    return f"  {fixed:<22} {made_of}"
