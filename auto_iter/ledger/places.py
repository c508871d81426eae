"""What a person means by the constants of a file, an iteration or a whole alignment."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auto_iter.daemon.lifecycle import open_workspace
from auto_iter.errors import InputError, UsageError
from auto_iter.files import made_whole
from auto_iter.millepede.place import is_workspace

NO_RESULT = "it got worse from its beginning, so the constants that it began with count"
_ITERATION = re.compile(r"iter(\d+)")


def directory_of(path: Path) -> Path | None:
    """Return the iteration meant by an iteration or a workspace; None for a file.

    Of a workspace the one with the result. Raises InputError where there is none, or none yet.
    """
    if not path.is_dir():
        return None
    if is_workspace(path):
        opened = open_workspace(path)
        if not opened.snapshot.history:
            raise InputError(f"{path}: no iteration of it has its constants yet")
        result = opened.snapshot.result
        if result is None:
            raise InputError(f"{path}: {NO_RESULT}", f"name an iteration, {path}/iterNN")
        return opened.workspace.iteration(result.iteration, opened.snapshot.arguments.run).root
    if _ITERATION.fullmatch(path.absolute().name):
        return path.absolute()
    raise InputError(f"{path}: neither a workspace nor an iteration (WORKSPACE/iterNN)")


def constants_at(path: Path) -> Path:
    """Return the file of the constants meant. Raises InputError."""
    iteration = directory_of(path)
    return path if iteration is None else iteration / "3millepede" / "inputforalign.txt"


def workspace_and_iteration(path: Path) -> tuple[Path, int]:
    """Return workspace and number of an iteration that has its constants. Raises UsageError."""
    iteration = directory_of(path)
    if iteration is None or not is_workspace(iteration.parent):
        raise UsageError(f"{path}: give an iteration of an alignment: WORKSPACE/iterNN")
    return iteration.parent, int(iteration.name.removeprefix("iter"))


@contextmanager
def whole_directory(place: Path) -> Iterator[Path]:
    """Give a directory to fill that becomes `place` in the end; see `files.made_whole`.

    Raises UsageError where something is there already.
    """
    if place.exists():
        raise UsageError(f"{place}: is there already; move it away, or say where else with -o")
    with made_whole(place) as made:
        yield made
