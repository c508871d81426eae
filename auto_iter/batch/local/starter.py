"""The starter: one run of one job, in a process that the supervisor forked for it.

It outlives daemon and supervisor, so neither's end costs a job. It inherits every orphan of its
job, so that nothing of a job escapes; answers SIGTERM by ending the whole tree; brings the output
home, which may take long; and records how the job ended.
"""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import select
import signal
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import TypeVar

from auto_iter.alignment.model import Job
from auto_iter.batch.holds import (
    CANNOT_START,
    JOB_TOO_LONG,
    OUT_OF_RESOURCES,
    OUTPUT_TRANSFER,
)
from auto_iter.batch.local.limits import Limits
from auto_iter.batch.local.records import Event, Ledger
from auto_iter.batch.local.sandbox import Sandbox
from auto_iter.errors import TRANSIENT_ERRNOS
from auto_iter.files import sync_directory
from auto_iter.processes import ends as processes
from auto_iter.processes.identity import identify

SIGN_EVERY_S = 60.0

T = TypeVar("T")

_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0


class Starter:
    """One run of one job. To be made in the process that is to run it."""

    def __init__(self, ledger: Ledger, job: Job, limits: Limits) -> None:
        self._ledger = ledger
        self._records = ledger.records
        self._batch = ledger.submitted.batch
        self._job = job
        self._resources = ledger.resources(job)
        self._limits = limits
        self._sandbox = Sandbox(self._batch, job)
        self._signed = -SIGN_EVERY_S
        self._is_told_to_end = False
        self._signals = _signals()
        processes.become_subreaper()

    def claim(self) -> bool:
        """Start the job in the journal, unless somebody else did, or it was removed meanwhile."""
        number = self._job.number
        self._show_life()
        event: Event = {"event": "started", "job": number, "run": 1}
        if self._limits.enforce_memory:
            event["memory_mb"] = self._resources.memory_mb
        with self._records.locked():
            self._ledger.refresh()
            if not self._ledger.is_idle(number):
                return False
            event["run"] = self._ledger.runs.get(number, 0) + 1
            self._records.append(event | {"starter": asdict(identify(os.getpid()))})
        return True

    def run(self) -> None:
        """Run the job that was claimed, and record its end unless it is not ours any more."""
        began, number = time.monotonic(), self._job.number
        cluster, host = self._records.root.name, os.uname().nodename
        submitted_at = self._ledger.submitted.submitted_at
        self._ledger.log(number, f"submitted as {cluster}.{number}", submitted_at)
        self._ledger.log(number, f"executing on {host}, starter {os.getpid()}")
        event = self._outcome()
        event |= {"job": number, "machine": host, "wall_s": round(time.monotonic() - began, 3)}
        event["memory_mb"] = max(event.get("memory_mb", 0), _largest_mb())
        self._ledger.log(number, _in_words(event))  # first: who sees the record may read the log
        self._record(event)
        with contextlib.suppress(OSError):  # it tells nothing any more
            self._records.sign_of_life(number).unlink(missing_ok=True)

    def _outcome(self) -> Event:
        what = f"cannot start {self._batch.executable}"
        event = self._patiently(self._run_once, CANNOT_START, what)
        if event == {"event": "ended", "exit_code": 0}:
            what = f"cannot bring {self._job.output} home"
            return (
                self._patiently(self._bring_home, OUTPUT_TRANSFER, what)
                or self._patiently(self._sync_home, OUTPUT_TRANSFER, what)
                or event
            )
        return event

    def _patiently(self, action: Callable[[], T], code: int, what: str) -> T | Event:
        """Do `action`; trouble with the disk that passes is waited for, other trouble is a hold."""
        pause_s = _FIRST_PAUSE_S
        while True:
            try:
                return action()
            except OSError as error:
                if error.errno not in TRANSIENT_ERRNOS:
                    return _hold(code, f"{what}: {error}", error.errno)
                self._ledger.log(self._job.number, f"waits: {what}: {error}")
            self._show_life()
            if self._listen(pause_s):
                return self._told()
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    def _run_once(self) -> Event:
        with self._sandbox.prepared() as (out, err):
            marker = self._ledger.marker(self._job.number)
            leader = self._sandbox.spawn(out, err, self._resources.cpus, marker)
            try:
                return self._wait(leader)
            except OSError:  # it cannot be watched, so it must not go on
                self._end_tree(graceful=False)
                raise

    def _show_life(self) -> None:
        if time.monotonic() - self._signed < SIGN_EVERY_S:
            return
        self._signed = time.monotonic()
        with contextlib.suppress(OSError):
            self._records.sign_of_life(self._job.number).touch()

    def _wait(self, leader: int) -> Event:
        """Wait for the end of the job, or bring it about."""
        limit_s = self._resources.time_limit_s
        deadline = None if limit_s is None else time.monotonic() + limit_s
        while True:
            status = _reap(leader)
            if status is not None:
                self._end_tree(graceful=False)
                return _exit_event(status)
            self._show_life()
            left_s = SIGN_EVERY_S if deadline is None else deadline - time.monotonic()
            if left_s <= 0:
                self._end_tree(graceful=True)
                return _hold(JOB_TOO_LONG, f"ran longer than its time limit of {limit_s:g} s")
            if self._listen(min(left_s, SIGN_EVERY_S)):
                verdict = self._told()
                self._end_tree(graceful=verdict.get("code") != OUT_OF_RESOURCES)
                return verdict

    def _listen(self, seconds: float) -> bool:
        """Wait until a child ends, or somebody tells us to end the job; tell whether that was."""
        if not self._is_told_to_end and select.select([self._signals], [], [], seconds)[0]:
            self._is_told_to_end = signal.SIGTERM in os.read(self._signals, 4096)
        return self._is_told_to_end

    def _told(self) -> Event:
        """Tell what is in the journal, a removal or a hold, from a machine that shuts down."""
        self._ledger.refresh()
        running = self._ledger.running.get(self._job.number)
        if running is not None and running.verdict is not None:
            return running.verdict
        return {"event": "lost", "reason": "its starter was told to end; did the machine go down?"}

    def _end_tree(self, *, graceful: bool) -> None:
        """End every process of the job; return when none is left."""
        deadline = time.monotonic() + (self._limits.grace_s if graceful else 0.0)
        if graceful:
            processes.send(processes.descendants(os.getpid()), signal.SIGTERM)
        while left := processes.descendants(os.getpid()):
            if time.monotonic() >= deadline:
                processes.send(left, signal.SIGKILL)
            time.sleep(0.01)
            _reap(0)

    def _bring_home(self) -> Event | None:
        """Bring the output home, unless the job is not ours any more; a hold without one."""
        if self._job.output and not self._is_ours():
            return {"event": "lost", "reason": "it was given up while its starter was away"}
        wrong = self._sandbox.bring_home()
        return None if wrong is None else _hold(OUTPUT_TRANSFER, wrong, errno.ENOENT)

    def _sync_home(self) -> None:
        """Make the output survive a power cut before its job is said to have ended."""
        sync_directory(self._batch.deliver_to)

    def _is_ours(self) -> bool:
        """Tell whether the job still counts as running here: it may have been given up."""
        self._ledger.refresh()
        running = self._ledger.running.get(self._job.number)
        return running is not None and running.starter.pid == os.getpid()

    def _record(self, event: Event) -> None:
        """Write the end down; a full disk is waited for, as the job would be lost otherwise."""
        while True:
            try:
                with self._records.locked():
                    self._records.append(event)
                    self._records.sync()
            except OSError as error:
                if error.errno not in TRANSIENT_ERRNOS:
                    raise  # the workspace was moved or removed: waiting would only hold our slot
                self._show_life()
                time.sleep(1)
            else:
                return


def _signals() -> int:
    """Return a descriptor that gives the number of each SIGTERM and SIGCHLD that comes."""
    heard, told = os.pipe()
    os.set_blocking(told, False)
    signal.set_wakeup_fd(told, warn_on_full_buffer=False)
    for each in (signal.SIGTERM, signal.SIGCHLD):
        signal.signal(each, lambda *_: None)
    return heard


def _hold(code: int, reason: str, subcode: int | None = None) -> Event:
    return {"event": "held", "code": code, "subcode": subcode or 0, "reason": reason}


def _exit_event(status: int) -> Event:
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        return {"event": "ended", "signal": number, "reason": f"killed by signal {number}"}
    code = os.WEXITSTATUS(status)
    return {"event": "ended", "exit_code": code} | ({"reason": f"exit code {code}"} if code else {})


def _reap(leader: int) -> int | None:
    """Reap whatever of the job has ended; return the leader's status when it is among that."""
    found = None
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return found
        if pid == 0:
            return found
        if pid == leader:
            found = status


def _largest_mb() -> int:
    """Return the most that any one process of the job had in memory, MiB, as the kernel counts."""
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024


def _in_words(event: Event) -> str:
    figures = f"{event['wall_s']:g} s, at most {event['memory_mb']} MB"
    if event["event"] == "held":
        return f"held: {event['reason']} (code {event['code']}; {figures})"
    return f"{event['event']}: {event.get('reason', 'exit code 0')} ({figures})"
