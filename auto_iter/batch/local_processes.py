"""Processes of the local batch system: who is alive, who belongs to a job, how all of it ends.

Linux only. A process is known by host, boot and start time besides its pid, so a pid that was given
out again after a crash or a reboot is never mistaken for ours.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path

MARKER = "AUTO_ITER_JOB"
"""Environment variable that every process of a job inherits: it finds those that broke away."""

_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")


@dataclass(frozen=True)
class Identity:
    """A process, for good: `started` is its kernel start time in clock ticks since `boot`."""

    pid: int
    started: int
    boot: str
    host: str

    @property
    def is_here(self) -> bool:
        """Whether this machine can tell."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """Whether exactly this process runs; a zombie does not. Only asked where `is_here`."""
        return self.boot == _boot() and _stat(self.pid) == ("alive", self.started)


def identify(pid: int) -> Identity:
    """Return the identity of a running process; ProcessLookupError when there is none."""
    found = _stat(pid)
    if found is None:
        raise ProcessLookupError(pid)
    return Identity(pid, found[1], _boot(), socket.gethostname())


def _boot() -> str:
    return (_PROC / "sys/kernel/random/boot_id").read_text().strip()


def _stat(pid: int) -> tuple[str, int] | None:
    """Return state and start time (fields 3 and 22 of proc_pid_stat(5))."""
    try:
        text = (_PROC / str(pid) / "stat").read_text()
    except OSError:
        return None
    fields = text.rpartition(")")[2].split()  # the name before may hold spaces and brackets
    return ("dead" if fields[0] in "ZX" else "alive"), int(fields[19])


def become_subreaper() -> None:
    """Make this process inherit its orphaned descendants, whatever session they moved to."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def descendants(root: int) -> list[int]:
    """Return the pids of all living processes below `root`."""
    children: dict[int, list[int]] = {}
    for pid in _all_pids():
        parent = _parent(pid)
        if parent is not None:
            children.setdefault(parent, []).append(pid)
    found: list[int] = []
    ahead = [root]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found


def _all_pids() -> list[int]:
    return [int(path.name) for path in _PROC.iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int | None:
    """Return the parent of a process that is not a zombie."""
    try:
        fields = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[1])


def memory_mb(pids: list[int]) -> int:
    """Return the memory of processes in MiB; what they share counts once (PSS), where known."""
    return sum(_memory_kb(pid) for pid in pids) // 1024


def _memory_kb(pid: int) -> int:
    try:
        for line in (_PROC / str(pid) / "smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass  # gone, or not ours to look at: the resident size is public
    try:
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def marked(marker: str, *, variable: str = MARKER) -> list[int]:
    """Return the pids of living processes that carry a marker in their environment: a job's."""
    wanted = os.fsencode(f"{variable}={marker}")
    return [pid for pid in _all_pids() if pid != os.getpid() and _carries(pid, wanted)]


def _carries(pid: int, wanted: bytes) -> bool:
    try:
        return wanted in (_PROC / str(pid) / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def send(pids: list[int], what: signal.Signals) -> None:
    """Send a signal to processes, of which some may be gone."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, what)


def sweep(marker: str, timeout_s: float = 5.0, *, variable: str = MARKER) -> bool:
    """Kill every process that carries a marker; False when some are still there."""
    deadline = time.monotonic() + timeout_s
    while left := marked(marker, variable=variable):
        if time.monotonic() > deadline:
            return False
        send(left, signal.SIGKILL)
        time.sleep(0.01)
    return True


def wait_ended(identities: list[Identity], timeout_s: float) -> None:
    """Wait until none of the processes is alive, or the time is over."""
    deadline = time.monotonic() + timeout_s
    while any(each.is_alive for each in identities) and time.monotonic() < deadline:
        time.sleep(0.02)
