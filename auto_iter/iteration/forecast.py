"""What an alignment would submit next, and what room it takes; nothing is written or submitted.

`--dry-run` of every command that submits tells it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from auto_iter.alignment.model import Stage
from auto_iter.config.schema import Reco
from auto_iter.iteration.reconstruction import WorkspaceReconstruction

OUTPUT_MB: Final = 25.0
"""Fitted tracks of one raw file: 50 files of run 11705 and their Mille binaries took 2.5 GB."""
MILLE_MB: Final = 25.0
"""The Mille binary of one raw file, which is as large as the tracks that it is made of."""


@dataclass(frozen=True)
class Room:
    """What lies in a place at the end (MB), and what is free there now; None: it is not told."""

    place: Path
    needed_mb: float
    free_mb: float | None

    @property
    def in_words(self) -> str:
        """What is needed, and what is there."""
        free = "" if self.free_mb is None else f", {_size(self.free_mb)} free"
        short = self.free_mb is not None and self.free_mb < self.needed_mb
        return f"{_size(self.needed_mb)} in {self.place}{free}" + (": too little" if short else "")


@dataclass(frozen=True)
class Forecast:
    """An iteration's jobs, and the room of all iterations that are left.

    `is_measured`: the room is reckoned from the iteration before, else from run 11705.
    """

    iteration: int
    left: int
    jobs: int
    reco: Reco
    cpus: int
    rooms: tuple[Room, ...]
    is_measured: bool

    def as_text(self) -> str:
        """Return it in a few lines."""
        reco, source = self.reco, "as in the one before" if self.is_measured else "estimated"
        each = (
            f"each job: {self.cpus} CPU, {_size(reco.memory_mb)} of memory, "
            f"{_size(reco.disk_mb)} of scratch disk"
        )
        ahead = f"disk for {_iterations(self.left)}, {source}"
        return "\n".join(
            [
                f"iteration {self.iteration}: {self.jobs} jobs would be submitted",
                each,
                *(f"{ahead}: {room.in_words}" for room in self.rooms),
                "nothing was written or submitted",
            ]
        )


def forecast(mine: WorkspaceReconstruction, stage: Stage, iterations: int) -> Forecast:
    """Return what is ahead of an alignment that is at `stage`, of so many `iterations`."""
    number, wanted = stage.iteration, mine.wanted()
    left = max(iterations - number + 1, 0)
    measured = _measured(mine, number)
    output_mb, mille_mb = measured or (OUTPUT_MB, MILLE_MB)
    outputs, root = mine.outputs(number).directory, mine.workspace.root
    files = len(wanted) * left
    needed = {root: files * mille_mb}
    there = root if outputs.is_relative_to(root) else outputs
    needed[there] = needed.get(there, 0) + files * output_mb
    return Forecast(
        iteration=number,
        left=left,
        jobs=len(wanted - mine.delivered(number)),
        reco=mine.config.reco,
        cpus=mine.cpus,
        rooms=tuple(Room(place, mb, _free_mb(place)) for place, mb in needed.items()),
        is_measured=measured is not None,
    )


def _measured(mine: WorkspaceReconstruction, before: int) -> tuple[float, float] | None:
    """Return the mean size (MB) of a raw file's tracks and of its Mille binary; None before any."""
    if before < 2:
        return None
    paths = mine.workspace.iteration(before - 1, mine.run)
    outputs = [*_sizes(paths.kfalignment.glob("*.root"))]
    binaries = [*_sizes(paths.mille.glob("*.bin"))]
    if not outputs or not binaries:
        return None
    return sum(outputs) / len(outputs), sum(binaries) / len(binaries)


def _sizes(paths: Iterable[Path]) -> Iterable[float]:
    return (path.stat().st_size / 1e6 for path in paths)


def _free_mb(place: Path) -> float | None:
    while not place.exists() and place != place.parent:
        place = place.parent
    try:
        disk = shutil.disk_usage(place)
    except OSError:
        return None
    return disk.free / 1e6 if disk.total else None  # some file systems tell no sizes


def _size(mb: float) -> str:
    return f"{mb / 1000:.1f} GB" if mb >= 1000 else f"{mb:.0f} MB"


def _iterations(number: int) -> str:
    return "1 iteration" if number == 1 else f"{number} iterations"
