"""The starter: a detached process that runs one job, watches it, and records how it ended.

`python -m auto_iter.batch.local.job < order`. It outlives the daemon and the queue process. It
inherits every orphan of its job, so that nothing of a job escapes, and answers SIGTERM by ending
the whole tree. Imports little: one of these waits for each running job.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TypeVar

from auto_iter.alignment.model import Job, Resources
from auto_iter.batch.local.records import (
    Event,
    Header,
    Ledger,
    Records,
    append_event,
    journal_lock,
    log_event,
    read_header,
    sync_journal,
)
from auto_iter.errors import TRANSIENT_ERRNOS, TRANSIENT_EXIT_CODE
from auto_iter.files import naming, sync_directory
from auto_iter.processes import ends as processes
from auto_iter.processes.identity import identify

HOLD_EXECUTE, HOLD_OUTPUT, HOLD_MEMORY, HOLD_TIME = 6, 12, 34, 46
"""HTCondor's hold codes for what can happen here (manual, job ClassAd attribute HoldReasonCode)."""

NOT_YET_PAUSE_S = 5.0
"""A starter that could not even claim its job waits so long; then another one is started."""

T = TypeVar("T")

_PASSED_ON = (
    "HOME", "USER", "LOGNAME", "SHELL", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "KRB5CCNAME",
    "X509_USER_PROXY",
)  # fmt: skip
_PASSED_ON_PREFIXES = ("FASER_", "EOS_")
_FIRST_LOOK_S, _LAST_LOOK_S = 0.05, 1.0
_FIRST_PAUSE_S, _LAST_PAUSE_S = 0.5, 30.0
_SIGN_EVERY_S = 60.0


@dataclass(frozen=True)
class Order:
    """What the queue process tells a starter."""

    root: str
    job: Job
    run: int
    offset: int
    resources: Resources
    enforce_memory: bool
    grace_s: float

    def as_text(self) -> str:
        """Return the order as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def parse(cls, text: str) -> Order:
        """Return the order that `text` holds. Raises ValueError when it was cut off."""
        raw = json.loads(text)
        job = raw["job"]
        job["arguments"] = tuple(job["arguments"])
        return cls(**(raw | {"job": Job(**job), "resources": Resources(**raw["resources"])}))


def marker(header: Header, number: int) -> str:
    """Return what every process of a job carries in its environment."""
    return f"{header.marker}/{number}"


def environment(inherited: Mapping[str, str]) -> dict[str, str]:
    """Return the part of the daemon's environment that jobs see.

    As on HTCondor, a job must not depend on the shell from which its alignment was resumed.
    """
    return {
        name: value
        for name, value in inherited.items()
        if name in _PASSED_ON or name.startswith(_PASSED_ON_PREFIXES)
    }


class Starter:
    """One run of one job."""

    def __init__(self, order: Order, wake: int) -> None:
        self._order = order
        self._wake = wake
        self._job = order.job
        self._records = Records(Path(order.root))
        self._header = read_header(self._records)
        self._sandbox = self._header.directory / order.job.directory
        self._scratch = self._sandbox / f".scratch_{order.job.number:05d}"
        self._peak_mb = 0
        self._signed = -_SIGN_EVERY_S

    def run(self) -> None:
        """Run the job that was claimed, and record its end unless it is not ours any more."""
        started = time.time()
        self._log(
            f"submitted as {self._records.root.name}.{self._job.number}",
            at=self._header.submitted_at,
        )
        self._log(f"executing on {os.uname().nodename}, starter {os.getpid()}", at=started)
        event = self._outcome()
        event |= {"job": self._job.number, "machine": os.uname().nodename}
        event |= {"memory_mb": self._peak_mb, "wall_s": round(time.time() - started, 3)}
        self._log(_in_words(event))  # first: who sees the record may go and read the log
        self._record(event)
        with contextlib.suppress(OSError):  # it tells nothing any more
            self._records.sign_of_life(self._job.number).unlink(missing_ok=True)

    def claim(self) -> bool:
        """Start the job in the journal, unless somebody else did, or it was removed meanwhile."""
        number = self._job.number
        self._show_life()
        with journal_lock(self._records):
            since = Ledger(self._records, "", self._header.jobs, offset=self._order.offset)
            since.refresh()
            if not since.is_idle(number):
                return False
            starter = asdict(identify(os.getpid()))
            event: Event = {"event": "started", "job": number, "run": self._order.run}
            append_event(self._records, event | {"starter": starter, "time": time.time()})
        return True

    def _outcome(self) -> Event:
        what = f"cannot start {self._header.executable}"
        event = self._patiently(self._run_once, HOLD_EXECUTE, what)
        if event == {"event": "ended", "exit_code": 0}:
            what = f"cannot bring {self._job.output} home"
            return (
                self._patiently(self._bring_home, HOLD_OUTPUT, what)
                or self._patiently(self._sync_home, HOLD_OUTPUT, what)
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
                self._log(f"waits: {what}: {error}")
            self._show_life()
            if select.select([self._wake], [], [], pause_s)[0]:
                return self._told_to_end()
            pause_s = min(2 * pause_s, _LAST_PAUSE_S)

    def _run_once(self) -> Event:
        with self._prepared() as (out, err):
            leader = self._spawn(out, err)
            try:
                return self._watch(leader)
            except OSError:  # it cannot be watched, so it must not go on
                self._end_tree(graceful=False)
                raise

    def _show_life(self) -> None:
        if time.monotonic() - self._signed < _SIGN_EVERY_S:
            return
        self._signed = time.monotonic()
        with contextlib.suppress(OSError):
            self._records.sign_of_life(self._job.number).touch()

    @contextlib.contextmanager
    def _prepared(self) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
        """Make the sandbox with its inputs; afterwards only what the job left stays there."""
        logs = self._header.directory / "logs"
        logs.mkdir(parents=True, exist_ok=True)
        self._sandbox.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        linked = [self._sandbox / path.name for path in self._header.inputs]
        try:
            for link, path in zip(linked, self._header.inputs, strict=True):
                if not link.exists():
                    link.unlink(missing_ok=True)
                    link.symlink_to(path)
            stem = logs / f"reco_{self._job.number:05d}"
            with open(f"{stem}.out", "wb") as out, open(f"{stem}.err", "wb") as err:  # noqa: PTH123
                yield out, err
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)
            for link in linked:
                with contextlib.suppress(OSError):  # the job itself may have ended well
                    if link.is_symlink():
                        link.unlink(missing_ok=True)

    def _spawn(self, out: IO[bytes], err: IO[bytes]) -> int:
        cpus = str(self._order.resources.cpus)
        own = {
            "_CONDOR_SCRATCH_DIR": str(self._scratch),
            "OMP_NUM_THREADS": cpus,
            "OPENBLAS_NUM_THREADS": cpus,
            processes.MARKER: marker(self._header, self._job.number),
        }
        started = subprocess.Popen(
            [str(self._header.executable), *self._job.arguments],
            cwd=self._sandbox,
            env=environment(os.environ) | own,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            start_new_session=True,
        )
        started.returncode = 0  # we reap it ourselves, with all that we inherit
        return started.pid

    def _watch(self, leader: int) -> Event:
        """Wait for the end of the job, or bring it about."""
        begun, pause = time.monotonic(), _FIRST_LOOK_S
        poller = select.poll()
        ended = os.pidfd_open(leader)
        poller.register(ended, select.POLLIN)
        poller.register(self._wake, select.POLLIN)
        try:
            while True:
                status = _reap(leader)
                if status is not None:
                    self._end_tree(graceful=False)
                    return _exit_event(status)
                verdict = self._verdict(time.monotonic() - begun)
                if verdict is not None:
                    self._end_tree(graceful=verdict.get("code") != HOLD_MEMORY)
                    return verdict
                poller.poll(self._pause_s(pause, time.monotonic() - begun) * 1000)
                pause = min(2 * pause, _LAST_LOOK_S)
        finally:
            os.close(ended)

    def _pause_s(self, pause: float, elapsed: float) -> float:
        limit = self._order.resources.time_limit_s
        return pause if limit is None else max(0.001, min(pause, limit - elapsed))

    def _verdict(self, elapsed: float) -> Event | None:
        """Return why the job has to end now, if it has to."""
        limits = self._order.resources
        self._show_life()
        if select.select([self._wake], [], [], 0)[0]:
            return self._told_to_end()
        if limits.time_limit_s is not None and elapsed >= limits.time_limit_s:
            reason = f"ran longer than its time limit of {limits.time_limit_s:g} s"
            return _hold(HOLD_TIME, reason)
        used = processes.memory_mb(processes.descendants(os.getpid()))
        self._peak_mb = max(self._peak_mb, used)
        if self._order.enforce_memory and limits.memory_mb is not None and used > limits.memory_mb:
            reason = f"used {used} MB of memory, above its limit of {limits.memory_mb} MB"
            return _hold(HOLD_MEMORY, reason)
        return None

    def _told_to_end(self) -> Event:
        """Tell a removal, which is in the journal, from a machine that shuts down."""
        since = Ledger(self._records, "", self._header.jobs, offset=self._order.offset)
        for event in since.refresh():
            if event["job"] == self._job.number and event["event"] == "removing":
                return {"event": "removed", "reason": event["reason"]}
        return {"event": "lost", "reason": "its starter was told to end; did the machine go down?"}

    def _end_tree(self, *, graceful: bool) -> None:
        """End every process of the job; return when none is left."""
        deadline = time.monotonic() + (self._order.grace_s if graceful else 0.0)
        if graceful:
            processes.send(processes.descendants(os.getpid()), signal.SIGTERM)
        while left := processes.descendants(os.getpid()):
            if time.monotonic() >= deadline:
                processes.send(left, signal.SIGKILL)
            time.sleep(0.01)
            _reap(0)

    def _bring_home(self) -> Event | None:
        """Move the output to where outputs go; a hold when it is not there."""
        name = self._job.output
        if not name:
            return None
        if not self._is_ours():
            return {"event": "lost", "reason": "it was given up while its starter was away"}
        source, target = self._sandbox / name, self._header.deliver_to / name
        if not source.exists():
            if "--deliver" in self._job.arguments and target.exists():
                return None
            return _hold(HOLD_OUTPUT, f"ended well, but left no {name} in {self._sandbox}", 2)
        _move(source, target)
        return None

    def _sync_home(self) -> None:
        """Make the output survive a power cut before its job is said to have ended."""
        sync_directory(self._header.deliver_to)

    def _is_ours(self) -> bool:
        """Tell whether the job still counts as running here: it may have been given up."""
        since = Ledger(self._records, "", self._header.jobs, offset=self._order.offset)
        since.refresh()
        running = since.running.get(self._job.number)
        return running is not None and running.starter.pid == os.getpid()

    def _record(self, event: Event) -> None:
        """Write the end down; a full disk is waited for, as the job would be lost otherwise."""
        while True:
            try:
                with journal_lock(self._records):
                    append_event(self._records, event | {"time": time.time()})
                    sync_journal(self._records)
            except FileNotFoundError:
                raise  # the workspace was moved or removed: waiting would only hold our slot
            except OSError as error:
                if error.errno not in TRANSIENT_ERRNOS:
                    raise
                self._show_life()
                time.sleep(1)
            else:
                return

    def _log(self, text: str, at: float | None = None) -> None:
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
        log_event(self._header, self._job.number, when, text)


def _move(source: Path, target: Path) -> None:
    """Move a file whole, durably, onto another file system if need be."""
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        with naming(source), source.open("rb+") as written:
            os.fsync(written.fileno())
        try:
            source.replace(target)
        except OSError:
            shutil.copyfile(source, partial)
            with naming(target), partial.open("rb+") as written:
                os.fsync(written.fileno())
            partial.replace(target)
            source.unlink()
    finally:
        partial.unlink(missing_ok=True)


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


def _in_words(event: Event) -> str:
    figures = f"{event['wall_s']:g} s, at most {event['memory_mb']} MB"
    if event["event"] == "held":
        return f"held: {event['reason']} (code {event['code']}; {figures})"
    return f"{event['event']}: {event.get('reason', 'exit code 0')} ({figures})"


def main() -> None:
    """Run the job of the order on standard input."""
    wake, wake_write = os.pipe()
    os.set_blocking(wake_write, False)
    signal.set_wakeup_fd(wake_write)
    signal.signal(signal.SIGTERM, lambda *_: None)
    for ignored in (signal.SIGHUP, signal.SIGINT):
        signal.signal(ignored, signal.SIG_IGN)
    processes.become_subreaper()
    try:
        order = Order.parse(sys.stdin.read())
    except ValueError:
        return  # the queue process was killed while it wrote: its successor starts the job
    try:
        starter = Starter(order, wake)
        if not starter.claim():
            return
    except OSError as error:
        if error.errno not in TRANSIENT_ERRNOS:
            raise
        print(f"job {order.job.number} not started yet: {error}", file=sys.stderr)
        time.sleep(NOT_YET_PAUSE_S)
        sys.exit(TRANSIENT_EXIT_CODE)
    starter.run()


if __name__ == "__main__":
    main()
