"""The top of the page: the verdict in a sentence, and the numbers behind it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.report.assessment import Assessment
from auto_iter.report.history import History

Mood = Literal["good", "open", "bad"]


@dataclass(frozen=True)
class Headline:
    """The verdict: a word, the sentence, what to do; `mood` for the colour that goes with it."""

    word: str
    sentence: str
    mood: Mood
    remedy: str = ""


@dataclass(frozen=True)
class Tile:
    """A number that matters: what it is, its value, a few words more."""

    name: str
    value: str
    more: str = ""


def headline(history: History) -> Headline:
    """Return what is to be said first."""
    snapshot = history.snapshot
    if snapshot is None:
        return Headline("state unknown", _far(history), "open", "the checkpoint cannot be read")
    if snapshot.failure is not None and snapshot.state == "failed":
        failure = snapshot.failure
        first = failure.reason.splitlines()[0] if failure.reason else ""
        return Headline("failed", f"in {failure.state}: {first}", "bad", failure.remedy)
    if snapshot.state == "done" and snapshot.verdict is not None:
        return _of(snapshot.verdict)
    words = f"in iteration {snapshot.iteration} of {snapshot.arguments.iterations}: {_far(history)}"
    waiting = snapshot.hindrance
    if waiting is not None:
        return Headline("waiting", f"{words}; {waiting.reason}", "open")
    return Headline("stopped" if snapshot.state == "stopped" else "under way", words, "open")


def _of(verdict: Verdict) -> Headline:
    told = verdict.sentence.removeprefix(f"{verdict.word}: ")
    found = ""
    if verdict.found_by is not None:
        by = f"found by iteration {verdict.found_by}" if verdict.found_by else "the first ones"
        found = f"the constants: {verdict.constants}, {by}"
    return Headline(verdict.word, told, "good" if verdict.converged else "bad", found)


def _far(history: History) -> str:
    if not history.iterations:
        return "no iteration is finished yet"
    last = history.last
    return (
        f"after iteration {last.number} the largest change was {last.solution.largest_pull:.2f} σ"
    )


def tiles(history: History, assessment: Assessment) -> list[Tile]:
    """Return the numbers behind the verdict; none without a finished iteration."""
    if not history.iterations:
        return []
    first, last = history.iterations[0].solution, history.last.solution
    found = [
        Tile("iterations", str(len(history.iterations)), f"phase {last.phase}"),
        Tile("last change", f"{last.largest_pull:.2f} σ", f"limit {history.limit:g} σ"),
        Tile(
            "χ²/ndf of the tracks",
            f"{last.track_chi2_ndf:.3f}",
            f"{first.track_chi2_ndf:.3g} in iteration {history.iterations[0].number}",
        ),
        *_held_out(history),
        Tile("tracks used", f"{last.tracks:,}".replace(",", "\u202f"), _share_of_tracks(history)),
        Tile(
            "largest shift",
            f"{last.max_shift_um:.1f} µm",
            f"rotation {last.max_rotation_mrad:.3f} mrad",
        ),
    ]
    if assessment.modes is not None:
        weak = int(assessment.modes.is_weak.sum())
        found.append(Tile("weak modes", str(weak), f"of {len(assessment.modes.values)}"))
    against = assessment.against_truth
    if against is not None and against.comparison.dof:
        pulls = np.array(list(against.pulls.values()))
        more = f"largest {np.abs(pulls).max():.1f}" if len(pulls) else ""
        found.append(Tile("width of the pulls", f"{against.comparison.width:.2f}", more))
    return found


def _held_out(history: History) -> list[Tile]:
    found = [(each.number, out) for each in history.iterations if (out := each.solution.hold_out)]
    if not found:
        return []
    first, before = found[0]
    value = f"{found[-1][1].chi2_ndf:.3f}"
    return [Tile("χ²/ndf, held out", value, f"{before.chi2_ndf:.3g} in iteration {first}")]


def _share_of_tracks(history: History) -> str:
    statistics = history.last.solution.statistics
    if not statistics.tracks:
        return ""
    return f"{100 * statistics.tracks_kept / statistics.tracks:.0f} % of those fitted"
