"""The workspace's log under its earlier name, which was that of nohup's log in the README."""

from __future__ import annotations

import os
from pathlib import Path

OUTPUT = (1, 2)
"""Descriptors of standard output and error."""


def take_over(old: Path, new: Path) -> None:
    """Give the log at `old`, and what was rotated away from it, the name of `new`.

    Not where `new` is there already, nor where `old` is what a shell sends our output to. The log
    itself comes last: whoever is interrupted here goes on the next time. Raises OSError.
    """
    if new.exists() or not _is_json(old) or _is_our_output(old):
        return
    for path in old.parent.glob(f"{old.name}.*"):
        if path.suffix[1:].isdigit():
            path.rename(new.with_name(new.name + path.suffix))
    old.rename(new)


def _is_json(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(1) == b"{"
    except OSError:
        return False


def _is_our_output(path: Path) -> bool:
    here = path.stat()
    for descriptor in OUTPUT:
        try:
            there = os.fstat(descriptor)
        except OSError:  # closed
            continue
        if os.path.samestat(here, there):
            return True
    return False
