"""AFS holds so many entries in a directory and no more: known before jobs are held for it."""

from __future__ import annotations

from pathlib import Path

from auto_iter.errors import InputError

MOST_ENTRIES = 16_000
"""AFS takes 16 to 25 thousand, by the length of names; the first to be refused is a job's log."""

ENTRIES_A_FILE = 3
"""The most crowded directory of an iteration is `logs`: .out, .err and .log of each raw file."""

MOST_FILES = MOST_ENTRIES // ENTRIES_A_FILE


def has_few_entries(directory: Path) -> bool:
    """Tell whether a directory lies on AFS, by its path: links into it are kept as given."""
    return directory.absolute().is_relative_to("/afs")


def refuse_crowded(workspace: Path, files: int) -> None:
    """Raise InputError where an alignment of so many raw files would not fit into directories."""
    if files > MOST_FILES and has_few_entries(workspace):
        raise InputError(
            f"{workspace}: {files} raw files make {ENTRIES_A_FILE * files} logs an iteration, and "
            f"a directory on AFS takes {MOST_ENTRIES} entries",
            f"align at most {MOST_FILES} raw files there, or set paths.work_dir to another disk",
        )
