"""A picture of one set of constants: layers on the left, modules on the right."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.axes import Axes

from auto_iter.detector.constants import Values
from auto_iter.detector.labels import PARAMETERS, Component, component_of_key
from auto_iter.detector.stations import station_name
from auto_iter.errors import UsageError
from auto_iter.report.style import FORMATS, STATION_COLOURS, new_figure, plot_style, save
from auto_iter.report.units import SCALE, unit_of

_DEPTHS = ("station", "layer", "module")


def plot_constants(constants: Mapping[str, Values], output: Path, source: str) -> None:
    """Draw every constant (µm, mrad) that is not zero everywhere. Raises OSError, UsageError.

    `source` tells below the panels where the constants are from.
    """
    if output.suffix.removeprefix(".").lower() not in FORMATS:
        raise UsageError(f"{output}: its name has to end in .{', .'.join(FORMATS)}")
    components = {key: component_of_key(key) for key in sorted(constants)}
    panels = [
        (depth, index)
        for depth in _DEPTHS
        for index in range(len(PARAMETERS))
        if any(constants[key][index] for key, each in components.items() if each.depth == depth)
    ]
    with plot_style():
        columns = 3
        rows = max(1, -(-len(panels) // columns))
        figure = new_figure(4.0 * columns, 2.7 * rows + 0.5, "Alignment constants", source)
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes, (depth, index) in zip(grid, panels, strict=False):
            chosen = [key for key, each in components.items() if each.depth == depth]
            _panel(axes, [components[key] for key in chosen], [constants[k][index] for k in chosen])
            axes.set_title(f"{depth} {PARAMETERS[index]} [{unit_of(PARAMETERS[index])}]")
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        if not panels:
            grid[0].annotate("all constants are zero", (0.05, 0.5), xycoords="axes fraction")
        save(figure, output)


def _panel(axes: Axes, components: list[Component], values: list[float]) -> None:
    colours = [STATION_COLOURS[component.station] for component in components]
    axes.bar(range(len(values)), [SCALE * value for value in values], color=colours, width=0.8)
    axes.axhline(0, color="black", linewidth=0.8)
    firsts = [
        at
        for at, component in enumerate(components)
        if at == 0 or component.station != components[at - 1].station
    ]
    axes.set_xticks(
        [at - 0.5 for at in firsts],
        [station_name(components[at].station).replace("station", "st.") for at in firsts],
        ha="left",
    )
    axes.grid(visible=False, axis="x")
