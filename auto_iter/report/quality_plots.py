"""How good the alignment is: chi2 per iteration, residual widths per layer, pulls."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from auto_iter.detector.labels import component_of_number
from auto_iter.millepede.conversion.statistics import LayerResiduals
from auto_iter.report.assessment import AgainstTruth
from auto_iter.report.history import History
from auto_iter.report.style import (
    FIRST,
    LAST,
    iteration_axis,
    new_figure,
    plot_style,
    save,
)
from auto_iter.weakmodes.label_space import Floats

_LOG_FROM = 8.0
_PULL_RANGE = 5.0


def plot_chi2(history: History, path: Path) -> None:
    """Write chi2/ndf over the iterations: of the tracks as reconstructed, and after pede's fit."""
    numbers = [iteration.number for iteration in history.iterations]
    tracks = [iteration.solution.track_chi2_ndf for iteration in history.iterations]
    fitted = [iteration.solution.chi2_ndf for iteration in history.iterations]
    with plot_style():
        figure = new_figure(6.4, 4.4, "χ²/ndf of the tracks", history.title)
        axes = figure.subplots()
        axes.plot(numbers, tracks, "o-", color=LAST, label="as reconstructed", clip_on=False)
        axes.plot(
            numbers,
            fitted,
            "D",
            color="#d1660f",
            mfc="white",
            markersize=6,
            label="expected by pede after its fit",
            clip_on=False,
        )
        for number, value in {numbers[0]: tracks[0], numbers[-1]: tracks[-1]}.items():
            axes.annotate(
                f"{value:.3f}",
                (number, value),
                xytext=(6, 7),
                textcoords="offset points",
                color=LAST,
                fontsize=10,
            )
        positive = [value for value in (*tracks, *fitted) if value > 0]
        if positive and max(positive) > _LOG_FROM * min(positive):
            axes.set_yscale("log")
            axes.set_ylim(0.75 * min(positive), 2.0 * max(positive))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axes.yaxis.set_minor_formatter(NullFormatter())
        else:
            axes.set_ylim(0, 1.15 * max(positive, default=1.0))
        axes.set_ylabel("χ²/ndf")
        axes.set_xlim(numbers[0] - 0.3, numbers[-1] + 0.5)
        iteration_axis(axes)
        axes.legend(loc="upper right")
        save(figure, path)


def plot_residuals(history: History, path: Path) -> None:
    """Write the width of the residuals of each layer in the first and the last iteration."""
    first, last = history.iterations[0], history.last
    layers = sorted({*first.solution.statistics.layers, *last.solution.statistics.layers})
    names = [_layer_name(number) for number in layers]
    with plot_style():
        figure = new_figure(8.4, 4.6, "Width of the residuals in each layer", history.title)
        all_hits, kept = figure.subplots(1, 2, sharey=False)
        for axes, stage, title in (
            (all_hits, "before", "all hits within 1 mm"),
            (kept, "after", "hits that pede uses"),
        ):
            series = [(f"iteration {first.number}", first, FIRST, "o")]
            if last is not first:
                series.append((f"iteration {last.number}", last, LAST, "D"))
            widths = []
            for label, iteration, colour, marker in series:
                of_layers = iteration.solution.statistics.layers
                width = [_width(of_layers.get(number), stage) for number in layers]
                widths.append(width)
                axes.plot(
                    width, range(len(layers)), marker, color=colour, markersize=7, label=label
                )
            _connect(axes, widths)
            axes.set_title(title)
            axes.set_yticks(range(len(layers)), names)
            axes.set_xlabel("width (r.m.s.) [µm]")
            axes.set_xlim(0, 1.12 * np.nanmax([1e-3, *np.ravel(widths)]))
            axes.invert_yaxis()
            axes.grid(visible=False, axis="y")
        kept.tick_params(labelleft=False)
        handles, labels = kept.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside upper right", ncols=2)
        save(figure, path)


def _connect(axes: Axes, widths: list[list[float]]) -> None:
    if len(widths) < 2:
        return
    for row, (before, after) in enumerate(zip(*widths, strict=True)):
        axes.plot([before, after], [row, row], color="#cfcfcf", linewidth=2, zorder=1)


def _layer_name(number: str) -> str:
    component = component_of_number(number)
    station = "IFT" if component.station == 0 else f"station {component.station}"
    return f"{station}, layer {component.layer}"


def _width(layer: LayerResiduals | None, stage: str) -> float:
    if layer is None:
        return float("nan")
    return (layer.before if stage == "before" else layer.after).width_um


def plot_pulls(history: History, against: AgainstTruth, path: Path) -> None:
    """Write the pulls of constants and of independent combinations, beside a unit Gaussian."""
    constants = np.array(list(against.pulls.values()))
    with plot_style():
        figure = new_figure(9.6, 4.4, "Pulls against the truth, without weak modes", history.title)
        left, right = figure.subplots(1, 2)
        _histogram(left, constants, "constants (correlated)")
        _histogram(right, against.comparison.mode_pulls, "independent combinations")
        save(figure, path)


def _histogram(axes: Axes, pulls: Floats, title: str) -> None:
    edges = np.linspace(-_PULL_RANGE, _PULL_RANGE, 26)
    inside = np.clip(pulls, edges[0] + 1e-9, edges[-1] - 1e-9)
    axes.hist(inside, bins=edges.tolist(), color="#9db9dc", edgecolor=LAST, linewidth=0.8)
    x = np.linspace(edges[0], edges[-1], 300)
    expected = len(pulls) * (edges[1] - edges[0]) * np.exp(-0.5 * x * x) / np.sqrt(2 * np.pi)
    axes.plot(x, expected, color="#d1660f", label="unit Gaussian")
    axes.set_title(title)
    axes.set_xlabel("(found − true) / uncertainty")
    axes.set_ylabel("number")
    axes.set_xlim(edges[0], edges[-1])
    beyond = int((np.abs(pulls) > _PULL_RANGE).sum())
    if len(pulls):
        told = f"{len(pulls)} entries\nmean {pulls.mean():+.2f}\nwidth {pulls.std():.2f}"
        told += f"\n{beyond} beyond ±{_PULL_RANGE:g}" if beyond else ""
        axes.annotate(told, (0.02, 0.97), xycoords="axes fraction", va="top", fontsize=10)
    axes.legend(loc="upper right")
