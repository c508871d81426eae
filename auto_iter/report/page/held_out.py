"""What of the hold-out the page tells: iteration by iteration, and by layer and module."""

from __future__ import annotations

from dataclasses import dataclass

from auto_iter.detector.labels import component_of_number
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.report.history import Finished, History


@dataclass(frozen=True)
class HoldOutSection:
    """The iterations that were judged, and a warning where held-out tracks speak against them.

    `ends`: by number the first and the last one of the last phase, with what their held-out tracks
    showed; `parts`: the names of layers and modules in these, by component number.
    """

    iterations: tuple[Finished, ...]
    ends: dict[int, Statistics]
    parts: dict[str, str]
    warning: str

    @property
    def has_ift(self) -> bool:
        """Whether tracks were in the interface tracker."""
        found = (each.solution.hold_out for each in self.iterations)
        return any(each is not None and each.ift_mean_um is not None for each in found)


def judged(history: History) -> HoldOutSection | None:
    """Return what is to be said of the hold-out; None where there is none."""
    iterations = tuple(each for each in history.iterations if each.solution.hold_out)
    if not iterations:
        return None
    phase = history.last.solution
    began = phase.iteration - phase.within + 1
    of_phase = [each for each in history.iterations if each.number >= began]
    seen = [(each.number, out) for each in of_phase if (out := each.solution.held_out) is not None]
    ends = dict([*seen[:1], *seen[-1:]])
    numbers = sorted({number for each in ends.values() for number in each.parts})
    verdict = None if history.snapshot is None else history.snapshot.verdict
    return HoldOutSection(
        iterations,
        ends,
        {number: component_of_number(number).name for number in numbers},
        "" if verdict is None or verdict.hold_out is None else verdict.hold_out.warning,
    )
