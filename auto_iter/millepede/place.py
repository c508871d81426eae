"""Where an iteration is whose chain is run by hand, and where the outcome goes.

In a workspace a what-if gets a directory of its own, `iterNN/3millepede.by-hand/<name>`. An
iteration that belongs to no workspace has only what a person makes of it: `3millepede` itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from auto_iter.errors import InputError, UsageError
from auto_iter.files import free_name

ROOT_FILES = "*kfalignment*.root"
WHAT_IFS = "3millepede.by-hand"
_PLACES = ("2kfalignment", "2root_file")
"""Where the reconstruction's files are, beside 1reco; the second is the older name."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class IterationPlace:
    """One iteration: `files` holds its ROOT files, `root` is the directory beside which 1reco is.

    `workspace` is the alignment that it lies in, if any.
    """

    root: Path
    files: Path
    workspace: Path | None

    @property
    def number(self) -> int:
        """The iteration's number by its name; 1 where the name does not tell."""
        match = re.fullmatch(r"iter(\d+)", self.root.name)
        return max(int(match[1]), 1) if match else 1

    @property
    def is_an_iteration(self) -> bool:
        """It is one of its workspace's iterations, not something set aside."""
        is_named = re.fullmatch(r"iter\d+", self.root.name) is not None
        return is_named and self.root.parent == self.workspace

    def output(self, name: str | None, default_name: str) -> Path:
        """Return where a solution goes: what is there already is never overwritten.

        Raises UsageError for a name that is taken, or none.
        """
        if name is None and self.workspace is None:
            return self.root / "3millepede"
        what_ifs = self.root / WHAT_IFS
        if name is None:
            first = what_ifs / default_name
            return free_name(first, 2) if first.exists() else first
        if not _NAME.fullmatch(name):
            raise UsageError(f"--name {name}: letters, digits and . _ + - only")
        if (what_ifs / name).exists():
            raise UsageError(f"--name {name}: {what_ifs / name} is there already; take another")
        return what_ifs / name


def find_place(directory: Path) -> IterationPlace:
    """Return the iteration meant: `directory`, or the one whose 1reco or ROOT files it is.

    Raises InputError where there is none.
    """
    files = _root_files(directory)
    root = files.parent
    above = (root.parent, root.parent.parent)
    return IterationPlace(root, files, next(filter(is_workspace, above), None))


def is_workspace(directory: Path) -> bool:
    """Tell whether an alignment lives there."""
    return any((directory / name).is_file() for name in ("state.yaml", "state.yaml.bak"))


def _root_files(directory: Path) -> Path:
    absolute = directory.absolute()
    if any(absolute.glob(ROOT_FILES)):
        return absolute
    for place in (absolute, absolute.parent):
        for name in _PLACES:
            if (place / name).is_dir():
                return place / name
    raise InputError(
        f"{directory}: no 2kfalignment in or beside it; give an iteration (iterNN) or its 1reco"
    )
