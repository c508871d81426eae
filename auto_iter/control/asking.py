"""A wish reaches an alignment: through its daemon where one is at work, else directly.

Either way it is durable before the command says so: as a request that the daemon, or whoever goes
on, takes in, or in the checkpoint.
"""

from __future__ import annotations

import getpass
import io
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import structlog

from auto_iter.alignment import checkpoint
from auto_iter.alignment.requests import Request, Wish
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.compose import composed
from auto_iter.daemon.lifecycle import Opened, open_workspace
from auto_iter.daemon.lock import locked
from auto_iter.daemon.loop import say
from auto_iter.errors import AutoIterError, LockedError, UsageError
from auto_iter.log.setup import logging_to
from auto_iter.workspace.inbox import FileInbox, new_id
from auto_iter.workspace.paths import Workspace
from states.decisions.requests import end_skipped, taken_in

PATIENCE_S = 30.0
"""A daemon takes requests in within a second or two, unless a call to a schedd lasts longer."""

LOOK_EVERY_S = 0.1
CALL_LIMIT_S = 15.0


@dataclass(frozen=True)
class Answer:
    """What became of a wish. `snapshot`: the alignment as it is then.

    `is_taken`: it is in the checkpoint; else the daemon takes it in as soon as it can.
    """

    workspace: Workspace
    snapshot: Snapshot
    is_taken: bool
    by_daemon: bool
    remark: str = ""

    @property
    def words(self) -> str:
        """How sure that is, for a person; empty where it is done."""
        if self.is_taken:
            return self.remark
        return "asked; the daemon is busy, and takes it in as soon as its present step ends"


def request(wish: Wish, files: tuple[int, ...] = ()) -> Request:
    """Return a wish of the person at the keyboard."""
    now = time.time()
    return Request(id=new_id(now), wish=wish, by=_somebody(), at=now, files=files)


def _somebody() -> str:
    try:
        name = getpass.getuser()
    except (KeyError, OSError):  # a container need not know who we are
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"


def refuse_dag(opened: Opened) -> None:
    """Raise UsageError where DAGMan has the alignment: it knows nothing of our requests."""
    run = opened.snapshot.dag
    if run is not None:
        cluster = run.cluster or "DAGMAN_JOB"
        raise UsageError(
            f"{opened.workspace.root}: DAGMan has this alignment; `condor_hold {cluster}` and "
            f"`condor_release {cluster}` pause it, `auto-iter dag remove` gives it back"
        )


def ask(
    root: Path,
    asked: Request,
    patience_s: float = PATIENCE_S,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Have a request taken in, by the daemon or by us; return what became of it."""
    workspace = open_workspace(root).workspace
    inbox, posted = FileInbox(workspace), None
    deadline = time.monotonic() + patience_s
    while True:
        try:
            return _taken_in_by_us(workspace, asked)
        except LockedError:
            pass
        if posted is None:
            posted = inbox.post(asked)
        if not posted.exists():
            return Answer(workspace, open_workspace(root).snapshot, True, True)
        if time.monotonic() > deadline:
            return Answer(workspace, open_workspace(root).snapshot, False, True)
        sleep(LOOK_EVERY_S)


def _taken_in_by_us(workspace: Workspace, asked: Request) -> Answer:
    """Write a request into the checkpoint, with all that wait. Raises LockedError."""
    inbox = FileInbox(workspace)
    with locked(workspace.lock, briefly=True) as lock:
        opened = open_workspace(workspace.root)
        waiting = inbox.pending()
        # Posted before, while a daemon was there: it is the same one.
        everything = waiting if asked in waiting else (*waiting, asked)
        with logging_to(workspace.log, opened.config.log, io.StringIO()):
            snapshot, notes = taken_in(opened.snapshot, everything)
            where = {"iteration": snapshot.iteration, "state": snapshot.state}
            with structlog.contextvars.bound_contextvars(**where):
                for note in notes:
                    say(note)
            if notes:
                checkpoint.save(workspace.checkpoint, snapshot, lock.check)
            inbox.drop(waiting)
            snapshot, remark = _without_jobs(opened, snapshot)
            checkpoint.save(workspace.checkpoint, snapshot, lock.check)
        return Answer(workspace, snapshot, True, False, remark)


def _without_jobs(opened: Opened, snapshot: Snapshot) -> tuple[Snapshot, str]:
    """Remove the jobs of raw files that are left out, as far as that is possible now."""
    unwanted = [n for n in snapshot.skipped if any(a.may_bring(n) for a in snapshot.live_attempts)]
    if not unwanted:
        return snapshot, ""
    try:
        with composed(opened, patience_s=CALL_LIMIT_S) as ports:
            while (after := end_skipped(snapshot, ports)) != snapshot:
                snapshot = after
    except AutoIterError as error:
        # They are left out all the same: that is written down, and not taken back by this.
        return snapshot, f"their jobs are removed by whoever goes on: {error}"
    return snapshot, ""
