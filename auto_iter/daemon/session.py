"""A daemon's life from the command line's side: start, lock, log, run, say how it ended."""

from __future__ import annotations

import os
import shlex
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import auto_iter
from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.requests import Request
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.registry import resolve_config
from auto_iter.config.schema import Config
from auto_iter.daemon import lifecycle as app
from auto_iter.daemon.compose import chain_of, composed
from auto_iter.daemon.handover import for_a_daemon, refuse_live_dag
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.lock import PATIENCE_S, WorkspaceLock, locked
from auto_iter.daemon.loop import Daemon, Ending, say
from auto_iter.daemon.making import create_workspace, planned
from auto_iter.daemon.onlookers import Onlookers, never_but_alive
from auto_iter.daemon.screen.outcome import outcome_text
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.signals import Signals
from auto_iter.daemon.status import Status
from auto_iter.daemon.surroundings import SnapshotSink
from auto_iter.daemon.visits import acceptance
from auto_iter.errors import interrupted_exit_code
from auto_iter.files import remove_leftovers
from auto_iter.iteration.envscript import overruled_calypso
from auto_iter.iteration.solver_choice import change_in_words, refuse_change_by_chance
from auto_iter.log.renamed import take_over
from auto_iter.log.setup import get_logger, logging_to
from auto_iter.notify.herald import ChildHerald
from auto_iter.processes.orphans import end_orphans
from auto_iter.processes.service_manager import ServiceManager
from auto_iter.rawfiles import spoken
from auto_iter.workspace.inbox import FileInbox, new_id
from auto_iter.workspace.paths import Workspace, openness
from states import actions
from states.decisions import requests
from states.decisions.convergence import too_short
from states.step import Note, Ports
from states.table import TERMINAL


def start(
    arguments: Arguments, config: Config, *, allow_missing: bool, dry_run: bool = False
) -> Opened:
    """Return the workspace of these arguments, made if it is not there yet.

    With `dry_run` nothing is written, but all is refused that would be.
    """
    config = resolve_config(config, os.environ)
    workspace = app.locate(arguments, config)
    if workspace.checkpoint.exists() or checkpoint.backup_path(workspace.checkpoint).exists():
        opened = app.open_workspace(workspace.root)
        app.refuse_differences(opened, arguments, config)
        return opened
    make = planned if dry_run else create_workspace
    return make(workspace, arguments, config, allow_missing=allow_missing, now=time.time())


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
    stay_paused: bool = True
    """What was paused stays so; only a person who types `resume` means to go on."""
    under_dagman: bool = False
    """It is a part of a DAG's life: a Millepede node, or what is prepared before the first."""


def run_session(opened: Opened, options: SessionOptions) -> int:
    """Run the daemon on a workspace, under its lock; return the exit code."""
    workspace = opened.workspace
    with ExitStack() as stack:
        # A command that has it just now must not be why a service ends for good.
        held = locked(workspace.lock, steal=options.steal_lock, patience_s=PATIENCE_S)
        lock = stack.enter_context(held)
        end_orphans(workspace.root)
        remove_leftovers(workspace.directories)
        # Only now nobody else writes: what was read before the lock may be old.
        opened = app.open_workspace(workspace.root)
        on_disk = opened.snapshot
        opened = acceptance.completed(opened)
        if not options.under_dagman:
            if not options.abandon_schedd:
                refuse_live_dag(opened)
            opened = replace(opened, snapshot=for_a_daemon(opened))
        opened = app.change(opened, options.iterations, options.overrides)
        snapshot = app.revive(opened.snapshot, time.time())
        asked: tuple[Note, ...] = ()
        if not options.stay_paused:
            snapshot, asked = _going_on(workspace, snapshot)
        if snapshot.state not in TERMINAL:
            refuse_change_by_chance(opened.config, snapshot.history, os.environ)
        if options.abandon_schedd:
            snapshot = app.abandoned(snapshot)
        if snapshot != on_disk or opened.remark:
            checkpoint.save(workspace.checkpoint, snapshot)
        with suppress(OSError):  # then it stays where it is, and a new one is begun
            take_over(workspace.old_log, workspace.log)
        stack.enter_context(logging_to(workspace.log, opened.config.log))
        for note in asked:
            say(note)
        return _run(opened, snapshot, lock, stack, options)


def _going_on(workspace: Workspace, snapshot: Snapshot) -> tuple[Snapshot, tuple[Note, ...]]:
    """Return the snapshot with all requests worked in, and no pause; and what the log is told."""
    asked, now = FileInbox(workspace).pending(), time.time()
    after, notes = requests.taken_in(snapshot, asked)
    if after.paused is None:
        return after, notes
    last = Request(id=new_id(now), wish="go on", by="resume", at=now)
    gone_on, more = requests.taken_in(after, (*asked, last))
    return gone_on, (*notes, *more)


def _run(
    opened: Opened,
    snapshot: Snapshot,
    lock: WorkspaceLock,
    stack: ExitStack,
    options: SessionOptions,
) -> int:
    log = get_logger()
    manager = ServiceManager.of(os.environ)
    manager.ready()
    _say_what_is_odd(opened, options)
    herald = ChildHerald(opened.workspace.root, opened.config.notify, os.environ)
    stack.callback(herald.stop)
    if snapshot.state in TERMINAL:
        patiently = never_but_alive(lock, manager)
        _tell_the_rest(opened, snapshot, herald, lock, patiently)
        if _report_is_outdated(opened.workspace):
            chain_of(opened).finish(patiently)
        return _tell(opened.workspace, snapshot, Ending(snapshot.state))
    _say_what_is_changed(opened, snapshot)
    if not options.until:  # else how it ends is no matter
        _say_what_cannot_converge(opened)
    signals = Signals()
    signals.install()
    onlookers = Onlookers(opened.workspace.root.name, sys.stderr, lock, manager, signals)
    stack.callback(onlookers.close)
    ports = stack.enter_context(composed(opened, onlookers.should_stop))
    _greet(opened, snapshot, ports)
    onlookers.seen(snapshot)
    daemon = Daemon(
        snapshot,
        actions.ALL,
        ports,
        signals,
        SnapshotSink(
            save=lambda new: checkpoint.save(opened.workspace.checkpoint, new, lock.check),
            seen=onlookers.seen,
            alive=onlookers.alive,
            check=lock.check,
            inbox=FileInbox(opened.workspace),
            herald=herald,
        ),
    )
    ending = daemon.run(options.until, options.unless_waiting)
    if ending in {Ending.DONE, Ending.FAILED}:
        ports.millepede.finish(onlookers.should_stop)
        _tell_the_rest(opened, daemon.snapshot, herald, lock, onlookers.should_stop)
    onlookers.close()
    if signals.stop_requested is not None and ending is Ending.INTERRUPTED:
        jobs = sum(attempt.jobs for attempt in daemon.snapshot.live_attempts)
        log.info("interrupted", by=signals.stop_requested.name, jobs_left_running=jobs)
        print(f"stopped; resume with: {opened.workspace.resume_command}")
        return interrupted_exit_code(signals.stop_requested)
    return _tell(opened.workspace, daemon.snapshot, ending)


def _tell_the_rest(
    opened: Opened,
    snapshot: Snapshot,
    herald: ChildHerald,
    lock: WorkspaceLock,
    should_stop: Callable[[], bool],
) -> None:
    """Have people told of how an alignment ended, and wait a little for that."""
    settled = herald.finish(snapshot.notices.outbox, should_stop=should_stop)
    if settled:
        told = snapshot.but(notices=snapshot.notices.without(settled))
        checkpoint.save(opened.workspace.checkpoint, told, lock.check)


def _say_what_is_odd(opened: Opened, options: SessionOptions) -> None:
    log = get_logger()
    if opened.remark:
        log.warning("checkpoint", remark=opened.remark)
    others = openness(opened.workspace.root)
    if others is not None:
        log.warning("the workspace is not ours alone", reason=others)
    if options.overrides or options.iterations is not None:
        changed = {"settings": list(options.overrides), "iterations": options.iterations}
        log.info("changed by hand", **{key: value for key, value in changed.items() if value})


def _say_what_is_changed(opened: Opened, snapshot: Snapshot) -> None:
    log = get_logger()
    overruled = overruled_calypso(
        opened.config, opened.workspace.env_script, opened.config.paths.env_script
    )
    if overruled is not None:
        log.warning("environment script", remark=overruled)
    other_solver = change_in_words(opened.config, snapshot.history, os.environ)
    if other_solver is not None:
        log.warning("another solver", remark=other_solver)


def _say_what_cannot_converge(opened: Opened) -> None:
    for phase in app.the_strategy(opened).plan(opened.config).phases:
        if short := too_short(phase, opened.config.alignment):
            get_logger().warning("will not converge", reason=short)


def _report_is_outdated(workspace: Workspace) -> bool:
    """Tell whether a daemon was killed between the end of the alignment and its last report."""
    document = workspace.report_document
    last = workspace.checkpoint.stat().st_mtime
    return not document.is_file() or document.stat().st_mtime < last


def _greet(opened: Opened, snapshot: Snapshot, ports: Ports) -> None:
    wanted = sorted(ports.reconstruction.wanted())
    get_logger().info(
        "alignment",
        workspace=str(opened.workspace.root),
        files=len(wanted),
        first=spoken(wanted[0]),
        last=spoken(wanted[-1]),
        iterations=snapshot.arguments.iterations,
        batch=ports.batch.name,
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        host=socket.gethostname(),
        version=auto_iter.__version__,
        pid=os.getpid(),
    )


def _tell(workspace: Workspace, snapshot: Snapshot, ending: Ending) -> int:
    """Print how it ended, on one screen; the exit code says it to programs."""
    if ending is not Ending.DONE:
        print(status_text(Status.seen(workspace, snapshot, None, time.time())))
        return 0 if ending is Ending.REACHED else 1
    print(outcome_text(workspace, snapshot))
    # The first version did not judge.
    return 0 if snapshot.verdict is None else snapshot.verdict.word.exit_code
