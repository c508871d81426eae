"""Iterations that count no more: set aside in the workspace, and made anew from an earlier one on.

Deciding is one save of the checkpoint. Files are moved after it, by steps that may be repeated, so
that whoever goes on with the workspace completes what a `kill -9` interrupted. Nothing is deleted.
"""

from __future__ import annotations

from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.lifecycle import Opened
from auto_iter.errors import UsageError
from auto_iter.files import TEMPORARY, sync_directory
from auto_iter.workspace.paths import Workspace
from states.next_iteration import begin


def refuse_unfit(opened: Opened, number: int) -> None:
    """Raise UsageError where nothing could be set aside after iteration `number` just now."""
    snapshot, root = opened.snapshot, opened.workspace.root
    if not 1 <= number <= snapshot.iteration:
        raise UsageError(f"{root}: is at iteration {snapshot.iteration}, not yet at {number}")
    if snapshot.live_attempts or snapshot.intent is not None:
        raise UsageError(
            f"{root}: jobs of iteration {snapshot.iteration} may still run; wait for their end, or "
            f"`auto-iter stop --jobs {root}`"
        )


def back_at(snapshot: Snapshot, number: int, now: float) -> Snapshot:
    """Return the snapshot at iteration `number`, without what is known of it and of later ones.

    Iterations that are made anew have attempts of their own: what was submitted for the old ones
    is not theirs.
    """
    if number == snapshot.iteration and all(each.iteration != number for each in snapshot.history):
        return snapshot
    began = {each.iteration: each.started_at for each in snapshot.history}
    history = tuple(each for each in snapshot.history if each.iteration < number)
    made = [each.attempts for each in snapshot.history if each.iteration >= number]
    stage = snapshot.stage_of(number)
    return begin(snapshot, number, began.get(number, now)).but(
        history=history,
        phase=stage.phase,
        phase_began=number - stage.within + 1,
        attempts_before=snapshot.attempts_before + max([len(snapshot.attempts), *made]),
    )


def iterations_after(workspace: Workspace, number: int) -> list[Path]:
    """Return the directories of later iterations, in order."""
    found = workspace.root.glob("iter[0-9]*")
    return sorted(
        path for path in found if (digits := path.name[4:]).isdigit() and int(digits) > number
    )


def set_aside_after(workspace: Workspace, number: int, outdated: str) -> None:
    """Move the iterations after `number` to the directory `outdated`; may be repeated."""
    place = workspace.root / outdated
    place.mkdir(exist_ok=True)
    for later in iterations_after(workspace, number):
        _set_aside(later, place)
    sync_directory(place)
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
            sync_directory(aside.parent)
        if aside.is_dir():
            _lead_to(link, aside)
    iteration.rename(place / iteration.name)


def _lead_to(link: Path, target: Path) -> None:
    """Have a symbolic link lead to `target`; at no instant it is not there."""
    new = link.with_name(f".{link.name}{TEMPORARY}")
    new.unlink(missing_ok=True)
    new.symlink_to(target)
    new.replace(link)
    sync_directory(link.parent)


def roll_back(workspace: Workspace, snapshot: Snapshot) -> Snapshot:
    """Complete a way back that was decided; return the snapshot that knows it is done.

    The caller holds the lock, and begins nothing before: what is after the iteration is outdated
    only until then.
    """
    if snapshot.rollback is None:
        return snapshot
    set_aside_after(workspace, snapshot.iteration - 1, snapshot.rollback.outdated)
    done = snapshot.but(rollback=None)
    checkpoint.save(workspace.checkpoint, done)
    return done
