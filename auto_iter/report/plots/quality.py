"""How good the alignment is: chi2 and tracks over the iterations, what still moves, pulls."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes

from auto_iter.alignment.solution import SolutionSummary
from auto_iter.report.assessment import AgainstTruth
from auto_iter.report.history import Finished, History
from auto_iter.report.plots.drawn import Drawn, Margins, panels, tag
from auto_iter.report.plots.scales import iteration_axis, mark_phases, named_line, plain_log
from auto_iter.report.style import ACCENT, GREY, HELD_OUT, LAST, MODULE_COLOURS, PAPER
from auto_iter.weakmodes.label_space import Floats

_LOG_FROM = 8.0
_ZOOM_FROM = 2
_PULL_RANGE = 5.0


def chi2_figure(history: History) -> Drawn:
    """Return χ²/ndf as reconstructed and as pede expects it, from iteration 2 on again; tracks."""
    size, margins = (10.5, 3.9), Margins(bottom=0.75)
    title = "χ²/ndf, and tracks"
    figure, axes = panels(size, (1, 3), (title, history.subject), margins)
    whole, zoom, tracks = axes
    _chi2(whole, history, history.iterations)
    whole.set_title("χ²/ndf")
    whole.legend(loc="upper right")
    later = history.iterations[_ZOOM_FROM - 1 :]
    zoom.set_title(f"from iteration {_ZOOM_FROM} on")
    if later:
        _chi2(zoom, history, later, zoomed=True)
    else:
        zoom.text(0.5, 0.5, "not yet", transform=zoom.transAxes, ha="center", color=GREY)
        zoom.set_axis_off()
    _tracks(tracks, history)
    caption = (
        "Of the tracks as reconstructed with the constants so far (line), and what pede expects "
        "after its fit (open); right: tracks that pede uses."
    )
    if any(each.solution.hold_out is not None for each in history.iterations):
        caption += " Crosses: tracks that had no part in the fit."
    return Drawn("chi2", title, caption, figure)


def _chi2(
    axes: Axes, history: History, iterations: tuple[Finished, ...], *, zoomed: bool = False
) -> None:
    numbers = [each.number for each in iterations]
    found = [each.solution.track_chi2_ndf for each in iterations]
    fitted = [each.solution.chi2_ndf for each in iterations]
    axes.plot(numbers, found, "o-", color=LAST, label="as reconstructed")
    axes.plot(numbers, fitted, "D", color=ACCENT, mfc=PAPER, markersize=6, label="pede, after fit")
    judged = {each.number: each.solution.hold_out for each in iterations}
    held_out = {number: each.chi2_ndf for number, each in judged.items() if each is not None}
    if held_out:
        axes.plot(list(held_out), list(held_out.values()), "x--", color=HELD_OUT, label="held out")
    iteration_axis(axes, history, start=False)
    mark_phases(axes, history)
    axes.set_xlim(numbers[0] - 0.4, history.numbers[-1] + 0.4)
    for at in {0, len(numbers) - 1}:
        axes.annotate(
            f"{found[at]:.4g}",
            (numbers[at], found[at]),
            xytext=(0, 8),
            textcoords="offset points",
            ha="center",
            color=LAST,
            fontsize=9.5,
        )
    positive = [value for value in (*found, *fitted, *held_out.values()) if value > 0]
    if zoomed or not positive:
        axes.margins(y=0.25)
    elif max(positive) > _LOG_FROM * min(positive):
        plain_log(axes)
        axes.set_ylim(0.6 * min(positive), 15.0 * max(positive))
    else:
        axes.set_ylim(0, 1.3 * max(positive))


def _tracks(axes: Axes, history: History) -> None:
    axes.set_title("tracks used")
    tracks = [each.solution.tracks for each in history.iterations]
    axes.plot(history.numbers[1:], tracks, "s-", color=MODULE_COLOURS[2])
    iteration_axis(axes, history, start=False)
    mark_phases(axes, history)
    axes.set_ylim(0, 1.15 * max(*tracks, 1))


def movement_figure(history: History, limit: float) -> Drawn | None:
    """Return each group's largest change in σ over the iterations; None where none is known."""
    changes = [largest_changes(each.solution) for each in history.iterations]
    groups = sorted({group for each in changes for group in each})
    if not groups:
        return None
    title = "What still moves: largest change of each group, in uncertainties"
    margins = Margins(right=1.9, bottom=0.75)
    figure, (axes,) = panels((10.5, 3.9), (1, 1), (title, history.subject), margins)
    markers = "osD^v<>P"
    for number, group in enumerate(groups):
        pulls = [each.get(group, np.nan) for each in changes]
        (line,) = axes.plot(
            history.numbers[1:],
            [pull if pull > 0 else np.nan for pull in pulls],
            marker=markers[number % len(markers)],
            color=MODULE_COLOURS[number % len(MODULE_COLOURS)],
            linestyle="-" if number < len(MODULE_COLOURS) else "--",
            label=group,
        )
        tag(line, group, group)
    named_line(axes, limit, f"limit {limit:g} σ")
    plain_log(axes)
    axes.set_ylabel("|change| / σ")
    iteration_axis(axes, history, start=False)
    mark_phases(axes, history)
    figure.legend(loc="center right", bbox_to_anchor=(1.0, 0.5))
    caption = "Below the dashed line nothing moves by a significant part of its uncertainty."
    return Drawn("movement", title, caption, figure)


def largest_changes(solution: SolutionSummary) -> dict[str, float]:
    """Return each group's largest change in σ: without weak modes, where that is told."""
    if solution.groups:
        return {group.name: group.largest_pull for group in solution.groups}
    return dict(solution.pulls)


def pulls_figure(history: History, against: AgainstTruth) -> Drawn:
    """Return the pulls of constants and of independent combinations, beside a unit Gaussian."""
    title = "Pulls against the truth, without weak modes"
    figure, (left, right) = panels(
        (9.6, 4.0), (1, 2), (title, history.subject), Margins(bottom=0.75)
    )
    _histogram(left, np.array(list(against.pulls.values())), "constants (correlated)")
    _histogram(right, against.comparison.mode_pulls, "independent combinations")
    caption = "Where uncertainties are right, independent combinations have mean 0 and width 1."
    return Drawn("pulls", title, caption, figure)


def _histogram(axes: Axes, pulls: Floats, title: str) -> None:
    edges = np.linspace(-_PULL_RANGE, _PULL_RANGE, 26)
    inside = np.clip(pulls, edges[0] + 1e-9, edges[-1] - 1e-9)
    counts = np.histogram(inside, edges)[0]
    axes.stairs(counts, edges, fill=True, color=LAST, alpha=0.45)
    axes.stairs(counts, edges, color=LAST, linewidth=0.8)
    x = np.linspace(edges[0], edges[-1], 300)
    expected = len(pulls) * (edges[1] - edges[0]) * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    axes.plot(x, expected, color=ACCENT, label="unit Gaussian")
    axes.set_title(title)
    axes.set_xlabel("(found − true) / uncertainty")
    axes.set_ylabel("number")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.3 * max(*counts, *expected, 1))
    beyond = int((np.abs(pulls) > _PULL_RANGE).sum())
    if len(pulls):
        told = f"{len(pulls)} entries\nmean {pulls.mean():+.2f}\nwidth {pulls.std():.2f}"
        told += f"\n{beyond} beyond ±{_PULL_RANGE:g}" if beyond else ""
        axes.text(0.02, 0.97, told, transform=axes.transAxes, va="top", fontsize=10)
    axes.legend(loc="upper right")
