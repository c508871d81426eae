"""Room on the disk: the bulky intermediate files of iterations that nothing goes on from.

What stays of an iteration is what resuming, reports, guards and provenance read: constants,
steering, `millepede.res`, solution, conversion statistics, submit description and logs. That an
iteration is cleaned is written down in it before anything is removed: whoever looks in there later
is told, also after a crash; removing may be repeated.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from auto_iter.alignment.snapshot import Snapshot
from auto_iter.files import sync_directory, write_atomically
from auto_iter.times import to_the_second
from auto_iter.workspace.paths import Iteration, Workspace


@dataclass(frozen=True)
class Bulk:
    """What of one iteration is bulky: files, and directories as a whole."""

    paths: Iteration
    number: int
    files: tuple[Path, ...]
    directories: tuple[Path, ...]
    size: int

    def remove(self, now: float) -> None:
        """Remove it, having written down first that this is so. Raises OSError; may be repeated."""
        when = to_the_second(now)
        told = {"cleaned": when, "at": now, "files": len(self.files), "bytes": self.size}
        write_atomically(self.paths.cleaned, json.dumps(told) + "\n")
        for directory in self.directories:
            shutil.rmtree(directory, ignore_errors=True)
        for file in self.files:
            file.unlink(missing_ok=True)
        for parent in sorted({each.parent for each in (*self.files, *self.directories)}):
            if parent.is_dir():
                sync_directory(parent)


def bulk_of(workspace: Workspace, snapshot: Snapshot, keep: int) -> list[Bulk]:
    """Return what is bulky in all finished iterations but the last `keep`, of which one is needed.

    The current iteration, and the one before, to which its tracks are compared, are never touched.
    """
    finished = [each.iteration for each in snapshot.history]
    old = [number for number in finished[: -max(1, keep)] if number < snapshot.iteration]
    found = (_bulk(workspace.iteration(n, snapshot.arguments.run), n) for n in sorted(set(old)))
    return [each for each in found if each.files or each.directories]


def _bulk(paths: Iteration, number: int) -> Bulk:
    files, directories = tuple(_files(paths)), tuple(_job_directories(paths))
    inside = [path for each in directories for path in each.rglob("*") if path.is_file()]
    size = sum(path.lstat().st_size for path in (*files, *inside) if path.exists())
    return Bulk(paths, number, files, directories, size)


def _files(paths: Iteration) -> Iterator[Path]:
    yield from sorted(paths.kfalignment.glob("*.root*"))
    for place in sorted(paths.root.glob("3millepede*")):
        yield from sorted(place.rglob("*.bin"))


def _job_directories(paths: Iteration) -> Iterator[Path]:
    run = "*" if paths.run is None else f"{paths.run:06d}"
    found = paths.reco.glob(f"{run}/[0-9]*")
    yield from sorted(path for path in found if path.is_dir() and not path.is_symlink())
