"""The lock of the only supervisor of a workspace, which tells whether there is one."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from auto_iter.files import naming

_LOCK = "supervisor.lock"
"""Held by the supervisor. Its pid, or nothing once it ended for want of jobs."""


def take_lock(home: Path) -> int | None:
    """Return the lock of the workspace's only supervisor, a descriptor; None while another has it.

    It goes with the last process that has it open, however that ends. Raises OSError.
    """
    path = home / _LOCK
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        with naming(path):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        if isinstance(error, BlockingIOError):
            return None
        raise
    with contextlib.suppress(OSError):  # a full disk: for people, and to tell a failure from an end
        os.ftruncate(lock, os.pwrite(lock, f"{os.getpid()}\n".encode(), 0))  # pids wrap around
    return lock


def is_supervised(home: Path) -> bool:
    """Tell whether some process is the supervisor. Raises OSError."""
    try:
        with (home / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def has_ended_well(home: Path) -> bool:
    """Tell whether the last supervisor had nothing left to do. Raises OSError."""
    lock = home / _LOCK
    return lock.exists() and lock.stat().st_size == 0
