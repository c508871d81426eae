"""The queue process: starts a submission's jobs, as many at once as there are slots.

`python -m auto_iter.batch.local.queue SUBMISSION SLOTS ENFORCE_MEMORY GRACE_S`. One for each
submission, detached, and gone once every job has been started. Nothing depends on it surviving: the
next one reads the journal. Slots are files whose lock a starter holds for as long as it lives, so
all submissions of a workspace share them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO

from auto_iter.alignment.model import Job, Resources
from auto_iter.batch.local.job import Order, marker
from auto_iter.batch.local.records import (
    Header,
    Ledger,
    Records,
    append_event,
    journal_lock,
    open_ledger,
    read_header,
    read_jobs,
    sync_journal,
)
from auto_iter.errors import TRANSIENT_ERRNOS, TRANSIENT_EXIT_CODE
from auto_iter.processes import ends as processes
from auto_iter.processes.identity import identify

_LOCK_PATIENCE_S = 2.0
_LOOK_S = 0.5


class Queue:
    """One submission's jobs that still have to be started."""

    def __init__(self, root: Path, slots: Path, *, enforce_memory: bool, grace_s: float) -> None:
        self._ledger = open_ledger(root)
        self._records = self._ledger.records
        self._header = read_header(self._records)
        self._jobs = {job.number: job for job in read_jobs(self._records)}
        self._waiting = deque(number for number in self._jobs if self._ledger.is_idle(number))
        self._starters: dict[int, int] = {}
        self._slots = slots
        self._enforce_memory = enforce_memory
        self._grace_s = grace_s

    def turn(self) -> bool:
        """Start what can be started; False when there is nothing left to do."""
        for event in self._ledger.refresh():
            if event["event"] == "released":
                self._waiting.append(event["job"])
        self._reap()
        while self._waiting:
            number = self._waiting[0]
            if not self._ledger.is_idle(number) or number in self._starting():
                self._waiting.popleft()
                continue
            slot = _take_slot(self._slots)
            if slot is None:
                return True
            with slot:
                self._start(self._jobs[number], slot)
            self._waiting.popleft()
        return bool(self._starting())

    def _starting(self) -> set[int]:
        """Return the jobs whose starter lives and has not claimed them yet."""
        claimed = self._ledger.starters
        return {
            number
            for pid, number in self._starters.items()
            if claimed.get(number) != pid and self._ledger.is_idle(number)
        }

    def _start(self, job: Job, slot: IO[bytes]) -> None:
        order = Order(
            root=str(self._records.root),
            job=job,
            run=self._ledger.runs.get(job.number, 0) + 1,
            offset=self._ledger.offset,
            resources=self._resources(job),
            enforce_memory=self._enforce_memory,
            grace_s=self._grace_s,
        )
        starter = subprocess.Popen(
            [sys.executable, "-m", "auto_iter.batch.local.job"],
            stdin=subprocess.PIPE,
            pass_fds=(slot.fileno(),),
            start_new_session=True,
        )
        self._starters[starter.pid] = job.number
        starter.returncode = 0  # reaped in _reap
        if starter.stdin is not None:
            with starter.stdin as pipe:
                pipe.write(order.as_text().encode())

    def _resources(self, job: Job) -> Resources:
        own = {} if job.memory_mb is None else {"memory_mb": job.memory_mb}
        return replace(self._header.resources, **(own | self._ledger.resources.get(job.number, {})))

    def _reap(self) -> None:
        """Bury jobs whose starter ended without a word."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            number = self._starters.pop(pid, None)
            if number is None:
                continue
            if os.waitstatus_to_exitcode(status) == TRANSIENT_EXIT_CODE:
                self._waiting.append(number)
            else:
                mark_lost(self._ledger, self._header, number, pid)


def mark_lost(
    ledger: Ledger, header: Header, number: int, pid: int, why: str = "its starter was killed"
) -> None:
    """Record a job as lost if its dead starter `pid` left no record; kill what it left behind.

    A job that was never claimed has failed: whatever kept its starter from starting (a broken
    installation) would keep the next one from it as well, and the one after.
    """
    with journal_lock(ledger.records):
        ledger.refresh()
        running = ledger.running.get(number)
        claimed = ledger.starters.get(number) == pid
        if claimed and (running is None or running.starter.pid != pid):
            return  # it left its record; the job may have been released since
        if not claimed and not ledger.is_idle(number):
            return
        processes.sweep(marker(header, number))
        with contextlib.suppress(OSError):  # litter is no reason to keep the job from counting
            for left_over in header.deliver_to.glob(f".*.{pid}"):  # half moved between disks
                left_over.unlink(missing_ok=True)
            ledger.records.sign_of_life(number).unlink(missing_ok=True)
        event, reason = "lost", why
        if not claimed:
            event = "failed"
            reason = f"its starter could not start, see {ledger.records.queue_log}"
        record = {"event": event, "job": number, "reason": reason, "time": time.time()}
        append_event(ledger.records, record)
        sync_journal(ledger.records)
        ledger.refresh()


def _take_slot(slots: Path) -> IO[bytes] | None:
    """Return a locked slot that nobody uses; None when all are in use."""
    for path in sorted(slots.iterdir()):
        slot = path.open("rb")
        try:
            fcntl.flock(slot, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            slot.close()
        else:
            return slot
    return None


def hold_queue_lock(records: Records) -> IO[str] | None:
    """Return the lock that makes this the submission's only queue process; None if it is not."""
    deadline = time.monotonic() + _LOCK_PATIENCE_S
    lock = records.queue_lock.open("r+")
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            # Somebody may only have looked whether there is a queue process.
            if time.monotonic() > deadline:
                lock.close()
                return None
            time.sleep(0.05)
    lock.truncate(0)
    lock.write(json.dumps(asdict(identify(os.getpid()))))
    lock.flush()
    return lock


def main() -> None:
    """Detach, and start the jobs of the submission named on the command line."""
    root, slots, enforce_memory, grace_s = sys.argv[1:]
    if os.fork():
        os._exit(0)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    wake, wake_write = os.pipe()
    os.set_blocking(wake, False)
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    lock = hold_queue_lock(Records(Path(root)))
    if lock is None:
        return
    with lock:
        queue = Queue(
            Path(root), Path(slots), enforce_memory=enforce_memory == "1", grace_s=float(grace_s)
        )
        try:
            while queue.turn():
                if select.select([wake], [], [], _LOOK_S)[0]:
                    os.read(wake, 4096)
        except OSError as error:
            if error.errno not in TRANSIENT_ERRNOS:
                raise
            print(f"queue process ended, the next one goes on: {error}", file=sys.stderr)


if __name__ == "__main__":
    main()
