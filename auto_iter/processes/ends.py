"""Processes below one another, or with a marker: what memory they use, and how all of them end."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

import psutil

MARKER = "AUTO_ITER_JOB"
"""Environment variable that every process of a job inherits: it finds those that broke away."""

_PR_SET_CHILD_SUBREAPER = 36
_BYTES_PER_MB = 1 << 20
_EXEC_S = 1.0
"""So long a process may be in the middle of `execve` on a busy machine."""
_LOOKS = 5


def become_subreaper() -> None:
    """Make this process inherit its orphaned descendants, whatever their session (Linux)."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def below(roots: Collection[int]) -> dict[int, list[int]]:
    """Return the pids of all living processes below each of `roots`, from one look at them all."""
    if not roots:
        return {}
    children = defaultdict(list)
    for process in _all():
        with contextlib.suppress(psutil.Error), process.oneshot():
            if process.status() not in {psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD}:
                children[process.ppid()].append(process.pid)
    found: dict[int, list[int]] = {}
    for root in roots:
        ahead, found[root] = [root], []
        while ahead:
            next_ones = children[ahead.pop()]
            found[root] += next_ones
            ahead += next_ones
    return found


def _all() -> Iterator[psutil.Process]:
    """Yield all processes; `psutil.process_iter` leaves out one that has a used pid again."""
    for pid in psutil.pids():
        with contextlib.suppress(psutil.Error):
            yield psutil.Process(pid)


def descendants(root: int) -> list[int]:
    """Return the pids of all living processes below `root`."""
    return below([root])[root]


def memory_mb(pids: Iterable[int]) -> int:
    """Return the memory of processes in MiB; what they share counts once (PSS), where known."""
    return sum(map(_memory, pids)) // _BYTES_PER_MB


def _memory(pid: int) -> int:
    try:
        process = psutil.Process(pid)
        try:
            return int(process.memory_full_info().pss)
        except psutil.AccessDenied:  # not ours to look at: the resident size is public
            return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def marked(marker: str, *, variable: str = MARKER) -> list[int]:
    """Return the pids of living processes that carry a marker in their environment: a job's."""
    wanted = os.fsencode(f"{variable}={marker}")
    return [pid for pid in psutil.pids() if pid != os.getpid() and _carries(pid, wanted)]


def _carries(pid: int, wanted: bytes) -> bool:
    """Tell whether `wanted` is anywhere in an environment, of which a process may overwrite parts.

    `psutil.Process.environ` ends at the first empty entry.
    """
    try:
        return wanted in _environment(Path(f"/proc/{pid}")).split(b"\0")
    except OSError:  # gone, or not ours
        return False


def _environment(process: Path) -> bytes:
    """Return a process's environment, which around `execve` is not there for a moment.

    In its middle neither is the command line; and what was opened before it reads as empty after
    it. So a process with a command line is believed to have no environment when it has shown none
    several times. A kernel thread has no program.

    Raises:
        OSError: the process is gone, or not ours

    """
    seen_empty, deadline = 0, time.monotonic() + _EXEC_S
    while not (environment := (process / "environ").read_bytes()):
        if seen_empty == _LOOKS or time.monotonic() > deadline:
            break
        (process / "exe").readlink()
        if (process / "cmdline").read_bytes():
            seen_empty += 1
        else:
            time.sleep(0.001)
    return environment


def send(pids: Iterable[int], what: signal.Signals) -> None:
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
