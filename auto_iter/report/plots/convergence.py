"""Convergence: every constant of one kind over the iterations, a figure for each kind."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from auto_iter.detector.labels import Component, component_of_key
from auto_iter.report.assessment import AgainstTruth, Assessment
from auto_iter.report.history import ConstantName, History
from auto_iter.report.plots.drawn import Drawn, Margins, error_bars, panels, tag
from auto_iter.report.plots.modules import modules_figure
from auto_iter.report.plots.scales import (
    iteration_axis,
    mark_phases,
    named_line,
    plain_log,
    typical_band,
)
from auto_iter.report.style import FIRST, LAYER_LINES, LAYER_MARKERS, STATION_COLOURS
from auto_iter.report.units import SCALE, by_kind, constant_name, unit_of

_MARGINS = Margins(right=1.75, bottom=0.75, between=0.9)


def convergence_figures(history: History, assessment: Assessment) -> Iterator[Drawn]:
    """Yield `convergence_<depth>_<parameter>` for each kind of constant that was ever free."""
    for kind, names in sorted(by_kind(history.free_constants).items()):
        draw = modules_figure if kind.startswith("module") else _figure
        yield draw(kind, names, history, assessment.against_truth)


def _figure(
    kind: str, names: Sequence[ConstantName], history: History, against: AgainstTruth | None
) -> Drawn:
    unit = unit_of(names[0][1])
    title = f"Convergence of {kind}"
    figure, (left, right) = panels((10.5, 4.3), (1, 2), (title, history.subject), _MARGINS)
    _values(left, names, history)
    left.set_ylabel(f"{kind} [{unit}]")
    caption = "Left: the constants, with pede's uncertainties. "
    if against is not None:
        _residuals(right, names, history, against)
        right.set_ylabel(f"found − true [{unit}]")
        caption += "Right: found − true, without what no data can fix (the weak modes)."
    else:
        _changes(right, names, history)
        right.set_ylabel(f"|change| [{unit}]")
        caption += "Right: by how much each iteration moved them."
    figure.legend(handles=component_legend(names), loc="center right", bbox_to_anchor=(1.0, 0.5))
    return Drawn(f"convergence_{kind.replace(' ', '_')}", title, caption, figure)


def _values(axes: Axes, names: Sequence[ConstantName], history: History) -> None:
    """Draw the constants with error bars, side by side where they would hide each other."""
    axes.set_title("constants")
    iteration_axis(axes, history)
    for number, name in enumerate(names):
        aside = 0.3 * ((number + 0.5) / len(names) - 0.5)
        x = np.array(history.numbers, dtype=float) + aside
        y = SCALE * np.array(history.values(name))
        colour = STATION_COLOURS[component_of_key(name[0]).station]
        bars = error_bars(axes, x, y, SCALE * np.array(history.sigmas(name)), colour)
        tag(bars, name[0], constant_name(*name))
        component_line(axes, x, y, name)
    values = SCALE * np.array([history.values(name) for name in names])
    room = max(0.6 * float(np.ptp(values)), 1e-6)
    # weak modes have uncertainties far larger than anything that happens: bars may leave the panel
    axes.set_ylim(float(values.min()) - room, float(values.max()) + room)


def _residuals(
    axes: Axes, names: Sequence[ConstantName], history: History, against: AgainstTruth
) -> None:
    """Draw found − true without weak modes, and the uncertainty that the data leave."""
    axes.set_title("against the truth")
    iteration_axis(axes, history)
    drawn = [name for name in names if name in against.paths]
    if not drawn:
        axes.text(0.5, 0.5, "not determined by the data", transform=axes.transAxes, ha="center")
        return
    for name in drawn:
        component_line(axes, np.array(history.numbers), SCALE * np.array(against.paths[name]), name)
    typical = float(np.median([SCALE * (against.constants[name].sigma or 0.0) for name in drawn]))
    largest = SCALE * max(abs(value) for name in drawn for value in against.paths[name])
    typical_band([axes], typical, largest, unit_of(names[0][1]))


def _changes(axes: Axes, names: Sequence[ConstantName], history: History) -> None:
    """Draw by how much each iteration moved the constants, beside their uncertainties."""
    axes.set_title("steps")
    for name in names:
        steps = np.abs(np.diff(SCALE * np.array(history.values(name))))
        component_line(
            axes, np.array(history.numbers[1:]), np.where(steps > 0, steps, np.nan), name
        )
    sigmas = [SCALE * sigma for name in names if (sigma := history.free_constants[name].sigma)]
    if sigmas:
        typical = float(np.median(sigmas))
        named_line(axes, typical, "median uncertainty")
    plain_log(axes)
    if sigmas:
        # steps of a thousandth of the uncertainty are none
        axes.set_ylim(bottom=max(axes.get_ylim()[0], 1e-3 * min(sigmas)))
    iteration_axis(axes, history, start=False)
    mark_phases(axes, history)


def component_line(
    axes: Axes,
    x: npt.NDArray[np.float64] | npt.NDArray[np.int64],
    y: npt.NDArray[np.float64],
    name: ConstantName,
) -> None:
    """Draw a constant's values, with the colour, line and marker of its layer."""
    (line,) = axes.plot(x, y, **_look(component_of_key(name[0])))
    tag(line, name[0], constant_name(*name))


def component_legend(names: Sequence[ConstantName]) -> list[Line2D]:
    """Return what tells the components of these constants apart."""
    return [
        Line2D([], [], **_look(component), label=component.name.replace(" layer", ", layer"))
        for component in sorted({component_of_key(key) for key, _ in names})
    ]


def _look(component: Component) -> dict[str, Any]:
    return {
        "color": STATION_COLOURS[component.station] if component.station >= 0 else FIRST,
        "linestyle": LAYER_LINES[component.layer] if component.layer >= 0 else "-",
        "marker": LAYER_MARKERS[component.layer],
    }
