"""How plots look, and how they are written: the same numbers give the same bytes."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.figure import Figure

from auto_iter.files import write_atomically

STATION_COLOURS = ("#7a4fb5", "#1f5fa8", "#d1660f", "#2a8c4a")
"""IFT, stations 1 to 3: told apart by colour-blind eyes, too."""
MODULE_COLOURS = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8c8c00", "#6a5acd",
)  # fmt: skip
"""Modules 0 to 7 of a layer: Okabe and Ito's colours, but for black and yellow."""
LAYER_LINES: tuple[Literal["-", "--", ":"], ...] = ("-", "--", ":")
LAYER_MARKERS = ("o", "s", "^")
INK, PAPER, GREY, GRID = "#1b1c1d", "#ffffff", "#6b6b6b", "#e4e4e4"
FIRST, LAST, ACCENT = "#9a9a9a", "#1f5fa8", "#d1660f"
HELD_OUT = MODULE_COLOURS[2]
WAITING, BAND = "#c6c9cd", "#c9c9c9"
PALETTE = {
    INK: "currentColor",
    PAPER: "var(--paper)",
    GREY: "var(--grey)",
    GRID: "var(--grid)",
    FIRST: "var(--first)",
    WAITING: "var(--waiting)",
    BAND: "var(--waiting)",
    **{colour: f"var(--station{number})" for number, colour in enumerate(STATION_COLOURS)},
    **{colour: f"var(--module{number})" for number, colour in enumerate(MODULE_COLOURS)},
}
"""What stands for each colour in the page, which has others on black; see `page/report.css`."""
DPI = 130
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.titlesize": 12,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.labelsize": 11,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.fontsize": 9.5,
    "figure.facecolor": "white",
}


@contextmanager
def plot_style() -> Iterator[None]:
    """Use our style, and nothing of what the user's matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(width: float, height: float, title: str, subtitle: str) -> Figure:
    """Return an empty figure (inches) with a heading."""
    figure = Figure(figsize=(width, height), layout="constrained")
    figure.suptitle(f"{title}", x=0.012, ha="left", fontsize=13, fontweight="bold")
    figure.supxlabel(subtitle, x=0.988, ha="right", fontsize=8.5, color=GREY)
    return figure


FORMATS: Mapping[str, Mapping[str, None]] = {
    "png": {"Software": None},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
    "svg": {"Creator": None, "Date": None},
}
"""What can be written, and what is left out so that the same picture is the same bytes."""


def save(figure: Figure, path: Path) -> None:
    """Write a picture, whole or not at all, without version or date in it. Raises OSError.

    Its format is that of the name: one of `FORMATS`.
    """
    content = io.BytesIO()
    kind = path.suffix.removeprefix(".").lower()
    figure.savefig(content, format=kind, dpi=DPI, metadata=FORMATS[kind])
    write_atomically(path, content.getvalue())
