"""Convergence of modules: a panel for each layer, in which each of its modules has a colour."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from auto_iter.detector.labels import Component, component_of_key
from auto_iter.report.assessment import AgainstTruth
from auto_iter.report.history import ConstantName, History
from auto_iter.report.plots.drawn import Drawn, Margins, error_bars, panels, tag
from auto_iter.report.plots.scales import iteration_axis, typical_band
from auto_iter.report.style import MODULE_COLOURS
from auto_iter.report.units import SCALE, constant_name, unit_of
from auto_iter.weakmodes.label_space import Floats

_COLUMNS = 3


def modules_figure(
    kind: str, names: Sequence[ConstantName], history: History, against: AgainstTruth | None
) -> Drawn:
    """Return the figure of one kind of constant: found − true where the truth is known."""
    layers = sorted({_layer(name) for name in names})
    rows = -(-len(layers) // _COLUMNS)
    title, unit = f"Convergence of {kind}", unit_of(names[0][1])
    margins = Margins(left=0.8, right=1.3, top=0.85, bottom=0.75, between=0.2, above=0.42)
    figure, axes = panels(
        (10.5, 1.6 + 1.75 * rows), (rows, _COLUMNS), (title, history.subject), margins, share=True
    )
    for panel, layer in zip(axes, layers, strict=False):
        panel.set_title(layer.name.replace(" layer", ", layer"), fontsize=10.5)
        for name in names:
            if _layer(name) == layer:
                _curve(panel, name, history, against)
    for panel in axes[len(layers) :]:
        panel.set_axis_off()
    _scale(axes, names, history, against)
    told = "found − true" if against is not None else "value"
    figure.supylabel(f"{told} [{unit}]", fontsize=11, x=0.008)
    figure.legend(
        handles=[
            Line2D([], [], color=colour, linewidth=2.5, label=f"module {number}")
            for number, colour in enumerate(MODULE_COLOURS)
        ],
        loc="center right",
        bbox_to_anchor=(1.0, 0.5),
    )
    what = "found − true, without the weak modes" if against is not None else "the constants"
    caption = f"For each module {what}; bars: uncertainties. Point at a line to see whose it is."
    return Drawn(f"convergence_{kind.replace(' ', '_')}", title, caption, figure)


def _layer(name: ConstantName) -> Component:
    component = component_of_key(name[0])
    return Component(component.station, component.layer)


def _curve(axes: Axes, name: ConstantName, history: History, against: AgainstTruth | None) -> None:
    y, sigma = _path(name, history, against)
    if y is None:
        return
    module = component_of_key(name[0]).module
    x = np.array(history.numbers, dtype=float) + 0.05 * (module - 3.5)
    colour = MODULE_COLOURS[module]
    bars = error_bars(axes, x, y, sigma, colour)
    (line,) = axes.plot(x, y, color=colour, linewidth=1.1)
    for artist in (bars, line):
        tag(artist, name[0], constant_name(*name))


def _path(
    name: ConstantName, history: History, against: AgainstTruth | None
) -> tuple[Floats | None, Floats]:
    """Return a module's points and their uncertainties, as shown; None: not determined."""
    sigma = SCALE * np.array(history.sigmas(name))
    if against is None:
        return SCALE * np.array(history.values(name)), sigma
    if name not in against.paths:
        return None, sigma
    left = SCALE * (against.constants[name].sigma or 0.0)
    return SCALE * np.array(against.paths[name]), np.where(np.isnan(sigma), np.nan, left)


def _scale(
    axes: Sequence[Axes],
    names: Sequence[ConstantName],
    history: History,
    against: AgainstTruth | None,
) -> None:
    for panel in axes:
        iteration_axis(panel, history)
        panel.label_outer()
    if against is None:
        return
    drawn = [name for name in names if name in against.paths]
    if drawn:
        sigmas = [SCALE * (against.constants[name].sigma or 0.0) for name in drawn]
        largest = SCALE * max(abs(value) for name in drawn for value in against.paths[name])
        typical_band(axes, float(np.median(sigmas)), largest, unit_of(names[0][1]))
