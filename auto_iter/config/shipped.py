"""YAML files that come with auto-iter and are named in settings: strategies, presets."""

from __future__ import annotations

import difflib
from importlib.resources import files


def is_file(name: str) -> bool:
    """Tell whether a setting names a file rather than one of ours."""
    return "/" in name or name.endswith((".yaml", ".yml"))


def shipped_names(folder: str) -> list[str]:
    """Return the names of ours in a folder of `conf`."""
    names = (entry.name for entry in files("conf").joinpath(folder).iterdir())
    return sorted(name.removesuffix(".yaml") for name in names if name.endswith(".yaml"))


def shipped_text(folder: str, name: str, kind: str) -> str:
    """Return the text of one of ours. Raises LookupError that says what may have been meant."""
    known = shipped_names(folder)
    if name not in known:
        close = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise LookupError(f"no {kind} {name!r}; {hint}there are {', '.join(known)}, or give a file")
    return files("conf").joinpath(folder, f"{name}.yaml").read_text(encoding="utf-8")
