"""How a phase stands after an iteration: converged, stuck, or still getting better. Pure.

Judged is what the data determine of the changes (`GroupChange`), in units of its uncertainty:
along weak modes constants may move for ever without any harm. A reconstruction's selection of hits
makes every change jump a little, so a group is judged by its r.m.s., and its largest member by a
wider limit. That it gets worse is for `deterioration` to see.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.solution import GroupChange, SolutionSummary

BETTER = 0.9
"""Smaller than that share of the smallest before: a change gets better."""
BETTER_CHI2 = 0.999
"""Likewise of chi2/ndf as reconstructed."""
TO_AND_FRO = -0.5
"""A change goes back along the one before it, with at most so large a cosine …"""
UNDIMINISHED = 0.8
"""… and is at least so many times as large as where that began."""


@dataclass(frozen=True)
class ConvergenceLimits:
    """When a phase has converged, and when it is stuck.

    `pull`, `largest_pull`: of the r.m.s. and the largest change of a group, in uncertainties.
    `shift_um`, `rotation_mrad`: what moves by less counts as still whatever its uncertainty.
    `iterations`: so many running have to be still. `patience`: so many that are no better than
    those before them are a plateau, or an oscillation.
    """

    pull: float
    largest_pull: float
    shift_um: float = 0.0
    rotation_mrad: float = 0.0
    iterations: int = 1
    patience: int = 3

    def excess_of(self, group: GroupChange) -> float:
        """Return how many times its limit a group moved; up to 1 it is still."""
        floor = self.shift_um if group.is_shift else self.rotation_mrad
        if group.largest <= floor:
            return 0.0
        return max(group.rms_pull / self.pull, group.largest_pull / self.largest_pull)

    def excess(self, solution: SolutionSummary) -> float | None:
        """Return that of the worst group; None where there are no uncertainties.

        By the largest change with weak modes and all, where nobody projected these out.
        """
        if solution.groups:
            return max(self.excess_of(group) for group in solution.groups)
        return solution.max_pull / self.pull if solution.pulls else None


def word_for(iterations: Sequence[SolutionSummary], limits: ConvergenceLimits) -> Word | None:
    """Return what a phase amounts to after `iterations`, oldest first; None: it may get better.

    Only those with the cuts that all later ones have, too: others see other hits. What was before
    an iteration without uncertainties, solved by hand say, does not count.
    """
    sizes = takewhile(lambda size: size is not None, map(limits.excess, reversed(iterations)))
    known = [size for size in sizes if size is not None][::-1]
    if not known:
        return None
    iterations = iterations[-len(known) :]
    last = known[-limits.iterations :]
    if len(last) == limits.iterations and max(last) <= 1:
        return Word.CONVERGED
    if known[-1] <= 1 or len(known) <= limits.patience:
        return None
    if _swings(iterations[-limits.patience - 1 :], limits):
        return Word.OSCILLATING
    chi2 = [each.chi2_ndf_of_tracks for each in iterations]
    is_no_better = _is_no_better(known, BETTER, limits.patience) and _is_no_better(
        chi2, BETTER_CHI2, limits.patience
    )
    return Word.PLATEAU if is_no_better else None


def _is_no_better(values: Sequence[float], share: float, patience: int) -> bool:
    return min(values[-patience:]) >= share * min(values[:-patience])


def _swings(iterations: Sequence[SolutionSummary], limits: ConvergenceLimits) -> bool:
    """Tell whether a group that is not still has gone to and fro all the time, undiminished."""
    names = [each.name for each in iterations[-1].groups if limits.excess_of(each) > 1]
    for name in names:
        found = [each for one in iterations for each in one.groups if each.name == name]
        returns = [each.cosine is not None and each.cosine <= TO_AND_FRO for each in found[1:]]
        if len(found) == len(iterations) and all(returns):
            first, last = found[0].rms_pull, found[-1].rms_pull
            if last >= UNDIMINISHED * first:
                return True
    return False
