"""The chain by hand, a link at a time and without a daemon: reco, come back, millepede, reco.

Each link is a short session of the daemon's own states, so that a workspace is the same whoever
went on with it, and the next may be a person or a daemon again.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.batch.registry import resolve_config
from auto_iter.config.schema import Config
from auto_iter.daemon import lifecycle as app
from auto_iter.daemon.compose import composed
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.lock import PATIENCE_S, WorkspaceLock, live_holder, locked
from auto_iter.daemon.session import SessionOptions, run_session, start
from auto_iter.daemon.visits import acceptance, setting_aside
from auto_iter.daemon.visits.look import look
from auto_iter.errors import InputError, UsageError
from auto_iter.millepede.place import is_workspace
from auto_iter.rawfiles import spoken
from auto_iter.workspace.hashes import differs
from states.machine import StateMachine
from states.next_iteration import begin_next
from states.table import RECONSTRUCTED


@contextmanager
def held(root: Path) -> Iterator[tuple[Opened, WorkspaceLock]]:
    """Hold the workspace, and give what it holds just now, nothing of it half done."""
    path = app.open_workspace(root).workspace.lock
    with locked(path, briefly=True, patience_s=PATIENCE_S) as lock:
        yield acceptance.completed(app.open_workspace(root)), lock


def reco(
    arguments: Arguments, config: Config, number: int, *, wait: bool, allow_missing: bool
) -> tuple[Opened, int]:
    """Reconstruct iteration `number`: submit what is missing, and look, or `wait` for the end.

    Returns the workspace as it is then, and the exit code.
    """
    config = resolve_config(config, os.environ)
    workspace = app.locate(arguments, config)
    if is_workspace(workspace.root):
        opened = _at_iteration(workspace.root, arguments, config, number)
    elif number == 1:
        opened = start(arguments, config, allow_missing=allow_missing)
    else:
        raise UsageError(f"{workspace.root}: not there yet; begin with -i 1")
    if opened.snapshot.paused is not None:
        raise UsageError(f"{workspace.root}: paused; go on with `auto-iter resume` first")
    waiting = frozenset[str]() if wait else frozenset({"wait_reco"})
    code = run_session(opened, SessionOptions(until=RECONSTRUCTED, unless_waiting=waiting))
    return app.open_workspace(workspace.root), code


def _at_iteration(root: Path, arguments: Arguments, config: Config, number: int) -> Opened:
    """Return the workspace at iteration `number`, the current one or the one after it."""
    with held(root) as (opened, _):
        # How many iterations there will be is no concern of a single one.
        kept = opened.snapshot.arguments.iterations
        asked = arguments.model_copy(update={"iterations": kept})
        app.refuse_differences(opened, asked, config)
    snapshot = opened.snapshot
    if number == snapshot.iteration + 1 and snapshot.state != "done":
        opened = _finished(opened, number)
        snapshot = opened.snapshot
    if number == snapshot.iteration:
        if snapshot.state == "done":
            raise UsageError(f"iteration {number}: has its constants; the next one is {number + 1}")
        return opened
    if number != snapshot.iteration + 1:
        raise UsageError(f"iteration {number}: this workspace is at {snapshot.iteration}")
    with held(root) as (opened, _):
        return _extended(opened, number)


def _extended(opened: Opened, number: int) -> Opened:
    """Return a finished alignment at the start of one iteration more, written down."""
    snapshot = opened.snapshot
    begun = begin_next(snapshot, time.time()).but(
        state=StateMachine(snapshot.state).fire("extend"),
        arguments=snapshot.arguments.with_room_for(number),
    )
    checkpoint.save(opened.workspace.checkpoint, begun)
    return Opened(opened.workspace, begun, opened.config, opened.remark)


def _finished(opened: Opened, number: int) -> Opened:
    """Return the workspace when the iteration before `number` has its constants, all taken note of.

    Raises UsageError, with what to do first, where it has none.
    """
    root, before = opened.workspace.root, number - 1
    why = why_not_own(root, before)
    if why is not None:
        raise UsageError(
            f"iteration {number}: iteration {before} has no constants yet: {why}; `auto-iter reco "
            f"… -i {before}` looks again, and resubmits what failed"
        )
    paths = opened.workspace.iteration(before, opened.snapshot.arguments.run)
    if not (paths.solution.is_file() and paths.new_constants.is_file()):
        raise UsageError(
            f"iteration {number}: iteration {before} has no constants yet; first "
            f"`auto-iter millepede -i {paths.root}`"
        )
    solve_own(root, before)
    return app.open_workspace(root)


def why_not_own(root: Path, number: int) -> str | None:
    """Return why iteration `number` cannot have its own solution made just now; None when it can.

    Outputs that wait with the batch system are fetched for it.
    """
    holder = live_holder(app.open_workspace(root).workspace.lock)
    if holder is not None:
        return f"auto-iter is already working on it (pid {holder.pid} on {holder.host})"
    with held(root) as (opened, _):
        snapshot = opened.snapshot
        if number != snapshot.iteration or snapshot.state == "done":
            known = any(each.iteration == number for each in snapshot.history)
            return "it has its constants" if known else f"the alignment is at {snapshot.iteration}"
        if snapshot.state in RECONSTRUCTED:
            return None
        if snapshot.intent is not None:
            return "a submission was interrupted; `auto-iter reco` completes it"
        seen = look(opened, fetch=True)
    if seen.is_whole:
        return None
    return seen.words if seen.trouble is None else f"{seen.words}; {seen.trouble}"


def solve_own(root: Path, number: int) -> int:
    """Convert and solve iteration `number` as the daemon would; return the exit code.

    Nothing is submitted. Raises InputError when an output turns out to be bad.
    """
    with held(root) as (opened, _):
        snapshot = opened.snapshot
        if snapshot.state not in RECONSTRUCTED | {"wait_reco"}:
            # All outputs are there: nothing is left of reconstruction but to see that.
            snapshot = snapshot.but(state="wait_reco", failure=None)
            checkpoint.save(opened.workspace.checkpoint, snapshot)
    code = run_session(opened, SessionOptions(until=frozenset({"prepare", "submit_reco"})))
    after = app.open_workspace(root).snapshot
    if after.state == "submit_reco":
        bad = ", ".join(spoken(file) for file in sorted(after.troubles)) or "some"
        raise InputError(
            f"iteration {number}: outputs were bad and are set aside: {bad}",
            f"`auto-iter reco … -i {number}` reconstructs them again",
        )
    return _solved(root, number, code)


def _solved(root: Path, number: int, code: int) -> int:
    """Return 0 when iteration `number` is solved, whether the alignment has converged or not."""
    after = app.open_workspace(root).snapshot
    return 0 if after.iteration > number or after.state == "done" else code or 1


def refuse_damaged(root: Path, number: int) -> None:
    """Raise InputError where constants are damaged that iteration `number` is solved with.

    Those are the ones that its tracks were made with, and those that it all began with.
    """
    opened = app.open_workspace(root)
    snapshot = opened.snapshot
    used = {each.iteration: each.hashes.constants_before for each in snapshot.history}
    if snapshot.constants:
        used[snapshot.iteration] = snapshot.constants
    for iteration in sorted({1, number}):
        path = opened.workspace.iteration(iteration, snapshot.arguments.run).constants
        if used.get(iteration) and differs(path, used[iteration]):
            same = path.parents[2] / f"iter{iteration - 1:02d}/3millepede/inputforalign.txt"
            raise InputError(
                f"{path}: does not match its checksum: iteration {iteration} was reconstructed "
                "with other constants",
                "restore it from a copy"
                + (f"; {same} should have the same" if iteration > 1 else ""),
            )


def refuse_unfit(root: Path, number: int) -> None:
    """Raise UsageError where constants of iteration `number` could not be replaced just now."""
    with held(root) as (opened, _):
        setting_aside.refuse_unfit(opened, number)


def accept(root: Path, number: int, found: Path) -> int:
    """Make the solution in `found` the one of iteration `number`; return the exit code.

    What came after is outdated and set aside: the alignment goes on from here.
    """
    with held(root) as (opened, _):
        decided = acceptance.decide(opened, number, found, time.time())
        acceptance.complete(decided.workspace, decided.snapshot)
    return _solved(root, number, run_session(decided, SessionOptions(until=frozenset({"prepare"}))))


def fetch_cluster(opened: Opened, cluster: str) -> tuple[int, int]:
    """Fetch a cluster of the current iteration; return how many raw files are in, and of how many.

    Raises UsageError when the workspace has no such cluster.
    """
    known = {attempt.cluster: attempt for attempt in opened.snapshot.attempts}
    if cluster not in known:
        here = ", ".join(known) or "none"
        raise UsageError(f"cluster {cluster}: not of this iteration; its clusters: {here}")
    # A daemon fetches by itself; two at once would take files from each other.
    with locked(opened.workspace.lock, briefly=True), composed(opened) as ports:
        ports.batch.fetch(known[cluster].submission)
        done = ports.reconstruction.delivered(opened.snapshot.iteration)
        return len(done), len(ports.reconstruction.wanted())
