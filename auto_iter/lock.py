"""One daemon a workspace: a lock that survives neither crash nor reboot.

`flock` is the lock where the file system has it; the file's content (host, pid and the process's
create time) says who holds it, and catches what `flock` does not: file systems that lock per host.
"""

from __future__ import annotations

import fcntl
import os
import socket
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil
import yaml

from auto_iter.errors import InputError, LockedError

STALE_AFTER_S = 1800.0
"""Another host's holder that gave no sign of life for so long is taken for dead."""

REFRESH_EVERY_S = 60.0


@dataclass(frozen=True)
class Holder:
    """The process that holds a workspace."""

    pid: int
    create_time: float
    host: str
    since: str

    @classmethod
    def this_process(cls) -> Holder:
        """Return ourselves."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(os.getpid(), psutil.Process().create_time(), socket.gethostname(), since)

    @property
    def is_here(self) -> bool:
        """It runs, or ran, on this host."""
        return self.host == socket.gethostname()

    @property
    def is_alive(self) -> bool:
        """The very process still runs on this host (pids are used again; create times are not).

        A zombie does not: it holds nothing, and its parent may never come to reap it.
        """
        try:
            process = psutil.Process(self.pid)
            is_the_one = abs(process.create_time() - self.create_time) < 1.0
            return is_the_one and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:
            return False


class WorkspaceLock:
    """Held from `acquire` to `release`, or to the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._refreshed = -REFRESH_EVERY_S

    def acquire(self, *, steal: bool = False) -> None:
        """Take the lock. Raises LockedError, which names the holder, or InputError."""
        try:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise InputError(
                f"{self._path}: {error.strerror}", "the workspace must be writable"
            ) from None
        try:
            self._take(descriptor, steal=steal)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _take(self, descriptor: int, *, steal: bool) -> None:
        holder = read_holder(self._path)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise LockedError(_held_by(self._path, holder)) from None
        except OSError:
            pass  # no flock on this file system: the content has to do
        if holder is not None and not steal and self._is_held(holder):
            raise LockedError(_held_by(self._path, holder))
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, yaml.safe_dump(asdict(Holder.this_process())).encode(), 0)
        os.fsync(descriptor)

    def _is_held(self, holder: Holder) -> bool:
        if holder.is_here:
            return holder.is_alive and holder.pid != os.getpid()
        return time.time() - self._path.stat().st_mtime < STALE_AFTER_S

    def refresh(self) -> None:
        """Show other hosts that we are alive; may be called as often as one likes."""
        if self._descriptor is not None and time.monotonic() - self._refreshed > REFRESH_EVERY_S:
            self._refreshed = time.monotonic()
            os.utime(self._descriptor)

    def release(self) -> None:
        """Give the lock back and leave an empty file."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None


def read_holder(path: Path) -> Holder | None:
    """Return who is named in the lock file, dead or alive; None when nobody is."""
    try:
        content = yaml.safe_load(path.read_text())
        return Holder(**content) if content else None
    except (OSError, ValueError, yaml.YAMLError, TypeError):
        return None


def live_holder(path: Path) -> Holder | None:
    """Return the holder if it still runs (or may, on another host)."""
    holder = read_holder(path)
    if holder is None or (holder.is_here and not holder.is_alive):
        return None
    return holder


def _held_by(path: Path, holder: Holder | None) -> str:
    if holder is None:
        return f"{path.parent}: another auto-iter is just starting here; try again"
    who = f"pid {holder.pid} on {holder.host}, since {holder.since}"
    away = "" if holder.is_here else "; if that host is gone for good, resume with --steal-lock"
    return f"{path.parent}: held by {who}; follow it with `auto-iter logs -f`{away}"
