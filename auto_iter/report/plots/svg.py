"""A figure as SVG within a page: it takes its colours from the page, and tells what is what.

Colours of the palette become CSS variables, ink the page's own, so that the same picture is read on
white and on black. Tags become hover titles.
"""

from __future__ import annotations

import io
import re
from html import escape
from typing import Final

import matplotlib as mpl
from matplotlib.figure import Figure

from auto_iter.report.plots.drawn import TAG, Drawn
from auto_iter.report.style import PALETTE

_TAGGED: Final = re.compile(rf'<g id="{TAG}([^|"]*)\|([^"]*)">')
_OWN_ID: Final = re.compile(r' id="[A-Za-z0-9.]+_\d+"')
_COLOUR: Final = re.compile(r"#[0-9a-f]{6}\b")
_FONT: Final = re.compile(r"(font: (?:[a-z0-9]+ )*[0-9.]+px) '[^']*'(?:, '?[\w -]+'?)*")
_PLACES: Final = re.compile(r' (?:d|x|y|width|height|transform|points)="[^"]*"')
_LONG: Final = re.compile(r"(\d\.\d\d)\d+")
_HEAD: Final = re.compile(r"<svg [^>]*?viewBox=\"([^\"]*)\"[^>]*>", re.DOTALL)
_UNWANTED: Final = re.compile(r"<metadata>.*?</metadata>|<style.*?</style>|<!--.*?-->", re.DOTALL)


def inline_svg(drawn: Drawn) -> str:
    """Return the SVG element of a figure, without size and ids of its own."""
    text = _UNWANTED.sub("", _rendered(drawn.figure, drawn.name))
    head = _HEAD.search(text)
    if head is None:
        raise ValueError(f"{drawn.name}: matplotlib wrote no SVG")
    body = text[head.end() :]
    body = _TAGGED.sub(r'<g class="tag" data-key="\1"><title>\2</title>', body)
    body = body.replace('<g id="foot">', '<g class="foot">')
    body = _PLACES.sub(lambda found: _LONG.sub(r"\1", found[0]), body)
    body = _OWN_ID.sub("", body)
    body = _COLOUR.sub(lambda found: PALETTE.get(found[0], found[0]), body)
    body = _FONT.sub(r"\1 var(--sans)", body)
    name, caption = escape(drawn.title), escape(drawn.caption)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{head[1]}" role="img" '
        f'aria-label="{name}. {caption}">{body}'
    )


def _rendered(figure: Figure, salt: str) -> str:
    sink = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(
            sink, format="svg", transparent=True, metadata={"Creator": None, "Date": None}
        )
    return sink.getvalue()
