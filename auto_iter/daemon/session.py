"""A daemon's life from the command line's side: start, lock, log, run, say how it ended."""

from __future__ import annotations

import os
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, replace

import states
from auto_iter.alignment import checkpoint
from auto_iter.alignment.snapshot import Arguments, Snapshot
from auto_iter.batch.registry import resolve_config
from auto_iter.config.schema import Config
from auto_iter.daemon import acceptance
from auto_iter.daemon import lifecycle as app
from auto_iter.daemon.compose import Parts, chain_of, composed
from auto_iter.daemon.handover import for_a_daemon, refuse_live_dag
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.lock import WorkspaceLock, locked
from auto_iter.daemon.loop import Daemon, Ending, SnapshotSink
from auto_iter.daemon.progress import Display
from auto_iter.daemon.signals import Signals
from auto_iter.daemon.status import Status
from auto_iter.errors import (
    NOT_CONVERGED_EXIT_CODE,
)
from auto_iter.files import remove_leftovers
from auto_iter.iteration.envscript import overruled_calypso
from auto_iter.log.setup import get_logger, logging_to
from auto_iter.processes.orphans import end_orphans
from auto_iter.workspace.paths import Workspace
from states.table import TERMINAL


def start(arguments: Arguments, config: Config, *, allow_missing: bool, now: float) -> Opened:
    """Return the workspace of these arguments, made if it is not there yet."""
    config = resolve_config(config, os.environ)
    workspace = app.locate(arguments, config)
    if workspace.checkpoint.exists() or checkpoint.backup_path(workspace.checkpoint).exists():
        opened = app.open_workspace(workspace.root)
        app.refuse_differences(opened, arguments, config)
        return opened
    return app.create_workspace(workspace, arguments, config, allow_missing=allow_missing, now=now)


@dataclass(frozen=True)
class SessionOptions:
    """What the command line asks of a session beyond going on.

    `until`: states at which it ends early, `unless_waiting`: those in which it does not wait.
    `iterations`, `overrides`: changes to the workspace. `abandon_schedd`: submit anew what a
    schedd has that is gone for good.
    """

    steal_lock: bool = False
    iterations: int | None = None
    overrides: tuple[str, ...] = ()
    until: frozenset[str] = frozenset()
    unless_waiting: frozenset[str] = frozenset()
    abandon_schedd: bool = False
    under_dagman: bool = False
    """It is a part of a DAG's life: a Millepede node, or what is prepared before the first."""


def run_session(opened: Opened, options: SessionOptions) -> int:
    """Run the daemon on a workspace, under its lock; return the exit code."""
    workspace = opened.workspace
    with ExitStack() as stack:
        lock = stack.enter_context(locked(workspace.lock, steal=options.steal_lock))
        end_orphans(workspace.root)
        remove_leftovers(workspace.directories)
        # Only now nobody else writes: what was read before the lock may be old.
        opened = app.open_workspace(workspace.root)
        on_disk = opened.snapshot
        acceptance.complete(workspace, on_disk)
        if not options.under_dagman:
            if not options.abandon_schedd:
                refuse_live_dag(opened)
            opened = replace(opened, snapshot=for_a_daemon(opened))
        opened = app.change(opened, options.iterations, options.overrides)
        snapshot = app.revive(opened.snapshot, time.time())
        if options.abandon_schedd:
            snapshot = app.abandoned(snapshot)
        if snapshot != on_disk or opened.remark:
            checkpoint.save(workspace.checkpoint, snapshot)
        stack.enter_context(logging_to(workspace.log, opened.config.log))
        return _run(opened, snapshot, lock, stack, options)


def _run(
    opened: Opened,
    snapshot: Snapshot,
    lock: WorkspaceLock,
    stack: ExitStack,
    options: SessionOptions,
) -> int:
    log = get_logger()
    if opened.remark:
        log.warning("checkpoint", remark=opened.remark)
    openness = opened.workspace.openness
    if openness is not None:
        log.warning("the workspace is not ours alone", reason=openness)
    if options.overrides or options.iterations is not None:
        changed = {"settings": list(options.overrides), "iterations": options.iterations}
        log.info("changed by hand", **{key: value for key, value in changed.items() if value})
    if snapshot.state in TERMINAL:
        if _report_is_outdated(opened.workspace):
            chain_of(opened).finish()
        return _tell(opened.workspace, snapshot, Ending(snapshot.state))
    overruled = overruled_calypso(
        opened.config, opened.workspace.env_script, opened.config.paths.env_script
    )
    if overruled is not None:
        log.warning("environment script", remark=overruled)
    signals = Signals()
    signals.install()
    parts = stack.enter_context(composed(opened, signals.should_stop))
    _greet(opened, snapshot, parts)
    display = Display(opened.workspace.root.name, sys.stderr)
    stack.callback(display.close)
    daemon = Daemon(
        snapshot,
        states.ALL,
        parts.ports,
        signals,
        SnapshotSink(
            save=lambda new: checkpoint.save(opened.workspace.checkpoint, new, lock.check),
            seen=display.update,
            alive=lock.refresh,
            check=lock.check,
        ),
    )
    ending = daemon.run(options.until, options.unless_waiting)
    if ending is Ending.INTERRUPTED:
        jobs = sum(attempt.jobs for attempt in daemon.snapshot.live_attempts)
        log.info("interrupted", by=signals.stop_requested, jobs_left_running=jobs)
    if ending in {Ending.DONE, Ending.FAILED}:
        parts.chain.finish()
    display.close()
    return _tell(opened.workspace, daemon.snapshot, ending)


def _report_is_outdated(workspace: Workspace) -> bool:
    """Tell whether a daemon was killed between the end of the alignment and its last report."""
    document = workspace.report_document
    last = workspace.checkpoint.stat().st_mtime
    return not document.is_file() or document.stat().st_mtime < last


def _greet(opened: Opened, snapshot: Snapshot, parts: Parts) -> None:
    wanted = sorted(parts.ports.reconstruction.wanted())
    get_logger().info(
        "alignment",
        workspace=str(opened.workspace.root),
        files=len(wanted),
        first=f"{wanted[0]:05d}",
        last=f"{wanted[-1]:05d}",
        iterations=snapshot.arguments.iterations,
        batch=parts.ports.batch.name,
        pid=os.getpid(),
    )


def _tell(workspace: Workspace, snapshot: Snapshot, ending: Ending) -> int:
    """Print how it ended; the exit code says it to programs."""
    if ending is Ending.INTERRUPTED:
        print(f"stopped; resume with: {workspace.resume_command}")
        return 0
    print(Status(workspace, snapshot, None, time.time()).as_text())
    if ending is Ending.REACHED:
        return 0
    if ending is not Ending.DONE:
        return 1
    print_result(workspace)
    verdict = snapshot.verdict
    if verdict is None:  # done under the first version, which did not say
        return 0
    print(verdict.sentence)
    return 0 if verdict.converged else NOT_CONVERGED_EXIT_CODE


def print_result(workspace: Workspace) -> None:
    """Print the table of constants and where the report is."""
    table = workspace.report / "constants.txt"
    if table.is_file():
        print("\n" + table.read_text().rstrip())
    for path in sorted(workspace.report.glob("*")):
        print(path)
