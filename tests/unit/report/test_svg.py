"""A figure in the page takes its colours from there; the same numbers give the same bytes."""

from __future__ import annotations

import re
from pathlib import Path

from matplotlib.patches import Rectangle

from auto_iter.report.plots.drawn import Drawn, panels, tag
from auto_iter.report.plots.svg import inline_svg
from auto_iter.report.style import LAST, PALETTE, plot_style, save

CSS = Path(__file__).parents[3] / "auto_iter/report/page/templates/report.css"


def drawn() -> Drawn:
    figure, (axes,) = panels((4, 3), (1, 1), ("A <title>", "subject"))
    axes.plot([1, 2], [1.23456, 2], color=LAST)
    cell = Rectangle((1, 1), 1, 1, facecolor=LAST)
    axes.add_patch(cell)
    tag(cell, "110", "module & <side>")
    return Drawn("some", "A <title>", "what is seen", figure)


def test_colours_are_the_pages_and_tags_are_titles(tmp_path: Path) -> None:
    with plot_style():
        svg = inline_svg(drawn())
        assert inline_svg(drawn()) == svg
        for name in ("one.png", "other.png"):
            save(drawn().figure, tmp_path / name)
    assert '<g class="tag" data-key="110"><title>module &amp; &lt;side&gt;</title>' in svg
    assert not re.findall(r"#[0-9a-f]{6}\b", svg)
    assert not re.findall(r' id="[a-z]+_\d+"', svg)
    assert 'aria-label="A &lt;title&gt;. what is seen"' in svg
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "other.png").read_bytes()


def test_every_colour_of_the_palette_is_known_to_the_page_on_white_on_black_and_on_paper() -> None:
    css = CSS.read_text()
    for value in PALETTE.values():
        if value.startswith("var("):
            assert css.count(f"{value[4:-1]}: #") == 3, value
