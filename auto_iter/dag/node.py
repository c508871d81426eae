"""A Millepede node: the state machine, from the end of a reconstruction to the next one's jobs."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.snapshot import Failure, Snapshot
from auto_iter.batch.htcondor.dagman.text import FAILED, OVER
from auto_iter.daemon.handover import with_needs, with_nodes_ended
from auto_iter.daemon.lifecycle import Opened, open_workspace, reconstruction, revive
from auto_iter.daemon.lock import PATIENCE_S, STALE_AFTER_S, WorkspaceLock, locked
from auto_iter.daemon.session import SessionOptions, run_session
from auto_iter.dag.files import prepare_nodes, remove_rescue_files
from auto_iter.errors import (
    TRANSIENT_EXIT_CODE,
    FencedError,
    LockedError,
    TransientError,
    UsageError,
)
from auto_iter.rawfiles import spoken
from states.machine import StateMachine

NEXT_NEEDS_JOBS = frozenset({"submit_reco"})
LOOK_AGAIN_S = 5.0


def take_turn(root: Path, iteration: int) -> int:
    """Take the turn, and tell DAGMan of errors around it: what passes from what does not."""
    try:
        return run_node(root, iteration)
    except (LockedError, TransientError, FencedError, OSError) as error:
        print(error, file=sys.stderr)
        return TRANSIENT_EXIT_CODE
    except UsageError as error:  # after LockedError, which is one
        print(error, file=sys.stderr)
        return FAILED


def run_node(root: Path, iteration: int) -> int:
    """Take the turn of Millepede node `iteration`; return the exit code for DAGMan.

    0: the next iteration needs its jobs; `OVER`: there is none; `FAILED`: as the daemon fails;
    `TRANSIENT_EXIT_CODE`: interrupted. May be repeated: what is done is done once.
    """
    opened = _begun(root, iteration)
    if not _is_ahead(opened.snapshot, iteration):
        run_session(opened, SessionOptions(until=NEXT_NEEDS_JOBS, under_dagman=True))
    return _ended(open_workspace(root), iteration)


def _is_ahead(snapshot: Snapshot, iteration: int) -> bool:
    """Tell whether a node's turn is over: it was killed just before it could say so."""
    if snapshot.state == "done":
        return True
    return snapshot.iteration > iteration and snapshot.state in NEXT_NEEDS_JOBS


def _begun(root: Path, iteration: int) -> Opened:
    """Return the workspace with the iteration's nodes accounted for, written down.

    Raises UsageError where the workspace is not at this iteration, or is no DAG's any more.
    """
    with _patiently_locked(root) as lock:
        opened = open_workspace(root)
        snapshot = opened.snapshot
        if snapshot.dag is None:
            raise UsageError(f"{root}: a daemon has taken this alignment over from its DAG")
        if snapshot.iteration < iteration:
            raise UsageError(
                f"{root}: iteration {snapshot.iteration} comes first; `auto-iter dag rescue {root}`"
            )
        if _is_ahead(snapshot, iteration):
            return opened
        begun = revive(snapshot, time.time())
        if snapshot.iteration == iteration:
            mine = reconstruction(opened)
            paths = opened.workspace.iteration(iteration, snapshot.arguments.run)
            begun = with_nodes_ended(begun, len(mine.wanted()))
            begun = with_needs(begun, paths.reco)
        if begun != snapshot:
            checkpoint.save(opened.workspace.checkpoint, begun, lock.check)
        return replace(opened, snapshot=begun)


@contextmanager
def _patiently_locked(root: Path) -> Iterator[WorkspaceLock]:
    """Hold the lock; wait for a node that was killed on another machine to count as dead."""
    path = open_workspace(root).workspace.lock
    deadline = time.monotonic() + STALE_AFTER_S + LOOK_AGAIN_S
    while True:
        try:
            lock = WorkspaceLock(path, briefly=True)
            lock.acquire()
            break
        except LockedError as error:
            if time.monotonic() > deadline:
                raise
            print(f"waiting: {error}", flush=True)
            time.sleep(LOOK_AGAIN_S)
    try:
        yield lock
    finally:
        lock.release()


def _ended(opened: Opened, iteration: int) -> int:
    snapshot = opened.snapshot
    if snapshot.state == "done":
        # They would only bring back what is past.
        remove_rescue_files(opened.workspace.root)
        return OVER
    if snapshot.state == "failed":
        return FAILED
    if snapshot.state not in NEXT_NEEDS_JOBS:
        return TRANSIENT_EXIT_CODE
    if snapshot.iteration > iteration:
        prepare_nodes(opened)
        return 0
    _note_bad_outputs(opened)
    return FAILED


def _note_bad_outputs(opened: Opened) -> None:
    """Fail where outputs turned out to be bad: a node that DAGMan takes for done runs only anew."""
    snapshot, root = opened.snapshot, opened.workspace.root
    bad = ", ".join(spoken(number) for number in sorted(snapshot.troubles)) or "some"
    failure = Failure(
        state=snapshot.state,
        reason=f"iteration {snapshot.iteration}: outputs were bad and are set aside: {bad}",
        remedy=f"`auto-iter dag rescue {root}` reconstructs them again",
        at=time.time(),
    )
    state = StateMachine(snapshot.state).fire("fail")
    failed = snapshot.but(state=state, failure=failure)
    with locked(opened.workspace.lock, briefly=True, patience_s=PATIENCE_S) as lock:
        checkpoint.save(opened.workspace.checkpoint, failed, lock.check)
    print(f"failed: {failure.reason}\nwhat to do: {failure.remedy}")
