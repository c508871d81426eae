"""Residuals: mean and width of each module as maps, of each layer, and how they are distributed."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Literal, get_args

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from auto_iter.detector.labels import MODULES, Component, component_of_number
from auto_iter.millepede.conversion.statistics import LayerResiduals, Spread, Statistics
from auto_iter.report.history import Finished, History
from auto_iter.report.plots.drawn import Drawn, Margins, panels, tag
from auto_iter.report.style import ACCENT, FIRST, GREY, INK, LAST

_LEAST_UM, _MOST_UM = 1.0, 300.0
"""What is drawn palest and strongest in maps: between them by the logarithm."""
_SHOWN_UM = 150
_Quantity = Literal["mean", "width"]
_QUANTITIES: tuple[_Quantity, ...] = get_args(_Quantity)


def ends(history: History) -> list[tuple[str, Finished]]:
    """Return the first and the last iteration, where there are two, with their names."""
    chosen = dict.fromkeys((history.iterations[0].number, history.last.number))
    return [
        (f"iteration {each.number}", each) for each in history.iterations if each.number in chosen
    ]


def maps_figure(history: History) -> Drawn | None:
    """Return maps of the residuals' mean and width by module; None where they are not known."""
    shown = [
        (name, each.solution.statistics.modules)
        for name, each in ends(history)
        if each.solution.statistics.modules
    ]
    if not shown:
        return None
    layers = sorted({number[:2] for _, modules in shown for number in modules})
    title = "Residuals of each module [µm]"
    margins = Margins(left=1.55, right=0.2, top=0.8, bottom=0.75, between=0.25, above=0.75)
    tall = 0.27 * len(layers)
    figure, axes = panels(
        (10.5, 2.3 + 2 * tall), (2, len(shown)), (title, history.subject), margins, share=True
    )
    for panel, (quantity, (name, modules)) in zip(axes, product(_QUANTITIES, shown), strict=True):
        _map(panel, f"{quantity}, {name}", layers, modules, quantity)
        panel.label_outer()
    caption = (
        "Of the hits that pede uses, in the first and the last iteration. Means: orange above, "
        "blue below zero; the stronger, the larger, by the logarithm."
    )
    return Drawn("residual_maps", title, caption, figure)


def _map(
    axes: Axes,
    title: str,
    layers: Sequence[str],
    modules: dict[str, Spread],
    quantity: _Quantity,
) -> None:
    for row, layer in enumerate(layers):
        for module in range(MODULES):
            spread = modules.get(f"{layer}{module}")
            if spread is not None and spread.hits:
                _cell(axes, (module, row), f"{layer}{module}", spread, quantity)
    axes.set_title(title, fontsize=11)
    axes.set_xlim(-0.5, MODULES - 0.5)
    axes.set_ylim(len(layers) - 0.5, -0.5)
    axes.set_xticks(range(MODULES))
    axes.set_yticks(range(len(layers)), [layer_name(number) for number in layers])
    axes.set_xlabel("module")
    axes.tick_params(length=0)
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)


def _cell(
    axes: Axes, at: tuple[int, int], number: str, spread: Spread, quantity: _Quantity
) -> None:
    x, y = at
    value = spread.mean_um if quantity == "mean" else spread.width_um
    colour = ACCENT if value > 0 and quantity == "mean" else LAST
    cell = Rectangle(
        (x - 0.48, y - 0.46), 0.96, 0.92, facecolor=colour, alpha=_strength(value), linewidth=0
    )
    component = component_of_number(number)
    told = (
        f"{component.name}: mean {spread.mean_um:+.1f} µm, width {spread.width_um:.1f} µm, "
        f"{spread.hits} hits"
    )
    axes.add_patch(cell)
    tag(cell, component.key, told)
    text = f"{value:.0f}".replace("-0", "0") if quantity == "width" else _signed(value)
    axes.text(x, y, text, ha="center", va="center", fontsize=8.5, color=INK)


def _signed(value: float) -> str:
    shown = f"{value:+.0f}" if abs(value) >= 10 else f"{value:+.1f}"
    return "0" if float(shown) == 0 else shown.replace("-", "−")


def _strength(value_um: float) -> float:
    """Return how strongly a value is drawn: from 0.06 to 0.75."""
    size = min(max(abs(value_um), _LEAST_UM), _MOST_UM)
    return 0.06 + 0.69 * math.log(size / _LEAST_UM) / math.log(_MOST_UM / _LEAST_UM)


def layers_figure(history: History) -> Drawn:
    """Return mean and width of the residuals of each layer, first and last iteration."""
    shown = ends(history)
    layers = sorted({number for _, each in shown for number in each.solution.statistics.layers})
    title = "Residuals of each layer"
    margins = Margins(left=1.55, right=0.3, top=0.95, bottom=0.75, between=0.3)
    figure, axes = panels(
        (10.5, 2.0 + 0.28 * len(layers)), (1, 3), (title, history.subject), margins
    )
    sights: tuple[tuple[str, Callable[[LayerResiduals], float]], ...] = (
        ("mean, hits that pede uses", lambda layer: layer.after.mean_um),
        ("width, hits that pede uses", lambda layer: layer.after.width_um),
        (f"width, all within {Statistics.RANGE_MM:g} mm", lambda layer: layer.before.width_um),
    )
    for panel, (name, read) in zip(axes, sights, strict=True):
        values = [_read(each, layers, read) for _, each in shown]
        if len(values) > 1:
            for row, ends_of in enumerate(zip(*values, strict=True)):
                panel.plot(ends_of, [row, row], color=FIRST, alpha=0.5, linewidth=2, zorder=1)
        for (label, _), value, style in zip(shown, values, ("o", "D"), strict=False):
            colour = LAST if label == shown[-1][0] else FIRST
            panel.plot(value, range(len(layers)), style, color=colour, markersize=7, label=label)
        panel.set_title(name, fontsize=11)
        panel.set_xlabel("µm")
        panel.set_ylim(len(layers) - 0.5, -0.5)
        panel.set_yticks(range(len(layers)), [layer_name(number) for number in layers])
        panel.grid(visible=False, axis="y")
        if "width" in name:
            panel.set_xlim(0, 1.12 * np.nanmax([1e-3, *np.ravel(values)]))
        else:
            panel.axvline(0, color=GREY, linewidth=0.8, zorder=0.5)
    for panel in axes[1:]:
        panel.tick_params(labelleft=False)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="upper right", ncols=2)
    caption = "Grey: the first iteration, blue: the last."
    return Drawn("residuals", title, caption, figure)


def _read(
    iteration: Finished, layers: Sequence[str], read: Callable[[LayerResiduals], float]
) -> list[float]:
    known = iteration.solution.statistics.layers
    return [read(known[number]) if number in known else math.nan for number in layers]


def distributions_figure(history: History) -> Drawn | None:
    """Return how the residuals of each layer are distributed; None where it is not known."""
    shown = [
        (name, each.solution.statistics.histograms)
        for name, each in ends(history)
        if each.solution.statistics.histograms
    ]
    if not shown:
        return None
    layers = sorted({number for _, known in shown for number in known})
    rows, columns = -(-len(layers) // 3), 3
    title = "Distribution of the residuals of each layer"
    margins = Margins(left=0.8, right=0.2, top=0.85, bottom=0.75, between=0.2, above=0.42)
    figure, axes = panels(
        (10.5, 1.6 + 1.5 * rows), (rows, columns), (title, history.subject), margins, share=True
    )
    for panel, layer in zip(axes, layers, strict=False):
        panel.set_title(layer_name(layer), fontsize=10.5)
        for name, known in shown:
            is_last = name == shown[-1][0]
            _distribution(panel, known.get(layer, []), name, is_last=is_last)
    for panel in axes:
        panel.set_xlim(-_SHOWN_UM, _SHOWN_UM)
        panel.set_xticks([-100, 0, 100])
        panel.set_ylim(bottom=0)
        panel.set_xlabel("residual [µm]")
        panel.label_outer()
    for panel in axes[len(layers) :]:
        panel.set_axis_off()
    figure.supylabel("% of the hits per µm", fontsize=11, x=0.008)
    handles, labels = max((p.get_legend_handles_labels() for p in axes), key=lambda h: len(h[0]))
    figure.legend(handles, labels, loc="upper right", ncols=2)
    caption = (
        f"All hits within {Statistics.RANGE_MM:g} mm, before any cut; what is beyond "
        f"±{_SHOWN_UM} µm counts in the normalisation."
    )
    return Drawn("distributions", title, caption, figure)


def _distribution(axes: Axes, counts: list[int], name: str, *, is_last: bool) -> None:
    edges = np.array(Statistics.EDGES_UM, dtype=float)
    if len(counts) != len(edges) - 1 or not sum(counts):
        return
    density = 100.0 * np.array(counts) / sum(counts) / np.diff(edges)
    if is_last:
        axes.stairs(density, edges, fill=True, color=LAST, alpha=0.35)
    axes.stairs(density, edges, color=LAST if is_last else GREY, linewidth=1.2, label=name)


def layer_name(number: str) -> str:
    """Return a layer's name in words, e.g. `station 1, layer 0`."""
    component = component_of_number(number)
    return Component(component.station, component.layer).name.replace(" layer", ", layer")
