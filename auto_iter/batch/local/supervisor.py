"""The supervisor: the one process of a workspace that starts its jobs and watches over them.

`python -m auto_iter.batch.local.supervisor RECORDS`. Detached, and gone once no job waits or runs
here. Nothing depends on it surviving: what happened is in the journals, each running job has a
starter of its own, and the next supervisor takes over all of them.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

from auto_iter.alignment.model import Job
from auto_iter.batch.holds import OUT_OF_RESOURCES
from auto_iter.batch.local.bell import SUPERVISOR, Bell
from auto_iter.batch.local.limits import Limits
from auto_iter.batch.local.lock import take_lock
from auto_iter.batch.local.records import Ledger, Records, Running
from auto_iter.batch.local.starter import Starter
from auto_iter.errors import TRANSIENT_ERRNOS
from auto_iter.processes import ends as processes
from auto_iter.processes.identity import Identity

LOOK_S = 1.0
SILENT_AFTER_S = 1800.0
"""Another machine's starter that gave no sign of life for so long is gone, and its job lost."""

STUBBORN_AFTER_S = 3.0
"""A starter that did not end its job so long after the grace time is killed."""

_DAMAGE = (FileNotFoundError, ValueError, KeyError, TypeError)
"""What reading records raises that are incomplete, or not as they were written."""


class Supervisor:
    """All submissions of a workspace whose jobs wait or run."""

    def __init__(self, home: Path, lock: int) -> None:
        self._home = home
        self._lock = lock
        self._bell = Bell(home, SUPERVISOR)
        self._limits = Limits()
        self._ledgers: dict[str, Ledger] = {}
        self._over: set[str] = set()
        self._damaged: set[str] = set()
        self._told: dict[Identity, float] = {}
        self._weighed = -LOOK_S

    def run(self) -> None:
        """Go on until nothing is left to do; trouble with the disk is waited for."""
        complaint = ""
        while True:
            try:
                self._turn()
                if not self._is_busy() and self._leaves():
                    return
            except OSError as error:
                if error.errno not in TRANSIENT_ERRNOS:
                    raise
                if str(error) != complaint:
                    complaint = str(error)
                    _tell_people(f"waits: {complaint}")
            self._bell.wait(LOOK_S)

    def _leaves(self) -> bool:
        """Give the lock back, and take it again when a submission came that relies on us."""
        if not self._damaged:  # else a daemon that waits for such jobs would start us in a loop
            os.ftruncate(self._lock, 0)
        os.close(self._lock)
        with contextlib.suppress(OSError):  # the daemon looks, too
            self._read()
            lock = take_lock(self._home) if self._is_busy() else None
            if lock is not None:
                self._lock = lock
                return False
        return True

    def _turn(self) -> None:
        """Do what is to be done now."""
        self._reap()
        self._limits = Limits.read(self._home)
        self._read()
        if time.monotonic() - self._weighed >= LOOK_S:  # first: what follows may need disk space
            self._weighed = time.monotonic()
            self._weigh()
        for ledger, number, running in list(self._running()):
            self._judge(ledger, number, running)
        self._start_what_fits()

    def _is_busy(self) -> bool:
        """Tell whether jobs wait, or run here."""
        return any(
            ledger.tally().idle or any(each.starter.is_here for each in ledger.running.values())
            for ledger in self._ledgers.values()
        )

    def _reap(self) -> None:
        """Leave no zombies of starters; how their jobs ended is in the journals."""
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass

    def _read(self) -> None:
        """Find new submissions, and read on in the journals of those that are not over.

        One whose records are damaged is left out: the jobs of all others go on.
        """
        known = self._over | self._damaged | self._ledgers.keys()
        named = {path.parent.name for path in self._home.glob("*/submission.json")}
        for cluster in sorted(filter(str.isdigit, named - known), key=int):
            _end_queue_process(self._home / cluster)
            with self._leaving_out_damaged(cluster):
                self._ledgers[cluster] = Ledger.of(self._home / cluster)
        for cluster, ledger in list(self._ledgers.items()):
            with self._leaving_out_damaged(cluster):
                ledger.refresh()
                if ledger.tally().is_over:
                    self._over.add(cluster)
                    del self._ledgers[cluster]

    @contextlib.contextmanager
    def _leaving_out_damaged(self, cluster: str) -> Iterator[None]:
        try:
            yield
        except _DAMAGE as error:
            if not self._home.is_dir():  # nothing is damaged: all of it was moved
                raise
            self._damaged.add(cluster)
            self._ledgers.pop(cluster, None)
            what = f"{type(error).__name__}: {error}"
            _tell_people(f"submission {cluster} is left out, its records are damaged: {what}")

    def _running(self) -> Iterator[tuple[Ledger, int, Running]]:
        for ledger in self._ledgers.values():
            for number, running in ledger.running.items():
                yield ledger, number, running

    def _judge(self, ledger: Ledger, number: int, running: Running) -> None:
        """Note that a job is lost; have it ended when that was asked for."""
        why = why_lost(ledger.records, number, running.starter)
        if why is not None:
            mark_lost(ledger, number, running, why)
        elif running.verdict is not None and running.starter.is_here:
            self._end(running.starter)

    def _end(self, starter: Identity) -> None:
        """Tell a starter to end its job; kill it when it does not."""
        if starter not in self._told:
            self._told[starter] = time.monotonic()
            processes.send([starter.pid], signal.SIGTERM)
        waited_s = time.monotonic() - self._told[starter]
        if waited_s > self._limits.grace_s + STUBBORN_AFTER_S:
            processes.send([starter.pid], signal.SIGKILL)

    def _weigh(self) -> None:
        """Have jobs held that use more memory than they may.

        One whose hold cannot be noted is killed all the same, and has failed then.
        """
        limited = {
            running.starter.pid: (ledger, number, running.memory_mb)
            for ledger, number, running in self._running()
            if running.memory_mb is not None and running.verdict is None
            if running.starter.is_here and running.starter.is_alive
        }
        for pid, below in processes.below(limited).items():
            ledger, number, limit_mb = limited[pid]
            used_mb = processes.memory_mb(below)
            if used_mb > limit_mb:
                reason = f"used {used_mb} MB of memory, above its limit of {limit_mb} MB"
                event = {
                    "code": OUT_OF_RESOURCES,
                    "subcode": 0,
                    "reason": reason,
                    "memory_mb": used_mb,
                }
                try:
                    ledger.records.append({"event": "holding", "job": number, **event})
                except OSError:  # its starter will not be told: the machine's memory cannot wait
                    processes.send(below, signal.SIGKILL)
                    raise

    def _start_what_fits(self) -> None:
        free = self._limits.at_once
        free -= sum(running.starter.is_here for _, _, running in self._running())
        for ledger in self._ledgers.values():
            for job in ledger.submitted.batch.jobs:
                if free <= 0:
                    return
                if ledger.is_idle(job.number):
                    self._start(ledger, job)
                    free -= 1  # also where it could not be claimed just now

    def _start(self, ledger: Ledger, job: Job) -> None:
        """Fork a starter, and wait until it has claimed its job, or could not."""
        claimed, claiming = os.pipe()
        try:
            try:
                pid = os.fork()
                if pid == 0:
                    os.close(claimed)
                    self._become_starter(ledger, job, claiming)
            finally:
                os.close(claiming)
            os.read(claimed, 1)  # nothing is written: it is closed
        finally:
            os.close(claimed)
        ledger.refresh()

    def _become_starter(self, ledger: Ledger, job: Job, claiming: int) -> None:
        """Go on as a job's starter; what is the supervisor's must not outlive it with us."""
        try:
            os.setsid()
            os.close(self._lock)
            self._bell.close()
            starter = Starter(ledger, job, self._limits)
            if starter.claim():
                os.close(claiming)
                starter.run()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(0)


def _tell_people(text: str) -> None:
    """Add a line to the log, unless the disk is what the trouble is about."""
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def why_lost(records: Records, number: int, starter: Identity) -> str | None:
    """Return why a job that should run does not; None while it does, as far as we can tell."""
    if starter.is_here:
        if starter.is_alive:
            return None
        return "its starter was killed, or the machine went down"
    try:
        silent_s = time.time() - records.sign_of_life(number).stat().st_mtime
    except FileNotFoundError:
        return None
    if silent_s < SILENT_AFTER_S:
        return None
    return f"{starter.host} gave no sign of life for {silent_s / 60:.0f} minutes"


def mark_lost(ledger: Ledger, number: int, running: Running, why: str) -> None:
    """Record a job as lost if its dead starter left no record; kill what it left behind.

    What was to be ended here has ended as it was meant to.
    """
    with ledger.records.locked():
        ledger.refresh()
        if ledger.running.get(number) != running:
            return  # it left its record; the job may have been released since
        processes.sweep(ledger.marker(number))
        with contextlib.suppress(OSError):  # litter is no reason to keep the job from counting
            deliver_to = ledger.submitted.batch.deliver_to
            for left_over in deliver_to.glob(f".*.{running.starter.pid}"):  # half moved
                left_over.unlink(missing_ok=True)
            ledger.records.sign_of_life(number).unlink(missing_ok=True)
        verdict = running.verdict if running.starter.is_here else None
        ledger.note(verdict or {"event": "lost", "job": number, "reason": why})
        ledger.records.sync()
        ledger.refresh()


def _end_queue_process(root: Path) -> None:
    """End the queue process that earlier versions had for each submission: we start its jobs."""
    with contextlib.suppress(FileNotFoundError, ValueError, TypeError):
        queue = Identity(**json.loads((root / "queue.lock").read_text()))
        if queue.is_here and queue.is_alive:
            processes.send([queue.pid], signal.SIGKILL)


def main() -> None:
    """Detach, and supervise the workspace whose records are named on the command line."""
    home = Path(sys.argv[1])
    if os.fork():
        return
    lock = take_lock(home)
    if lock is None:
        return
    try:
        Supervisor(home, lock).run()
    except FileNotFoundError:
        if home.is_dir():
            raise  # else the workspace was moved or removed


if __name__ == "__main__":
    main()
