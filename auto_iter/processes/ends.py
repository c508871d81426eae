"""Processes of the local batch system: who is alive, who belongs to a job, how all of it ends.

Linux only.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from pathlib import Path

from auto_iter.processes.identity import Identity

MARKER = "AUTO_ITER_JOB"
"""Environment variable that every process of a job inherits: it finds those that broke away."""

_PR_SET_CHILD_SUBREAPER = 36
_PROC = Path("/proc")


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
