"""What an alignment would submit next, and what room it takes; nothing is written or submitted.

`--dry-run` of every command that submits tells it.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from auto_iter.alignment.model import Stage
from auto_iter.iteration.reconstruction import WorkspaceReconstruction

OUTPUT_MB: Final = 25.0
"""Fitted tracks of one raw file: 50 files of run 11705 and their Mille binaries took 2.5 GB."""
MILLE_MB: Final = 25.0
"""The Mille binary of one raw file, which is as large as the tracks that it is made of."""


def forecast(mine: WorkspaceReconstruction, stage: Stage, iterations: int) -> str:
    """Say what is ahead of an alignment that is at `stage`, of so many `iterations`.

    Its jobs, and the room that all iterations that are left take: reckoned from the one before, or
    from run 11705 where there is none.
    """
    number, wanted, reco = stage.iteration, mine.wanted(), mine.config.reco
    left = max(iterations - number + 1, 0)
    measured = _measured(mine, number)
    output_mb, mille_mb = measured or (OUTPUT_MB, MILLE_MB)
    outputs, root = mine.outputs(number).directory, mine.workspace.root
    files = len(wanted) * left
    needed = {root: files * mille_mb}
    there = root if outputs.is_relative_to(root) else outputs
    needed[there] = needed.get(there, 0) + files * output_mb
    ahead = f"disk for {'1 iteration' if left == 1 else f'{left} iterations'}, "
    ahead += "as in the one before" if measured else "estimated"
    each = f"each job: {mine.cpus} CPU, {_size(reco.memory_mb)} of memory, "
    each += f"{_size(reco.disk_mb)} of scratch disk"
    lines = [
        f"iteration {number}: {len(wanted - mine.delivered(number))} jobs would be submitted",
        each,
        *(f"{ahead}: {room(place, mb, _free_mb(place))}" for place, mb in needed.items()),
        "nothing was written or submitted",
    ]
    return "\n".join(lines)


def room(place: Path, needed_mb: float, free_mb: float | None) -> str:
    """Say what lies in a place at the end, and what is free there now; None: it is not told."""
    free = "" if free_mb is None else f", {_size(free_mb)} free"
    short = ": too little" if free_mb is not None and free_mb < needed_mb else ""
    return f"{_size(needed_mb)} in {place}{free}{short}"


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
