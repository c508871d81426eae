"""Hold-out: what may be missing without it, and what held-out tracks have against the constants."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence

from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.deterioration import MORE_TRACKS
from auto_iter.alignment.judges.hold_out import HoldOut, Judgement, held_out
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from states.step import Ports

GROWTH_TOLD = 0.01
"""Less is the selection of hits, which changes a little with all constants."""
GAP_TOLD = 0.05
"""Less may be between files of the fit and others: conditions change during a run."""
GAP_SIGMA = 5.0


def out_of_fit(snapshot: Snapshot, ports: Ports) -> frozenset[int]:
    """Return the raw files of the alignment that are held out."""
    fraction = ports.policy.alignment.hold_out
    return held_out(snapshot.arguments.files.numbers, snapshot.excluded, fraction)


def share_of_fit(snapshot: Snapshot, missing: Collection[int], ports: Ports) -> float:
    """Return which share of the fit's raw files is there when `missing` are not; 0: has none.

    Of all that the alignment began with: what stays left out does not make it easier. Held-out
    files do not count: the fit can do without them, and they are no substitute for its own.
    """
    out = out_of_fit(snapshot, ports)
    wanted = ports.reconstruction.wanted() - out
    began_with = len(wanted) + len(set(snapshot.lost) - out)
    return len(wanted.difference(missing)) / began_with if began_with else 0.0


def against(before: Sequence[SolutionSummary], solution: SolutionSummary) -> str:
    """Say what held-out tracks have against an iteration's constants; empty: nothing.

    `before`: the phase's iterations until then. Compared are those with as many held-out files:
    others are another sample. chi2/ndf has the statistical uncertainty √(2/ndf).
    """
    now = solution.hold_out
    if now is None:
        had_some = any(each.hold_out is not None for each in before)
        return "nothing judges these constants: all held-out files are missing" if had_some else ""
    alike = [each for each in before if each.hold_out and each.hold_out.files == now.files]
    return _growth(alike, solution, now) or (_gap(solution, now) if alike else "")


def _growth(before: Sequence[SolutionSummary], solution: SolutionSummary, now: HoldOut) -> str:
    """Compare with the iteration in which held-out tracks were best."""
    judged = [(each, each.hold_out) for each in before if each.hold_out is not None]
    if not judged or not now.ndf:
        return ""
    best, then = min(judged, key=lambda pair: pair[1].chi2_ndf)
    grown = now.chi2_ndf > then.chi2_ndf * (1 + max(GROWTH_TOLD, math.sqrt(2 / now.ndf)))
    if not grown or now.tracks > MORE_TRACKS * then.tracks:
        return ""
    fit_before, fit = best.chi2_ndf_of_tracks, solution.chi2_ndf_of_tracks
    how = "over-fitting" if fit < fit_before else "held-out tracks get worse"
    return (
        f"{how}: chi2/ndf of held-out tracks grows, {then.chi2_ndf:.4g} -> {now.chi2_ndf:.4g}, "
        f"that of the fit's was {fit_before:.4g} and is {fit:.4g}"
    )


def _gap(solution: SolutionSummary, now: HoldOut) -> str:
    """Compare with the fit's tracks: it may describe them, and no others."""
    fit = solution.chi2_ndf_of_tracks
    if not (now.ndf and solution.tracks and fit > 0):
        return ""
    ndf_of_fit = solution.tracks * now.ndf / max(now.tracks, 1)
    told = max(GAP_TOLD, GAP_SIGMA * math.sqrt(2 / now.ndf + 2 / ndf_of_fit))
    if now.chi2_ndf <= fit * (1 + told):
        return ""
    return (
        f"over-fitting: chi2/ndf of held-out tracks is {now.chi2_ndf:.4g}, that of the fit's "
        f"{fit:.4g}: too few tracks for so many parameters, or files unlike those of the fit"
    )


def judgement(history: Sequence[IterationRecord]) -> Judgement | None:
    """Return what held-out tracks say of the last phase of an alignment; None: there are none."""
    last = history[-1]
    started = last.iteration - last.within + 1
    of_phase = [each for each in history if each.iteration >= started]
    judged = [(each.iteration, each.hold_out) for each in of_phase if each.hold_out is not None]
    if not judged:
        return None
    (first, before), (final, after) = judged[0], judged[-1]
    return Judgement(
        iteration=first,
        before=before,
        last_iteration=final,
        after=after if final > first else None,
        warning=against(of_phase[:-1], last),
    )


def in_words(judged: Judgement | None) -> str:
    """Return the end of a sentence: how chi2/ndf of held-out tracks went, and any warning."""
    if judged is None:
        return ""
    went = f"; held-out tracks: chi2/ndf {judged.before.chi2_ndf:.3g}"
    if judged.after is None:
        went += " before the fit"
    else:
        went += f" -> {judged.after.chi2_ndf:.3g}"
    return f"{went}; {judged.warning}" if judged.warning else went
