"""`constants.txt`: the final constants and what they are worth, for a terminal."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

from auto_iter.alignment.figures import hold_out_lines
from auto_iter.detector.labels import component_of_key
from auto_iter.millepede.results import ChangeRecord
from auto_iter.report.assessment import AgainstTruth, Assessment
from auto_iter.report.history import ConstantName, History
from auto_iter.report.units import SCALE, constant_name, unit_of
from auto_iter.weakmodes.modes import WeakMode

LOUD_PULL = 5.0


def constants_text(history: History, assessment: Assessment) -> str:
    """Return the text: a table by component, then the summary."""
    lines = [history.title, *(f"note: {each}" for each in (*history.notes, *assessment.notes))]
    if not history.iterations:
        return "\n".join([*lines, "no iteration is finished yet", ""])
    last = history.last
    lines.append(
        f"constants after iteration {last.number} "
        f"(strategy {last.solution.strategy}, {last.solution.phase}, solver {last.solution.solver})"
    )
    lines += ["", *_table(history, assessment.against_truth), "", *summary(history, assessment)]
    return "\n".join([*lines, ""])


def _table(history: History, against: AgainstTruth | None) -> list[str]:
    titles = f"{'constant':<12}{'unit':<5}{'value':>11}{'± σ':>9}{'change':>10}"
    if against is not None:
        titles += f"{'truth':>11}{'found−true*':>13}{'± σ*':>9}{'pull*':>8}"
    lines = [titles, "─" * len(titles)]
    component = ""
    for name, change in history.free_constants.items():
        if name[0] != component:
            component = name[0]
            lines.append(f"{component_of_key(component).name}  [{component}]")
        lines.append(_row(history, name, change) + _truth_cells(history, name, against))
    if against is not None:
        lines += ["", "* without the weak modes below, which no data can fix"]
    return lines


def _row(history: History, name: ConstantName, change: ChangeRecord) -> str:
    values = history.values(name)
    moved = values[-1] - values[-2]
    return (
        f"  {name[1]:<10}{unit_of(name[1]):<5}{_number(values[-1]):>11}"
        f"{_number(change.sigma):>9}{_number(moved):>10}"
    )


def _truth_cells(history: History, name: ConstantName, against: AgainstTruth | None) -> str:
    if against is None or history.truth is None:
        return ""
    truth = _number(history.true_value(name))
    left = against.constants.get(name)
    if left is None:
        return f"{truth:>11}{'not determined':>29}"
    pull = left.value / left.sigma if left.sigma else math.nan
    loud = " !" if abs(pull) > LOUD_PULL else ""
    return f"{truth:>11}{_number(left.value):>13}{_number(left.sigma):>9}{pull:8.2f}{loud}"


def _number(value: float | None) -> str:
    """Return a length or an angle times 1000, with three decimals below 100."""
    if value is None:
        return "–"
    shown = SCALE * value
    return f"{shown:.1f}" if abs(shown) >= 100 else f"{shown:.3f}"


def summary(history: History, assessment: Assessment) -> list[str]:
    """Return the summary, one subject a line."""
    first, last = history.iterations[0].solution, history.last.solution
    lines = [
        (
            f"chi2/ndf of the tracks: {first.track_chi2_ndf:.4f} in iteration "
            f"{history.iterations[0].number} → {last.track_chi2_ndf:.4f} in iteration "
            f"{history.last.number}; after pede's last fit {last.chi2_ndf:.4f}"
        ),
        f"last iteration: {', '.join(last.in_words)}",
        *hold_out_lines(
            [
                each.solution.model_dump(mode="json", include={"iteration", "within", "hold_out"})
                for each in history.iterations
            ]
        ),
        *(f"warning: {warning}" for warning in last.warnings),
    ]
    return [*lines, *_mode_lines(assessment), *_pull_lines(history, assessment.against_truth)]


def _mode_lines(assessment: Assessment) -> list[str]:
    if assessment.modes is None:
        return []
    weak = int(assessment.modes.is_weak.sum())
    return [
        (
            f"weak modes: {weak} of {len(assessment.modes.values)} combinations, which the data "
            "fix less than what is known without them does:"
        ),
        *weak_mode_lines(assessment.weak),
    ]


def weak_mode_lines(weak: Iterable[WeakMode]) -> list[str]:
    """Return one line for each name: how many combinations, and how far the data fix them."""
    return [f"{mode.count:4d}  {mode.name}{_how_weak(mode.information)}" for mode in weak]


def _how_weak(information: float) -> str:
    if information < 1e-3:
        return ""
    return f" (the data say {information:.2g} of what is known without them)"


def _pull_lines(history: History, against: AgainstTruth | None) -> list[str]:
    if against is None:
        return []
    pulls = np.array(list(against.pulls.values()))
    if not len(pulls):
        return ["pulls: nothing is determined"]
    worst, largest = max(against.pulls.items(), key=lambda item: abs(item[1]))
    comparison = against.comparison
    lines = [
        (
            f"pulls of {len(pulls)} constants against the truth: mean {pulls.mean():+.2f}, "
            f"width {pulls.std():.2f}, largest {largest:+.2f} ({constant_name(*worst)})"
        ),
        (
            f"pulls of {comparison.dof} independent combinations: "
            f"mean {comparison.mode_pulls.mean():+.2f}, width {comparison.width:.2f}, "
            f"χ² {comparison.chi2:.1f}"
        ),
    ]
    quoted = quoted_pulls(history, against)
    if quoted:
        worst = max(quoted, key=lambda name: abs(quoted[name]))
        lines.append(
            f"largest difference in quoted uncertainties: {quoted[worst]:+.2f} "
            f"({constant_name(*worst)})"
        )
    return lines


def quoted_pulls(history: History, against: AgainstTruth) -> dict[ConstantName, float]:
    """Return (found − truth, without weak modes) / the uncertainty that pede quotes."""
    quoted = history.free_constants
    return {
        name: left.value / sigma
        for name, left in against.constants.items()
        if name in quoted and (sigma := quoted[name].sigma)
    }
