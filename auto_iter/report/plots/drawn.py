"""What a figure is made with: its frame, its names for the page, and tags on what it shows.

Margins are given, not found: matplotlib's constrained layout draws everything twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from auto_iter.report.style import GREY
from auto_iter.weakmodes.label_space import Floats

TAG = "tag:"
"""How the ids of tagged artists begin; `svg` turns them into hover titles."""


@dataclass(frozen=True)
class Drawn:
    """A figure. `name`: of its file; `caption`: what is to be seen, in a sentence or two."""

    name: str
    title: str
    caption: str
    figure: Figure


@dataclass(frozen=True)
class Margins:
    """The room around a figure's panels, and between them, in inches."""

    left: float = 0.75
    right: float = 0.15
    top: float = 0.75
    bottom: float = 0.6
    between: float = 0.75
    above: float = 0.45


DEFAULT = Margins()


def panels(
    size: tuple[float, float],
    grid: tuple[int, int],
    heading: tuple[str, str],
    margins: Margins = DEFAULT,
    *,
    share: bool = False,
) -> tuple[Figure, list[Axes]]:
    """Return a figure of `size` (inches) with a `grid` (rows, columns) of panels, row by row.

    `heading`: its title, and the line at the bottom. `share`: all panels have the same axes.
    """
    width, height = size
    rows, columns = grid
    figure = Figure(figsize=size)
    figure.text(0.1 / width, 1 - 0.1 / height, heading[0], va="top", fontsize=13, weight="bold")
    figure.text(
        1 - 0.1 / width, 0.06 / height, heading[1], ha="right", fontsize=8.5, color=GREY, gid="foot"
    )
    inner = (width - margins.left - margins.right - (columns - 1) * margins.between) / columns
    tall = (height - margins.top - margins.bottom - (rows - 1) * margins.above) / rows
    axes = figure.subplots(
        rows,
        columns,
        squeeze=False,
        sharex=share,
        sharey=share,
        gridspec_kw={
            "left": margins.left / width,
            "right": 1 - margins.right / width,
            "top": 1 - margins.top / height,
            "bottom": margins.bottom / height,
            "wspace": margins.between / inner,
            "hspace": margins.above / tall,
        },
    )
    return figure, list(np.ravel(axes))


def tag(artist: Artist, key: str, title: str) -> None:
    """Name what an artist shows; with the same `key` it is found in other figures, too."""
    artist.set_gid(f"{TAG}{key}|{title}")


def error_bars(axes: Axes, x: Floats, y: Floats, sigma: Floats, colour: str) -> Line2D:
    """Draw ±sigma about points, as one path: a collection would be ten times as long in SVG."""
    gap = np.full_like(y, np.nan)
    (bars,) = axes.plot(
        np.column_stack((x, x, gap)).ravel(),
        np.column_stack((y - sigma, y + sigma, gap)).ravel(),
        color=colour,
        linewidth=0.9,
        alpha=0.55,
    )
    return bars
