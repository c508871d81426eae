"""One daemon a workspace: a lock that survives neither crash nor reboot, and that has a fence.

`flock` is the lock where the file system has it; the file's content (who, and a token) says who
holds it, and catches what `flock` does not: file systems that lock per host. A holder that gave no
sign of life for long (a stopped process, a suspended machine) loses the lock to whoever comes; the
token tells it so when it goes on, before it writes anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from auto_iter.errors import AutoIterError, FencedError, LockedError, PermanentError
from auto_iter.processes.identity import Identity, identify

STALE_AFTER_S = 1800.0
"""Another host's holder that gave no sign of life for so long is taken for dead."""

REFRESH_EVERY_S = 60.0


@dataclass(frozen=True)
class Holder(Identity):
    """The process that holds a workspace; `token` is of this one time that it took it."""

    since: str = ""
    token: str = ""

    @classmethod
    def this_process(cls) -> Holder:
        """Return ourselves."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        return cls(**asdict(identify(os.getpid())), since=since, token=secrets.token_hex(8))

    def as_text(self) -> str:
        """Return what the lock file holds."""
        return yaml.safe_dump(asdict(self))


class WorkspaceLock:
    """Held from `acquire` to `release`, or to the end of the process, however it ends."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None
        self._own: Holder | None = None
        self._refreshed = -REFRESH_EVERY_S

    def acquire(self, *, steal: bool = False) -> None:
        """Take the lock. Raises LockedError, which names the holder, or PermanentError."""
        try:
            self._open_and_take(steal=steal)
        except OSError as error:
            raise PermanentError(
                f"{self._path}: {error.strerror}", "the workspace must be writable"
            ) from None

    def _open_and_take(self, *, steal: bool) -> None:
        """Take the lock. Raises LockedError, or OSError that names the lock file."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            self._take(descriptor, steal=steal)
        except BaseException as error:
            os.close(descriptor)
            if isinstance(error, OSError):
                raise OSError(error.errno, error.strerror, str(self._path)) from error
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
        self._own = Holder.this_process()
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, self._own.as_text().encode(), 0)
        os.fsync(descriptor)

    def _is_held(self, holder: Holder) -> bool:
        if holder.is_here:
            return holder.is_alive and holder.pid != os.getpid()
        return time.time() - self._path.stat().st_mtime < STALE_AFTER_S

    def check(self) -> None:
        """Raise FencedError when somebody else took the workspace meanwhile, OSError on trouble."""
        if self._own is None or self._descriptor is None:
            raise FencedError(f"{self._path.parent}: this process does not hold it")
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            if not self._path.parent.is_dir():
                raise
            # A person removed it. A successor would have left a file, even when it is gone again.
            self._take_again(self._descriptor)
            return
        if content != self._own.as_text().encode():
            raise FencedError(_taken_over(self._path))

    def _take_again(self, before: int) -> None:
        """Make the lock file anew. Raises OSError, and then may be called again."""
        try:
            self._open_and_take(steal=False)
        except OSError:
            self._path.unlink(missing_ok=True)  # half-written, it would pass for a successor's
            raise
        os.close(before)

    def refresh(self) -> None:
        """Show other hosts that we are alive; may be called as often as one likes."""
        if self._descriptor is None or time.monotonic() - self._refreshed <= REFRESH_EVERY_S:
            return
        self._refreshed = time.monotonic()
        with contextlib.suppress(FencedError):  # not our lock any more, nor our sign of life
            self.check()
            os.utime(self._descriptor)

    def release(self) -> None:
        """Give the lock back and leave an empty file, unless it is another's by now."""
        if self._descriptor is None:
            return
        with contextlib.suppress(AutoIterError, OSError):
            self.check()
            os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)
        self._descriptor = self._own = None


@contextlib.contextmanager
def locked(path: Path, *, steal: bool = False) -> Iterator[WorkspaceLock]:
    """Hold a workspace by its lock file. Raises as `WorkspaceLock.acquire`."""
    lock = WorkspaceLock(path)
    lock.acquire(steal=steal)
    try:
        yield lock
    finally:
        lock.release()


def read_holder(path: Path) -> Holder | None:
    """Return who is named in the lock file, dead or alive; None when nobody is."""
    try:
        content = yaml.safe_load(path.read_text())
        if not content:
            return None
        return Holder(**content)
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


def _taken_over(path: Path) -> str:
    holder = read_holder(path)
    who = "another auto-iter"
    if holder is not None:
        who = f"pid {holder.pid} on {holder.host}, since {holder.since},"
    return (
        f"{path.parent}: {who} took it over while this daemon gave no sign of life; this one ends "
        "and has written nothing since"
    )
