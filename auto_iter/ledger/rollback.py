"""Back to an earlier iteration's constants: what came after it is set aside, and made anew."""

from __future__ import annotations

from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.history import Rollback, record_of
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.handover import refuse_live_dag
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.visits.links import held
from auto_iter.daemon.visits.setting_aside import (
    back_at,
    iterations_after,
    refuse_unfit,
    roll_back,
)
from auto_iter.errors import UsageError
from auto_iter.files import free_name
from auto_iter.log.setup import get_logger, logging_to
from auto_iter.times import to_the_second
from states.next_iteration import begin_next


def rollback(root: Path, to: int, now: float) -> tuple[Snapshot, str]:
    """Take an alignment back to the constants of iteration `to`; return where it is, and what went.

    All or nothing, wherever it is killed. Raises UsageError where there is no such iteration,
    nothing after it, or where jobs may still run.
    """
    with held(root) as (opened, _):
        refuse_live_dag(opened)
        decided, words = _decided(opened, to, now)
        checkpoint.save(opened.workspace.checkpoint, decided)
        done = roll_back(opened.workspace, decided)
        with logging_to(opened.workspace.log, opened.config.log):
            get_logger().warning("rolled back", to_iteration=to, words=words)
    return done, words


def _decided(opened: Opened, to: int, now: float) -> tuple[Snapshot, str]:
    snapshot, workspace = opened.snapshot, opened.workspace
    record_of(snapshot.history, to, f"--to {to}")
    refuse_unfit(opened, to)
    later = [path.name for path in iterations_after(workspace, to)]
    if to == snapshot.history[-1].iteration and not later:
        raise UsageError(f"--to {to}: is the last one; there is nothing to go back from")
    when = to_the_second(now)
    outdated = free_name(workspace.root / "outdated").name
    words = f"rolled back to iteration {to} at {when}; {', '.join(later)} set aside in {outdated}"
    at = back_at(snapshot, to, now)
    kept = tuple(each for each in snapshot.history if each.iteration <= to)
    begun = begin_next(at.but(history=kept), now)
    decided = begun.but(
        state="prepare",
        arguments=snapshot.arguments.with_room_for(to + 1),
        failure=None,
        hindrance=None,
        made_again=words,
        rollback=Rollback(outdated=outdated),
    )
    return decided, words
