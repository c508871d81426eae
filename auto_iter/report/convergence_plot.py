"""Convergence: every constant of one kind over the iterations, one plot for each kind."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from auto_iter.detector.labels import component_of_key
from auto_iter.report.assessment import AgainstTruth, Assessment
from auto_iter.report.history import ConstantName, History
from auto_iter.report.style import (
    GREY,
    LAYER_LINES,
    LAYER_MARKERS,
    STATION_COLOURS,
    iteration_axis,
    new_figure,
    plot_style,
    save,
)
from auto_iter.report.units import SCALE, kind_of, unit_of

LOG_FROM = 30.0
"""So many uncertainties off at the start, a linear scale shows nothing of the end."""


def plot_convergence(history: History, assessment: Assessment, directory: Path) -> list[Path]:
    """Write `convergence_<depth>_<parameter>.png` for each kind that was free; return the paths."""
    kinds: dict[str, list[ConstantName]] = {}
    for name in history.free_constants:
        kinds.setdefault(kind_of(*name), []).append(name)
    written = []
    for kind, names in sorted(kinds.items()):
        path = directory / f"convergence_{kind.replace(' ', '_')}.png"
        with plot_style():
            save(_figure(kind, names, history, assessment.against_truth), path)
        written.append(path)
    return written


def _figure(
    kind: str, names: Sequence[ConstantName], history: History, against: AgainstTruth | None
) -> Figure:
    unit = unit_of(names[0][1])
    figure = new_figure(10.5, 4.6, f"Convergence of {kind}", history.title)
    left, right = figure.subplots(1, 2)
    for name in names:
        _line(left, history.numbers, SCALE * np.array(history.values(name)), name)
    left.set_title("constants")
    left.set_ylabel(f"{kind} [{unit}]")
    _start_axis(left, history)
    if against is not None:
        _residuals(right, names, history, against)
        right.set_ylabel(f"found − true [{unit}]")
    else:
        _changes(right, names, history)
        right.set_ylabel(f"|change| in the iteration [{unit}]")
    figure.legend(handles=_legend(names), loc="outside right center")
    return figure


def _start_axis(axes: Axes, history: History) -> None:
    iteration_axis(axes, "iteration (0: start)")
    axes.set_xlim(-0.15, history.numbers[-1] + 0.15)
    axes.axhline(0.0, color=GREY, linewidth=0.8, zorder=0.5)


def _residuals(
    axes: Axes, names: Sequence[ConstantName], history: History, against: AgainstTruth
) -> None:
    """Draw found − true without weak modes, and the uncertainty that the data leave."""
    axes.set_title("against the truth, without weak modes")
    drawn = [name for name in names if name in against.paths]
    _start_axis(axes, history)
    if not drawn:
        return
    for name in drawn:
        _line(axes, history.numbers, SCALE * np.array(against.paths[name]), name)
    typical = float(np.median([SCALE * (against.constants[name].sigma or 0.0) for name in drawn]))
    largest = SCALE * max(abs(value) for name in drawn for value in against.paths[name])
    axes.axhspan(-typical, typical, color="#c9c9c9", alpha=0.6, linewidth=0, zorder=0.4)
    unit = unit_of(names[0][1])
    note = f"grey: ±{typical:.2g} {unit}, median uncertainty"
    if typical > 0 and largest > LOG_FROM * typical:
        # what is left is far smaller than what there was: linear inside, logarithmic outside
        axes.set_yscale("symlog", linthresh=3 * typical, linscale=1.0, subs=None)
        axes.yaxis.set_major_locator(_symlog_ticks(3 * typical, largest))
        axes.yaxis.set_major_formatter(FuncFormatter(_plain))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_ylim(-5 * largest, 2 * largest)
        note += f"; log scale beyond ±{3 * typical:.2g} {unit}"
    axes.annotate(
        note,
        (0.99, 0.015),
        xycoords="axes fraction",
        ha="right",
        fontsize=8,
        color=GREY,
    )


def _plain(value: float, _: object) -> str:
    """Return a tick's text without powers of ten, with a real minus."""
    return f"{value:g}".replace("-", "−")


def _symlog_ticks(linear: float, largest: float) -> FixedLocator:
    """Return ticks at 0 and at the powers of ten between the linear part and the largest value."""
    decades = range(math.ceil(math.log10(linear)), math.ceil(math.log10(largest)) + 1)
    powers = [10.0**decade for decade in decades]
    return FixedLocator([*(-power for power in reversed(powers)), 0.0, *powers])


def _changes(axes: Axes, names: Sequence[ConstantName], history: History) -> None:
    """Draw by how much each iteration moved the constants, beside their uncertainties."""
    axes.set_title("steps")
    for name in names:
        steps = np.abs(np.diff(SCALE * np.array(history.values(name))))
        _line(axes, history.numbers[1:], np.where(steps > 0, steps, np.nan), name)
    sigmas = [SCALE * sigma for name in names if (sigma := history.free_constants[name].sigma)]
    if sigmas:
        typical = float(np.median(sigmas))
        axes.axhline(typical, color=GREY, linestyle=(0, (6, 3)), linewidth=1.2)
        axes.annotate(
            "median uncertainty",
            (0.99, typical),
            xycoords=("axes fraction", "data"),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right",
            fontsize=9,
            color=GREY,
        )
    axes.set_yscale("log")
    if sigmas:
        # steps of a thousandth of the uncertainty are none
        axes.set_ylim(bottom=max(axes.get_ylim()[0], 1e-3 * min(sigmas)))
    iteration_axis(axes)
    axes.set_xlim(0.85, max(history.numbers[-1], 1) + 0.15)


def _line(
    axes: Axes,
    x: Sequence[int],
    y: np.ndarray[tuple[int], np.dtype[np.float64]],
    name: ConstantName,
) -> None:
    component = component_of_key(name[0])
    crowded = component.depth == "module"
    axes.plot(
        x,
        y,
        color=STATION_COLOURS[component.station],
        linestyle=LAYER_LINES[component.layer] if component.layer >= 0 and not crowded else "-",
        marker="" if crowded else LAYER_MARKERS[component.layer],
        linewidth=0.9 if crowded else 1.6,
        alpha=0.55 if crowded else 1.0,
        clip_on=crowded,
    )


def _legend(names: Sequence[ConstantName]) -> list[Line2D]:
    components = {component_of_key(key) for key, _ in names}
    if any(component.depth == "module" for component in components):
        stations = sorted({component.station for component in components})
        return [
            Line2D([], [], color=STATION_COLOURS[station], label=_station(station))
            for station in stations
        ]
    return [
        Line2D(
            [],
            [],
            color=STATION_COLOURS[component.station],
            linestyle=LAYER_LINES[component.layer] if component.layer >= 0 else "-",
            marker=LAYER_MARKERS[component.layer],
            label=_station(component.station)
            + (f", layer {component.layer}" if component.layer >= 0 else ""),
        )
        for component in sorted(components)
    ]


def _station(station: int) -> str:
    return "IFT" if station == 0 else f"station {station}"
