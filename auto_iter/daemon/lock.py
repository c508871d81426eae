"""One daemon a workspace: a lock that survives neither crash nor reboot, and that has a fence.

`flock` is the lock where the file system has it; the file's content (who, and a token) says who
holds it, and catches what `flock` does not: file systems that lock per host. Whether a holder on
another host lives is told by signs that come or fail to, clocks need not agree. One that gave no
sign of life for long (a stopped process, a suspended machine) loses the lock to whoever comes; the
token tells it so when it goes on, before it writes anything.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml

from auto_iter.errors import ASK_WHO_WE_ARE, AutoIterError, FencedError, LockedError, PermanentError
from auto_iter.files import naming
from auto_iter.processes.identity import Identity, identify

STALE_AFTER_S = 1800.0
"""Another host's holder that gave no sign of life for so long is taken for dead."""

REFRESH_EVERY_S = 60.0

LOOK_EVERY_S = 5.0
MISSED_BEATS = 2.5
"""So many signs of life are waited for in vain before the clocks of two hosts are believed."""

PATIENCE_S = 60.0
"""A daemon that starts waits so long for a command that has the workspace for a moment."""

SOON_S = 0.2

SETTLE_S = 2.0
"""Where `flock` reaches no other host, two that start at once see each other after this time."""


@dataclass(frozen=True)
class Holder(Identity):
    """The process that holds a workspace; `token` is of this one time that it took it.

    `briefly`: it is no daemon but a command, and done in a moment.
    """

    since: str = ""
    token: str = ""
    briefly: bool = False

    @classmethod
    def this_process(cls, *, briefly: bool = False) -> Holder:
        """Return ourselves."""
        since = time.strftime("%Y-%m-%d %H:%M:%S")
        own = asdict(identify(os.getpid()))
        return cls(**own, since=since, token=secrets.token_hex(8), briefly=briefly)

    def as_text(self) -> str:
        """Return what the lock file holds."""
        return yaml.safe_dump(asdict(self))


class WorkspaceLock:
    """Held from `acquire` to `release`, or to the end of the process, however it ends."""

    def __init__(
        self,
        path: Path,
        now: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        *,
        briefly: bool = False,
    ) -> None:
        self._path = path
        self._briefly = briefly
        self._now = now
        self._sleep = sleep
        self._descriptor: int | None = None
        self._own: Holder | None = None
        self._refreshed = -REFRESH_EVERY_S

    def acquire(self, *, steal: bool = False, patience_s: float = 0.0) -> None:
        """Take the lock, waiting up to `patience_s` for who has it only for a moment.

        Raises LockedError, which names the holder, or PermanentError.
        """
        deadline, has_told = time.monotonic() + patience_s, False
        while True:
            try:
                self._open_and_take(steal=steal)
            except OSError as error:
                remedy = "the workspace must be writable"
                raise PermanentError(f"{self._path}: {error.strerror}", remedy) from None
            except LockedError as error:
                if not error.ends_soon or time.monotonic() >= deadline:
                    raise
                if not has_told:
                    print(f"waiting: {error}", file=sys.stderr)
                has_told = True
                self._sleep(SOON_S)
            else:
                return

    def _open_and_take(self, *, steal: bool) -> None:
        """Take the lock. Raises LockedError, or OSError that names the lock file."""
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            with naming(self._path):
                self._take(descriptor, steal=steal)
        except BaseException:
            os.close(descriptor)
            raise
        self._descriptor = descriptor

    def _take(self, descriptor: int, *, steal: bool) -> None:
        holder = read_holder(self._path)
        reaches_others = not str(self._path.absolute()).startswith(ASK_WHO_WE_ARE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _held_by(self._path, holder) from None
        except OSError:
            reaches_others = False  # no flock on this file system: the content has to do
        if holder is not None and not steal and self._is_held(holder):
            raise _held_by(self._path, holder)
        self._own = Holder.this_process(briefly=self._briefly)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, self._own.as_text().encode(), 0)
        os.fsync(descriptor)
        if not reaches_others:
            self._settle()

    def _settle(self) -> None:
        """Raise LockedError when somebody on another host took the lock in the same moment."""
        self._sleep(SETTLE_S)
        if self._own is not None and self._path.read_bytes() != self._own.as_text().encode():
            self._own = None
            raise _held_by(self._path, read_holder(self._path))

    def _is_held(self, holder: Holder) -> bool:
        if holder.is_here:
            return holder.is_alive and holder.pid != os.getpid()
        return self._gives_signs_of_life(holder)

    def _gives_signs_of_life(self, holder: Holder) -> bool:
        """Tell whether a holder on another host lives.

        The last sign of life has the time of that host, or of the file server. Where that looks
        old, or is yet to come, clocks may disagree: then only signs that fail to come count.
        """
        last = self._path.stat().st_mtime_ns
        age_s = self._now() - last / 1e9
        if -REFRESH_EVERY_S <= age_s < STALE_AFTER_S:
            return True
        looks = round(MISSED_BEATS * REFRESH_EVERY_S / LOOK_EVERY_S)
        if looks:
            print(
                f"{self._path.parent}: held by pid {holder.pid} on {holder.host}; waiting "
                f"{looks * LOOK_EVERY_S:.0f} s for a sign of life",
                file=sys.stderr,
            )
        for _ in range(looks):
            self._sleep(LOOK_EVERY_S)
            if self._path.stat().st_mtime_ns != last:
                return True
        return False

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
        """Make the lock file anew. Raises OSError, and then may be called again, or FencedError."""
        try:
            self._open_and_take(steal=False)
        except LockedError as error:
            raise FencedError(str(error)) from None
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
def locked(
    path: Path, *, steal: bool = False, briefly: bool = False, patience_s: float = 0.0
) -> Iterator[WorkspaceLock]:
    """Hold a workspace by its lock file, `briefly` where that is for a moment only.

    Raises as `WorkspaceLock.acquire`.
    """
    lock = WorkspaceLock(path, briefly=briefly)
    lock.acquire(steal=steal, patience_s=patience_s)
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
    """Return the daemon that holds it, if that still runs (or may, on another host)."""
    holder = read_holder(path)
    if holder is None or holder.briefly or (holder.is_here and not holder.is_alive):
        return None
    return holder


def silence(path: Path, now: float) -> float:
    """Return for how long a holder has given no sign of life (s); clocks of hosts may differ."""
    try:
        return max(0.0, now - path.stat().st_mtime)
    except OSError:
        return 0.0


def refuse_holder(path: Path) -> None:
    """Raise LockedError, which names the holder, where there is one; nothing is taken."""
    holder = live_holder(path)
    if holder is not None:
        raise _held_by(path, holder)


def _held_by(path: Path, holder: Holder | None) -> LockedError:
    if holder is None:
        text = f"{path.parent}: another auto-iter is just starting here; try again"
        return LockedError(text, ends_soon=True)
    who = f"pid {holder.pid} on {holder.host}, since {holder.since}"
    away = "" if holder.is_here else "; if that host is gone for good, resume with --steal-lock"
    if holder.briefly:
        text = f"{path.parent}: a command is at work on it ({who}); try again in a moment{away}"
        return LockedError(text, ends_soon=True)
    return LockedError(f"{path.parent}: held by {who}; follow it with `auto-iter logs -f`{away}")


def _taken_over(path: Path) -> str:
    holder = read_holder(path)
    who = "another auto-iter"
    if holder is not None:
        who = f"pid {holder.pid} on {holder.host}, since {holder.since},"
    return (
        f"{path.parent}: {who} took it over while this daemon gave no sign of life; this one ends "
        "and has written nothing since"
    )
