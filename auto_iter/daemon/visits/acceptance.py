"""Constants found by hand take the place of an iteration's own; what came after is outdated.

The decision is one save of the checkpoint: the alignment is back at that iteration, solved with the
new solution. Files are moved after it, by steps that may be repeated, so that whoever goes on with
the workspace completes what a `kill -9` interrupted. Nothing is deleted.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.history import ByHand
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.visits.setting_aside import (
    back_at,
    iterations_after,
    refuse_unfit,
    roll_back,
    set_aside_after,
)
from auto_iter.errors import InputError
from auto_iter.files import free_name, sync_directory
from auto_iter.times import to_the_second
from auto_iter.workspace.paths import Workspace
from auto_iter.workspace.records import read_solution


def decide(opened: Opened, number: int, found: Path, now: float) -> Opened:
    """Write down that `found` (a directory with a solution) is what iteration `number` found.

    The caller holds the lock, and completes it. Raises UsageError when jobs may still run or the
    alignment has not come so far, InputError when there is no solution.
    """
    snapshot = opened.snapshot
    refuse_unfit(opened, number)
    solution = read_solution(found / "solution.json")
    if solution is None or not (found / "inputforalign.txt").is_file():
        raise InputError(
            f"{found}: no solution in there, or damaged", "first `auto-iter millepede -i …`"
        )
    paths = opened.workspace.iteration(number, snapshot.arguments.run)
    # A name that no what-if ever has: moving it a second time would move another one.
    source = paths.root / f"3millepede.accepting-{secrets.token_hex(4)}"
    found.rename(source)
    outdated = iterations_after(opened.workspace, number)
    by_hand = ByHand(
        source=source.name,
        replaced=free_name(paths.root / "3millepede.replaced").name,
        outdated=free_name(opened.workspace.root / "outdated").name if outdated else None,
        words=_words(found, outdated, now),
    )
    decided = back_at(snapshot, number, now).but(
        state="next_iteration", solution=solution, failure=None, by_hand=by_hand
    )
    try:
        checkpoint.save(opened.workspace.checkpoint, decided)
    except OSError:
        source.rename(found)
        raise
    return Opened(opened.workspace, decided, opened.config, opened.remark)


def complete(workspace: Workspace, snapshot: Snapshot) -> None:
    """Move the files of an acceptance that was decided; may be repeated, and mostly does nothing.

    The caller holds the lock.
    """
    by_hand = snapshot.by_hand
    if by_hand is None:
        return
    paths = workspace.iteration(snapshot.iteration, snapshot.arguments.run)
    if by_hand.outdated is not None:
        set_aside_after(workspace, snapshot.iteration, by_hand.outdated)
    source = paths.root / by_hand.source
    if source.is_dir():
        if paths.millepede.is_dir():
            paths.millepede.rename(paths.root / by_hand.replaced)
        source.rename(paths.millepede)
    sync_directory(paths.root)
    sync_directory(workspace.root)


def completed(opened: Opened) -> Opened:
    """Return the workspace with all completed that was decided, and cut short by a `kill -9`.

    The caller holds the lock, and decides nothing else before: that would count for directories
    that are about to be set aside.
    """
    complete(opened.workspace, opened.snapshot)
    return replace(opened, snapshot=roll_back(opened.workspace, opened.snapshot))


def _words(found: Path, outdated: list[Path], now: float) -> str:
    when = to_the_second(now)
    name = f"{found.parent.name}/{found.name}"
    if not outdated:
        return f"accepted by hand at {when}, from {name}"
    later = ", ".join(path.name for path in outdated)
    return f"accepted by hand at {when}, from {name}; {later} outdated and set aside"
