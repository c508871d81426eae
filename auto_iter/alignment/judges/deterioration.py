"""Signs that an alignment gets worse: tracks are lost, residuals grow, steps grow.

All pure. Tracks and residuals are compared under the same cuts and stations, in the same raw files:
a narrower cut, another phase or a file that is left out is no such sign.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from auto_iter.alignment.judges.arrival import Response, total

CHECK = (
    "look in report/ for constants that run away: a derivative or constant with the wrong sign, a "
    "combination that the data do not fix, cuts that keep only what fits by chance"
)
LOSS_TOLD = 0.05
GROWTH_TOLD = 1.05
MORE_TRACKS = 1.1
"""With so many more tracks, chi2 grows by those that were too bad to be used before."""
FEWEST_TRACKS = 50
"""Of fewer, a share says nothing."""
STEP_RATIO = 1.2
LARGE_STEP = 5.0
"""In σ. Smaller steps may grow: they are noise."""


@dataclass(frozen=True)
class Sign:
    """One thing that got worse; with `is_refused` the alignment must not go on."""

    text: str
    is_refused: bool


def worse_tracks(
    responses: Mapping[int, Response],
    iteration: int,
    max_loss: float | None,
    max_growth: float | None,
) -> list[Sign]:
    """Return how the tracks of `iteration` are worse than those of the one before.

    Refused beyond `max_loss` (share of the tracks) and `max_growth` (of chi2/ndf); None: never.
    """
    both = total(responses.values())
    before, after = both.before, both.after
    if before.tracks < FEWEST_TRACKS:
        return []
    kept = after.tracks / before.tracks
    signs = []
    if kept < 1 - LOSS_TOLD:
        signs.append(
            Sign(
                f"iteration {iteration} has {after.tracks} good tracks where iteration "
                f"{iteration - 1} has {before.tracks}: {100 * (1 - kept):.0f} % are lost",
                max_loss is not None and kept < 1 - max_loss,
            )
        )
    growth = after.chi2_ndf / before.chi2_ndf if before.chi2_ndf > 0 else 1.0
    if growth > GROWTH_TOLD and kept < MORE_TRACKS:
        signs.append(
            Sign(
                f"residuals grow: chi2/ndf of the tracks is {after.chi2_ndf:.3g} in iteration "
                f"{iteration} and {before.chi2_ndf:.3g} in iteration {iteration - 1}",
                max_growth is not None and growth > max_growth,
            )
        )
    return signs


@dataclass(frozen=True)
class IterationStep:
    """One iteration: its largest change, in σ, and chi2/ndf of its tracks as reconstructed."""

    largest: float
    chi2_ndf: float

    def is_worse_than(self, before: IterationStep) -> bool:
        """Tell a larger step that residuals do not justify by getting smaller."""
        grows = self.largest >= STEP_RATIO * before.largest
        return grows and self.chi2_ndf > before.chi2_ndf / GROWTH_TOLD


def growing_steps(steps: Sequence[IterationStep], most: int | None) -> list[Sign]:
    """Return whether the steps of successive iterations grow at the end.

    Refused when they did so `most` times running; None: never.
    """
    times = 0
    for before, after in reversed(list(pairwise(steps))):
        if not after.is_worse_than(before):
            break
        times += 1
    if not times or steps[-1].largest < LARGE_STEP:
        return []
    shown = ", ".join(f"{each.largest:.1f}" for each in steps[-times - 1 :])
    text = f"steps grow: the largest change of a constant is {shown} σ in the last iterations"
    return [Sign(text, most is not None and times >= most)]


def refused(signs: Iterable[Sign]) -> str:
    """Return what the alignment must not go on with, in words; empty when there is nothing."""
    return "; ".join(sign.text for sign in signs if sign.is_refused)
