"""How pages are made of the templates beside this."""

from __future__ import annotations

from typing import Any

import jinja2
from markupsafe import Markup

from auto_iter.report.units import SCALE
from auto_iter.times import duration, to_the_minute


def environment() -> jinja2.Environment:
    """Return what fills the templates in: strict, escaping, with filters for times and numbers."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("auto_iter.report.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters |= {
        "when": to_the_minute,
        "lasted": duration,
        "number": _number,
        "thousandths": lambda value: "" if value is None else _number(SCALE * value, ".3f"),
    }

    def included(name: str) -> Markup:
        loader: Any = made.loader
        return Markup(loader.get_source(made, name)[0])  # noqa: S704 - our own files

    made.globals["included"] = included
    return made


def _number(value: float | None, how: str) -> str:
    """Return a number with a real minus; a dash where there is none."""
    return "–" if value is None else f"{value:{how}}".replace("-", "−")
