"""Axes of the figures: iterations and phases, a scale that shows start and end, time."""

from __future__ import annotations

import math
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter, NullLocator

from auto_iter.report.history import History
from auto_iter.report.style import BAND, GREY

LOG_FROM = 30.0
"""So many uncertainties off at the start, a linear scale shows nothing of the end."""


def iteration_axis(axes: Axes, history: History, *, start: bool = True) -> None:
    """Make x count the iterations, from the start (0) or the first; mark where phases begin."""
    numbers = history.numbers if start else history.numbers[1:]
    axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=1))
    axes.set_xlabel("iteration (0: start)" if start else "iteration")
    axes.set_xlim(numbers[0] - 0.4, numbers[-1] + 0.4)
    if start:
        axes.axhline(0.0, color=GREY, linewidth=0.8, zorder=0.5)
        mark_phases(axes, history)


def mark_phases(axes: Axes, history: History) -> None:
    """Draw a line where another phase begins."""
    for before, after in zip(history.iterations, history.iterations[1:], strict=False):
        if before.solution.phase != after.solution.phase:
            axes.axvline(after.number - 0.5, color=GREY, linestyle=":", linewidth=1.0, zorder=0.6)


def named_line(axes: Axes, at: float, words: str) -> None:
    """Draw a dashed line across at a value of y, with words on its right end."""
    axes.axhline(at, color=GREY, linestyle=(0, (6, 3)), linewidth=1.2)
    place = axes.get_yaxis_transform()
    axes.text(0.99, at, words, transform=place, ha="right", va="bottom", fontsize=9, color=GREY)


def typical_band(axes: Sequence[Axes], typical: float, largest: float, unit: str) -> None:
    """Draw ±`typical` in grey; logarithmic outside where `largest` is far from it.

    What is left is then far smaller than what there was: linear inside, logarithmic outside.
    """
    note = f"grey: ±{typical:.2g} {unit}, median uncertainty"
    is_wide = typical > 0 and largest > LOG_FROM * typical
    for panel in axes:
        panel.axhspan(-typical, typical, color=BAND, alpha=0.45, linewidth=0, zorder=0.4)
        if is_wide:
            panel.set_yscale("symlog", linthresh=3 * typical, linscale=1.0, subs=None)
            panel.yaxis.set_major_locator(_symlog_ticks(3 * typical, largest))
            panel.yaxis.set_major_formatter(FuncFormatter(plain))
            panel.yaxis.set_minor_locator(NullLocator())
            panel.set_ylim(-3 * largest, 2 * largest)
    if is_wide:
        note += f"; log scale beyond ±{3 * typical:.2g}"
    axes[0].figure.text(
        0.008, 0.012, note, ha="left", va="bottom", fontsize=8.5, color=GREY, gid="foot"
    )


def plain(value: float, _: object = None) -> str:
    """Return a tick's text without powers of ten, with a real minus."""
    return f"{value:g}".replace("-", "−")


def plain_log(axes: Axes) -> None:
    """Make y logarithmic, with plain numbers at the decades only."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter(FuncFormatter(plain))
    axes.yaxis.set_minor_formatter(NullFormatter())


def _symlog_ticks(linear: float, largest: float) -> FixedLocator:
    """Return ticks at 0 and at the powers of ten between the linear part and the largest value."""
    decades = range(math.ceil(math.log10(linear)), math.ceil(math.log10(largest)) + 1)
    powers = [10.0**decade for decade in decades]
    return FixedLocator([*(-power for power in reversed(powers)), 0.0, *powers])
