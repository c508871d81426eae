"""Ending what runs: the daemon, its jobs, and what was on a host that is gone for good."""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress

from auto_iter.alignment import checkpoint
from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.ports import BatchSystem
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.local.system import LocalBatch
from auto_iter.daemon import lifecycle as app
from auto_iter.daemon.compose import composed
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.lock import PATIENCE_S, STALE_AFTER_S, live_holder, locked, silence
from auto_iter.errors import AutoIterError, TransientError, UsageError
from auto_iter.workspace.paths import Workspace
from states.decisions.portions import in_queue
from states.machine import StateMachine
from states.table import TERMINAL

CONFIRMATION_S = 10.0
"""Removed jobs are waited for so long; an unreachable machine may take hours to confirm."""


def stop_daemon(workspace: Workspace, timeout_s: float) -> bool:
    """Ask the daemon to stop and wait for it; False when none runs. Raises AutoIterError."""
    holder = live_holder(workspace.lock)
    if holder is None:
        return False
    if not holder.is_here:
        if silence(workspace.lock, time.time()) >= STALE_AFTER_S:
            return False  # its host is gone, as far as can be seen: the lock makes sure of that
        raise UsageError(
            f"the daemon runs on {holder.host}; stop it there (where that host is gone, its daemon "
            f"counts as dead after {STALE_AFTER_S / 60:.0f} min of silence)"
        )
    with suppress(ProcessLookupError):
        os.kill(holder.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while holder.is_alive:
        if time.monotonic() > deadline:
            raise AutoIterError(f"pid {holder.pid} has not stopped after {timeout_s:.0f} s")
        time.sleep(0.05)
    return True


def remove_jobs(opened: Opened, *, keep_outputs: bool = False) -> tuple[int, int]:
    """Tell every job of a workspace that no daemon holds to end, and note that it is stopped.

    Return how many jobs that were, and of how many the end is not confirmed yet: those a `resume`
    waits for before their files are submitted again. `keep_outputs`: what finished jobs left with
    the batch system is fetched first; raises TransientError where that is not possible now.
    """
    workspace = opened.workspace
    with locked(workspace.lock, briefly=True, patience_s=PATIENCE_S) as lock:
        opened = app.open_to_stop(workspace.root)
        with composed(opened) as ports:
            snapshot = _with_pending(opened.snapshot, ports.batch)
            live = snapshot.live_attempts
            for attempt in live:
                if keep_outputs:
                    ports.batch.poll(attempt.submission)
                    ports.batch.fetch(attempt.submission)
                ports.batch.remove(attempt.submission, "stopped by the operator")
            left = _confirmed(live, ports.batch)
        over = [key for key, jobs in left.items() if not jobs]
        stopped = snapshot.but(intent=None).but_attempts(left, is_ended_by_us=True)
        stopped = stopped.but_attempts(over, is_over=True)
        if snapshot.state not in TERMINAL:
            stopped = stopped.but(state=StateMachine(snapshot.state).fire("stop"))
        lock.check()
        checkpoint.save(workspace.checkpoint, stopped)
        return in_queue(snapshot), sum(left.values())


def declare_lost(opened: Opened, host: str) -> int:
    """Give up the jobs, and the daemon, of a host that is gone for good; return how many jobs.

    Raises UsageError where the batch system is not the local one: it notices such machines itself.
    """
    holder = live_holder(opened.workspace.lock)
    steal = holder is not None and holder.host == host and not holder.is_here
    with locked(opened.workspace.lock, steal=steal, briefly=True), composed(opened) as ports:
        batch = ports.batch
        if not isinstance(batch, LocalBatch):
            raise UsageError(f"--lost {host}: {batch.name} itself notices machines that are gone")
        return batch.declare_lost(host)


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
