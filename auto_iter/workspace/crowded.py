"""AFS holds so many entries in a directory and no more: known before jobs are held for it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from auto_iter.errors import InputError

AFS = Path("/afs")

MOST_ENTRIES = 16_000
"""AFS takes 16 to 25 thousand, by the length of names; the first to be refused is a job's log."""

ENTRIES_A_FILE = 3
"""The most crowded directory of an iteration is `logs`: .out, .err and .log of each raw file."""

MOST_FILES = MOST_ENTRIES // ENTRIES_A_FILE


def has_few_entries(directory: Path) -> bool:
    """Tell whether a directory lies on AFS, by its path: links into it are kept as given."""
    return directory.absolute().is_relative_to(AFS)


def refuse_crowded(workspace: Path, files: int) -> None:
    """Raise InputError where an alignment of so many raw files would not fit into directories."""
    if files > MOST_FILES and has_few_entries(workspace):
        raise InputError(
            f"{workspace}: {files} raw files make {ENTRIES_A_FILE * files} logs an iteration, and "
            f"a directory on AFS takes {MOST_ENTRIES} entries",
            f"align at most {MOST_FILES} raw files there, or set paths.work_dir to another disk",
        )


SLOTS = 64_000
"""What a directory on AFS has room for, in pieces of 32 bytes: OpenAFS, `afs/dir.c`."""

NEARLY_FULL = 0.8
"""From so much of that on people are told: it is looked at once an iteration."""


def slots_of(name: str) -> int:
    """Return how many slots a name takes: one up to 15 bytes, one more for every 32 further."""
    return 1 + (len(os.fsencode(name)) + 16) // 32


def nearly_full(expected: Mapping[Path, Iterable[str]]) -> str:
    """Return in words which directories on AFS are, or will be, nearly full; "" where none is.

    `expected`: by directory, the names that are still to come, beside those that are there.
    """
    found = []
    for directory, names in expected.items():
        if not has_few_entries(directory):
            continue
        names_then = set(names)
        with suppress(OSError):  # not made yet, or not to be seen just now: others say so
            names_then |= {path.name for path in directory.iterdir()}
        used = sum(map(slots_of, names_then))
        if used >= NEARLY_FULL * SLOTS:
            found.append(f"{directory}: {_words(len(names_then), used)}")
    return "; ".join(found)


def _words(entries: int, used: int) -> str:
    return (
        f"{entries} entries there or to come soon take {used} of the {SLOTS} places that a "
        "directory on AFS has, and what comes then is refused: remove what is not needed, or take "
        "fewer raw files"
    )
