"""How pages are made of the templates beside this."""

from __future__ import annotations

import time
from typing import Any

import jinja2
from markupsafe import Markup


def environment() -> jinja2.Environment:
    """Return what fills the templates in: strict, escaping, with filters for times."""
    made = jinja2.Environment(
        loader=jinja2.PackageLoader("auto_iter.report.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    made.filters["when"] = _when
    made.filters["lasted"] = _lasted

    def included(name: str) -> Markup:
        loader: Any = made.loader
        return Markup(loader.get_source(made, name)[0])  # noqa: S704 - our own files

    made.globals["included"] = included
    return made


def _when(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _lasted(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
