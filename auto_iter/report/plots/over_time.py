"""Constants from one interval of a campaign to the next, a figure for each kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from auto_iter.detector.labels import component_of_key
from auto_iter.report.history import ConstantName
from auto_iter.report.plots.convergence import component_legend, component_line
from auto_iter.report.plots.drawn import Drawn, Margins, error_bars, panels, tag
from auto_iter.report.style import MODULE_COLOURS, STATION_COLOURS
from auto_iter.report.units import SCALE, by_kind, constant_name, unit_of

Courses = Mapping[ConstantName, tuple[Sequence[float], Sequence[float]]]
"""Values and uncertainties (mm, rad) of constants, one for each interval."""

_MARGINS = Margins(left=1.2, right=1.75, bottom=1.05)
_SIZE = (10.5, 4.3)
_LONGEST = 18
"""So many characters of an interval's name fit below the axis."""


def over_time_figures(
    intervals: Sequence[str], courses: Courses, moved: Sequence[ConstantName]
) -> Iterator[Drawn]:
    """Yield a figure for each parameter of layers and stations, and one of modules that moved."""
    modules = [name for name in moved if name in courses and _is_of_module(name)]
    others = [name for name in courses if not _is_of_module(name)]
    for kind, names in by_kind([*others, *modules]).items():
        yield _figure(kind, names, intervals, courses)


def _is_of_module(name: ConstantName) -> bool:
    return component_of_key(name[0]).depth == "module"


def _figure(
    kind: str, names: Sequence[ConstantName], intervals: Sequence[str], courses: Courses
) -> Drawn:
    of_modules = _is_of_module(names[0])
    title = f"{kind} of the modules that moved" if of_modules else f"{kind} over time"
    figure, (axes,) = panels(_SIZE, (1, 1), (title, ""), _MARGINS)
    shown = [each if len(each) <= _LONGEST else "…" + each[1 - _LONGEST :] for each in intervals]
    axes.set_xticks(range(len(shown)), shown, rotation=20, ha="right")
    axes.set_ylabel(f"{kind} − first interval [{unit_of(names[0][1])}]")
    for number, name in enumerate(names):
        x, y, sigma = _points(number, len(names), *courses[name])
        component = component_of_key(name[0])
        modules_colour = MODULE_COLOURS[number % len(MODULE_COLOURS)]
        colour = modules_colour if of_modules else STATION_COLOURS[component.station]
        tag(error_bars(axes, x, y, sigma, colour), name[0], constant_name(*name))
        if of_modules:
            (line,) = axes.plot(x, y, marker="o", color=colour, label=component.name)
            tag(line, name[0], constant_name(*name))
        else:
            component_line(axes, x, y, name)
    if of_modules:
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    else:
        handles = component_legend(names)
        figure.legend(handles=handles, loc="center right", bbox_to_anchor=(1.0, 0.5))
    caption = "With the uncertainty of each interval, and without what the data leave open."
    return Drawn(f"over_time_{kind.replace(' ', '_')}", title, caption, figure)


def _points(
    number: int, of: int, values: Sequence[float], sigmas: Sequence[float]
) -> tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]:
    """Return x, y and uncertainty, x side by side where points would hide each other."""
    aside = 0.4 * ((number + 0.5) / of - 0.5)
    x = np.arange(len(values), dtype=float) + aside
    return x, SCALE * np.array(values), SCALE * np.array(sigmas)
