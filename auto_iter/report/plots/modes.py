"""What the data fix and what not: correlations of parameters, the spectrum, weak modes drawn."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from auto_iter.detector.labels import PARAMETERS, Place, Scheme, place_of
from auto_iter.detector.stations import IFT
from auto_iter.report.history import History
from auto_iter.report.plots.drawn import Drawn, Margins, panels, tag
from auto_iter.report.plots.scales import plain_log
from auto_iter.report.style import ACCENT, GREY, LAST
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import THRESHOLD, Eigenmodes, WeakMode

MOST_MODES = 12
LEAST_SHARE = 0.002
_Parts = dict[tuple[str, str], tuple[float, float]]
_COLUMNS = 4
_DEPTHS = ("station", "layer", "module", "side")


def correlations(modes: Eigenmodes) -> Floats:
    """Return the correlations (labels, labels) that data and what is known leave together.

    In units of what is known the information is 1 + eigenvalue along each mode, and nothing along
    what constraints fix: C = S V (1 + Λ)⁻¹ Vᵀ Sᵀ, which is then scaled to ones on the diagonal.
    """
    root = modes.scale @ modes.vectors / np.sqrt(1.0 + np.maximum(modes.values, 0.0))
    sigma = np.linalg.norm(root, axis=1)
    sigma[sigma == 0] = np.inf
    scaled = root / sigma[:, np.newaxis]
    return np.asarray(scaled @ scaled.T)


def _order(places: Sequence[Place]) -> list[int]:
    """Return the positions of places by kind, then component."""
    keys = [(_DEPTHS.index(p.component.depth), PARAMETERS.index(p.parameter), p) for p in places]
    return sorted(range(len(places)), key=keys.__getitem__)


def correlations_figure(history: History, modes: Eigenmodes) -> Drawn:
    """Return the matrix of correlations as a picture, parameters by kind."""
    scheme = history.strategy.labels
    places = [place_of(label, scheme) for label in modes.labels]
    order = _order(places)
    matrix = correlations(modes)[np.ix_(order, order)]
    title = "Correlations of the parameters"
    margins = Margins(left=1.2, right=0.3, top=0.75, bottom=1.2)
    figure, (axes,) = panels((7.6, 7.4), (1, 1), (title, history.subject), margins)
    picture = np.zeros((*matrix.shape, 4))
    picture[..., :3] = np.where(matrix[..., np.newaxis] > 0, _rgb(ACCENT), _rgb(LAST))
    picture[..., 3] = np.abs(np.clip(matrix, -1, 1)) ** 0.8
    axes.imshow(picture, interpolation="none")
    kinds = [places[at].kind for at in order]
    firsts = [at for at, kind in enumerate(kinds) if at == 0 or kind != kinds[at - 1]]
    for first in firsts[1:]:
        axes.axhline(first - 0.5, color=GREY, linewidth=0.5)
        axes.axvline(first - 0.5, color=GREY, linewidth=0.5)
    middles = [(a + b - 1) / 2 for a, b in zip(firsts, [*firsts[1:], len(kinds)], strict=True)]
    names = [kinds[first] for first in firsts]
    axes.set_xticks(middles, names, rotation=90)
    axes.set_yticks(middles, names)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    caption = (
        "Orange: positive, blue: negative; the stronger, the larger. With what is known without "
        "the data (priors, else presigmas). Within a kind by station, layer, module, side."
    )
    return Drawn("correlations", title, caption, figure)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


def strongest_pairs(modes: Eigenmodes, scheme: Scheme, most: int) -> list[tuple[str, str, float]]:
    """Return the parameters that are most correlated, in words, strongest first."""
    matrix = np.triu(correlations(modes), 1)
    flat = np.argsort(-np.abs(matrix), axis=None)[:most]
    pairs = zip(*np.unravel_index(flat, matrix.shape), strict=True)
    return [
        (
            place_of(modes.labels[one], scheme).name,
            place_of(modes.labels[other], scheme).name,
            float(matrix[one, other]),
        )
        for one, other in pairs
    ]


def spectrum_figure(history: History, modes: Eigenmodes) -> Drawn:
    """Return the data's information about each combination, relative to what is known without."""
    title = "What the data say about each combination of parameters"
    figure, (axes,) = panels(
        (10.5, 3.6), (1, 1), (title, history.subject), Margins(left=0.95, bottom=0.75)
    )
    values, weak = modes.values, modes.is_weak
    floor = 1e-4 * THRESHOLD
    shown, numbers = np.maximum(values, floor), np.arange(1, len(values) + 1)
    axes.plot(numbers[weak], shown[weak], "o", color=ACCENT, label=f"{int(weak.sum())} weak")
    axes.plot(numbers[~weak], shown[~weak], "o", color=LAST, markersize=3, label="fixed by data")
    axes.axhline(THRESHOLD, color=GREY, linestyle=(0, (6, 3)), linewidth=1.2)
    plain_log(axes)
    axes.set_xlabel("combination, least known first")
    axes.set_ylabel("data / known without")
    axes.legend(loc="lower right")
    caption = (
        "Eigenvalues of the data's information, relative to what is known without them. Below the "
        f"line the data say less; values under {floor:g} are drawn there."
    )
    return Drawn("spectrum", title, caption, figure)


def weak_modes_figure(history: History, modes: Eigenmodes, weak: Sequence[WeakMode]) -> Drawn:
    """Return the weak modes drawn: which parameters of which layer take part in each."""
    chosen = list(weak[:MOST_MODES])
    places = [place_of(label, history.strategy.labels) for label in modes.labels]
    kinds = list(dict.fromkeys(places[at].kind for at in _order(places)))
    groups = sorted({_group(where) for where in places})
    columns = min(_COLUMNS, len(chosen))
    rows = -(-len(chosen) // columns)
    title = "Weak modes: who takes part"
    margins = Margins(left=0.7, right=0.15, top=0.95, bottom=1.15, between=0.15, above=0.65)
    size = (0.85 + 2.4 * columns + 0.1, 2.1 + rows * (0.2 * len(groups) + 0.3) + 0.3 * (rows - 1))
    figure, axes = panels(size, (rows, columns), (title, history.subject), margins, share=True)
    for panel, mode in zip(axes, chosen, strict=False):
        vector = modes.weak @ mode.directions[:, 0]
        _mode(panel, mode, _parts(vector, places), kinds, groups)
    for panel in axes:
        panel.label_outer()
    for panel in axes[len(chosen) :]:
        panel.set_axis_off()
    caption = (
        "The first combination of each name. Rows: station and layer. Orange and blue: one way and "
        "the other; the stronger, the larger the share."
    )
    return Drawn("weak_modes", title, caption, figure)


def _group(where: Place) -> str:
    component = where.component
    station = "IFT" if component.station == IFT else f"{component.station}"
    return station if component.layer < 0 else f"{station}·{component.layer}"


def _mode(
    axes: Axes, mode: WeakMode, parts: _Parts, kinds: Sequence[str], groups: Sequence[str]
) -> None:
    largest = max((share for share, _ in parts.values()), default=1.0)
    for (group, kind), (share, total) in parts.items():
        if share < LEAST_SHARE * largest:
            continue
        x, y = kinds.index(kind), groups.index(group)
        cell = Rectangle(
            (x - 0.47, y - 0.45),
            0.94,
            0.9,
            facecolor=ACCENT if total > 0 else LAST,
            alpha=0.9 * (share / largest) ** 0.5,
            linewidth=0,
        )
        axes.add_patch(cell)
        tag(cell, "", f"{mode.name}: {kind} of {group}, {100 * share:.1f} %")
    words = mode.name if len(mode.name) < 31 else f"{mode.name[:28]}…"
    count = f" ({mode.count})" if mode.count > 1 else ""
    axes.set_title(words + count, fontsize=8.5)
    axes.set_xlim(-0.5, len(kinds) - 0.5)
    axes.set_ylim(len(groups) - 0.5, -0.5)
    axes.set_xticks(range(len(kinds)), kinds, rotation=60, ha="right", fontsize=8)
    axes.set_yticks(range(len(groups)), groups, fontsize=8)
    axes.tick_params(length=0)


def _parts(vector: Floats, places: Sequence[Place]) -> _Parts:
    """Return the part of each layer and kind in a combination: its share, and which way it goes."""
    parts: _Parts = {}
    for where, amount in zip(places, vector, strict=True):
        at = (_group(where), where.kind)
        share, total = parts.get(at, (0.0, 0.0))
        parts[at] = (share + float(amount**2), total + float(amount))
    return parts
