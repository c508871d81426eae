"""Constants found by hand take the place of an iteration's own; what came after is outdated.

The decision is one save of the checkpoint: the alignment is back at that iteration, solved with the
new solution. Files are moved after it, by steps that may be repeated, so that whoever goes on with
the workspace completes what a `kill -9` interrupted. Nothing is deleted.
"""

from __future__ import annotations

import secrets
import time
from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.snapshot import ByHand, Snapshot
from auto_iter.daemon.lifecycle import Opened
from auto_iter.errors import InputError, UsageError
from auto_iter.files import sync_directory
from auto_iter.workspace.paths import Workspace
from auto_iter.workspace.records import read_solution
from states.next_iteration import begin


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
    outdated = _iterations_after(opened.workspace, number)
    by_hand = ByHand(
        source=source.name,
        replaced=_free(paths.root / "3millepede.replaced").name,
        outdated=_free(opened.workspace.root / "outdated").name if outdated else None,
        words=_words(found, outdated, now),
    )
    decided = _back_at(snapshot, number, now).but(
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
        place = workspace.root / by_hand.outdated
        place.mkdir(exist_ok=True)
        for later in _iterations_after(workspace, snapshot.iteration):
            _set_aside(later, place)
    source = paths.root / by_hand.source
    if source.is_dir():
        if paths.millepede.is_dir():
            paths.millepede.rename(paths.root / by_hand.replaced)
        source.rename(paths.millepede)
    sync_directory(paths.root)
    sync_directory(workspace.root)


def _set_aside(iteration: Path, place: Path) -> None:
    """Move an iteration to `place`; where its outputs lie elsewhere, they make room there too."""
    link = iteration / "2kfalignment"
    # As it was given: where links lead is on EOS another string, and not on every machine the same.
    target = link.parent / link.readlink() if link.is_symlink() else link
    if link.is_symlink() and not target.name.endswith(place.name):
        aside = target.with_name(f"{target.name}.{place.name}")
        if target.is_dir() and not aside.exists():
            target.rename(aside)
        if aside.is_dir():
            link.unlink()
            link.symlink_to(aside)
    iteration.rename(place / iteration.name)


def refuse_unfit(opened: Opened, number: int) -> None:
    """Raise UsageError where constants of iteration `number` could not be replaced just now."""
    snapshot, root = opened.snapshot, opened.workspace.root
    if not 1 <= number <= snapshot.iteration:
        raise UsageError(f"{root}: is at iteration {snapshot.iteration}, not yet at {number}")
    if snapshot.live_attempts or snapshot.intent is not None:
        raise UsageError(
            f"{root}: jobs of iteration {snapshot.iteration} may still run; wait for their end, or "
            f"`auto-iter stop --jobs {root}`"
        )


def _back_at(snapshot: Snapshot, number: int, now: float) -> Snapshot:
    """Return the snapshot at iteration `number`, without what is known of it and of later ones."""
    if number == snapshot.iteration and all(each.iteration != number for each in snapshot.history):
        return snapshot
    began = {each.iteration: each.started_at for each in snapshot.history}
    history = tuple(each for each in snapshot.history if each.iteration < number)
    stage = snapshot.stage_of(number)
    return begin(snapshot, number, began.get(number, now)).but(
        history=history, phase=stage.phase, phase_began=number - stage.within + 1
    )


def _iterations_after(workspace: Workspace, number: int) -> list[Path]:
    found = workspace.root.glob("iter[0-9]*")
    return sorted(
        path for path in found if (digits := path.name[4:]).isdigit() and int(digits) > number
    )


def _free(path: Path) -> Path:
    """Return `path` with the first number behind it that nothing has yet."""
    number = 1
    while (free := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return free


def _words(found: Path, outdated: list[Path], now: float) -> str:
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
    name = f"{found.parent.name}/{found.name}"
    if not outdated:
        return f"accepted by hand at {when}, from {name}"
    later = ", ".join(path.name for path in outdated)
    return f"accepted by hand at {when}, from {name}; {later} outdated and set aside"
