"""A daemon's life from the command line's side: start, lock, log, run, say how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass

import states
from auto_iter.alignment import checkpoint
from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.ports import BatchSystem
from auto_iter.alignment.snapshot import Arguments, Snapshot
from auto_iter.batch.local.system import LocalBatch
from auto_iter.batch.registry import resolve_config
from auto_iter.config.schema import Config
from auto_iter.daemon import acceptance
from auto_iter.daemon import lifecycle as app
from auto_iter.daemon.compose import Parts, chain_of, compose
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.lock import WorkspaceLock, live_holder
from auto_iter.daemon.loop import Daemon, Ending, SnapshotSink
from auto_iter.daemon.progress import Display
from auto_iter.daemon.signals import Signals
from auto_iter.daemon.status import Status
from auto_iter.errors import (
    NOT_CONVERGED_EXIT_CODE,
    AutoIterError,
    TransientError,
    UsageError,
)
from auto_iter.files import remove_leftovers
from auto_iter.iteration.envscript import overruled_calypso
from auto_iter.log.setup import get_logger, logging_to
from auto_iter.processes.orphans import end_orphans
from auto_iter.workspace.paths import Workspace
from states.decisions.portions import in_queue
from states.machine import StateMachine
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


CONFIRMATION_S = 10.0
"""Removed jobs are waited for so long; an unreachable machine may take hours to confirm."""


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


def run_session(opened: Opened, options: SessionOptions) -> int:
    """Run the daemon on a workspace, under its lock; return the exit code."""
    workspace = opened.workspace
    lock = WorkspaceLock(workspace.lock)
    lock.acquire(steal=options.steal_lock)
    try:
        end_orphans(workspace.root)
        remove_leftovers(workspace.directories)
        # Only now nobody else writes: what was read before the lock may be old.
        opened = app.open_workspace(workspace.root)
        on_disk = opened.snapshot
        acceptance.complete(workspace, on_disk)
        opened = app.change(opened, options.iterations, options.overrides)
        snapshot = app.revive(opened.snapshot, time.time())
        if options.abandon_schedd:
            snapshot = app.abandoned(snapshot)
        if snapshot != on_disk or opened.remark:
            checkpoint.save(workspace.checkpoint, snapshot)
        with ExitStack() as stack:
            stack.enter_context(logging_to(workspace.log, opened.config.log))
            return _run(opened, snapshot, lock, stack, options)
    finally:
        lock.release()


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
    parts = compose(opened, signals.should_stop)
    stack.callback(parts.close)
    _greet(opened, snapshot, parts)
    display = stack.enter_context(Display(opened.workspace.root.name, sys.stderr))
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


def stop_daemon(workspace: Workspace, timeout_s: float) -> bool:
    """Ask the daemon to stop and wait for it; False when none runs. Raises AutoIterError."""
    holder = live_holder(workspace.lock)
    if holder is None:
        return False
    if not holder.is_here:
        raise UsageError(f"the daemon runs on {holder.host}; stop it there")
    with contextlib.suppress(ProcessLookupError):
        os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while holder.is_alive:
        if time.monotonic() > deadline:
            raise AutoIterError(f"pid {holder.pid} has not stopped after {timeout_s:.0f} s")
        time.sleep(0.05)
    return True


def remove_jobs(opened: Opened) -> tuple[int, int]:
    """Tell every job of a workspace that no daemon holds to end, and note that it is stopped.

    Return how many jobs that were, and of how many the end is not confirmed yet: those a `resume`
    waits for before their files are submitted again.
    """
    lock = WorkspaceLock(opened.workspace.lock)
    lock.acquire()
    try:
        opened = app.open_to_stop(opened.workspace.root)
        parts = compose(opened, lambda: False)
        try:
            snapshot = _with_pending(opened.snapshot, parts.ports.batch)
            live = snapshot.live_attempts
            for attempt in live:
                parts.ports.batch.remove(attempt.submission, "stopped by the operator")
            left = _confirmed(live, parts.ports.batch)
        finally:
            parts.close()
        attempts = tuple(
            each.model_copy(update={"is_over": not left[each.key], "is_ended_by_us": True})
            if each.key in left
            else each
            for each in snapshot.attempts
        )
        stopped = snapshot.but(attempts=attempts, intent=None)
        if snapshot.state not in TERMINAL:
            stopped = stopped.but(state=StateMachine(snapshot.state).fire("stop"))
        lock.check()
        checkpoint.save(opened.workspace.checkpoint, stopped)
        return in_queue(snapshot), sum(left.values())
    finally:
        lock.release()


def declare_lost(opened: Opened, host: str) -> int:
    """Give up the jobs, and the daemon, of a host that is gone for good; return how many jobs.

    Raises UsageError where HTCondor runs the jobs: the schedd itself notices such machines.
    """
    lock = WorkspaceLock(opened.workspace.lock)
    holder = live_holder(opened.workspace.lock)
    lock.acquire(steal=holder is not None and holder.host == host and not holder.is_here)
    try:
        parts = compose(opened, lambda: False)
        try:
            batch = parts.ports.batch
            if not isinstance(batch, LocalBatch):
                raise UsageError(
                    f"--lost {host}: {batch.name} itself notices machines that are gone"
                )
            return batch.declare_lost(host)
        finally:
            parts.close()
    finally:
        lock.release()


def _with_pending(snapshot: Snapshot, batch: BatchSystem) -> Snapshot:
    """Return the snapshot with a submission that was made and not noted."""
    intent = snapshot.intent
    found = None if intent is None else batch.find(intent.key)
    if intent is None or found is None:
        return snapshot
    return snapshot.but(attempts=(*snapshot.attempts, Attempt.of(intent, found)), intent=None)


def _confirmed(live: tuple[Attempt, ...], batch: BatchSystem) -> dict[str, int]:
    """Return for each submission how many of its jobs have not ended, waiting a little for that."""
    left: dict[str, int] = {}
    deadline = time.monotonic() + CONFIRMATION_S
    for attempt in live:
        while True:
            try:
                left[attempt.key] = batch.poll(attempt.submission).left
            except TransientError:
                left[attempt.key] = attempt.jobs
            if not left[attempt.key] or time.monotonic() > deadline:
                break
            time.sleep(0.5)
    return left


def fetch_cluster(opened: Opened, cluster: str) -> tuple[int, int]:
    """Fetch a cluster of the current iteration; return how many raw files are in, and of how many.

    Raises UsageError when the workspace has no such cluster.
    """
    known = {attempt.cluster: attempt for attempt in opened.snapshot.attempts}
    if cluster not in known:
        here = ", ".join(known) or "none"
        raise UsageError(f"cluster {cluster}: not of this iteration; its clusters: {here}")
    lock = WorkspaceLock(opened.workspace.lock)
    lock.acquire()  # a daemon fetches by itself; two at once would take files from each other
    try:
        parts = compose(opened, lambda: False)
        try:
            parts.ports.batch.fetch(known[cluster].submission)
            done = parts.ports.reconstruction.delivered(opened.snapshot.iteration)
            return len(done), len(parts.ports.reconstruction.wanted())
        finally:
            parts.close()
    finally:
        lock.release()
