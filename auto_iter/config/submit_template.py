"""What the collaboration's template of a submit description asks of HTCondor, as our settings.

`reco.sub.tpl` is a submit description with `{…}` where its scripts put paths and arguments. What a
job needs and where it may run is written in it, and in no configuration.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

from auto_iter.config.batch import Flavour

_LINE = re.compile(r"\s*([+\w.]+)\s*=\s*(.*?)\s*")
_SIZE = re.compile(r"(\d+)\s*([KMGT]?)B?", re.IGNORECASE)
_IN_MB = {"K": 1 / 1024, "M": 1.0, "G": 1024.0, "T": 1024.0**2}


def read_submit_template(path: Path) -> dict[str, dict[str, Any]]:
    """Return settings by section; none where the file cannot be read.

    What is no plain value (a macro, an expression where we have a number) is left out.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return {}
    settings: dict[str, dict[str, Any]] = {}
    for line in lines:
        matched = _LINE.fullmatch(line)
        if matched is None or matched[1].lower() not in _KNOWN or "{" in matched[2]:
            continue
        section, name, meaning = _KNOWN[matched[1].lower()]
        value = meaning(matched[2])
        if value is not None:
            settings.setdefault(section, {})[name] = value
    return settings


def _flavour(text: str) -> str | None:
    name = text.strip('"')
    return name if name in get_args(Flavour) else None


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _megabytes(usual: str) -> Callable[[str], int | None]:
    """Read a size; `usual` is the unit of a plain number (HTCondor's manual, condor_submit)."""

    def read(text: str) -> int | None:
        matched = _SIZE.fullmatch(text)
        return matched and round(int(matched[1]) * _IN_MB[(matched[2] or usual).upper()])

    return read


def _text(text: str) -> str | None:
    return text or None


_KNOWN: dict[str, tuple[str, str, Callable[[str], Any]]] = {
    "+jobflavour": ("htcondor", "job_flavour", _flavour),
    "my.jobflavour": ("htcondor", "job_flavour", _flavour),
    "request_cpus": ("htcondor", "request_cpus", _number),
    "max_retries": ("htcondor", "max_retries", _number),
    "requirements": ("htcondor", "requirements", _text),
    "request_memory": ("reco", "memory_mb", _megabytes("M")),
    "request_disk": ("reco", "disk_mb", _megabytes("K")),
}
