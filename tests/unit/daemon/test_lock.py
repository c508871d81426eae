"""One daemon a workspace; a dead one does not count."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from auto_iter.daemon.lock import STALE_AFTER_S, Holder, WorkspaceLock, live_holder, read_holder
from auto_iter.errors import FencedError, LockedError, PermanentError
from auto_iter.processes import identity

HOLD = """
import sys
from pathlib import Path
from auto_iter.daemon.lock import WorkspaceLock
lock = WorkspaceLock(Path(sys.argv[1]))
lock.acquire()
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "daemon.lock"


def holding(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_told_who_holds_it(path: Path) -> None:
    with holding(path) as process:
        with pytest.raises(LockedError, match=rf"held by pid {process.pid} on ") as caught:
            WorkspaceLock(path).acquire()
        process.kill()
    assert caught.value.exit_code == 2


def test_a_killed_holder_leaves_nothing_behind(path: Path) -> None:
    with holding(path) as process:
        process.kill()
    assert live_holder(path) is None
    lock = WorkspaceLock(path)
    lock.acquire()
    holder = read_holder(path)
    assert holder is not None
    assert holder.pid == os.getpid()
    lock.release()
    assert read_holder(path) is None


def write(path: Path, **changed: object) -> None:
    """Write a lock file as another process left it."""
    own = Holder.this_process()
    path.write_text(replace(own, **{"token": "its", **changed}).as_text())  # type: ignore[arg-type]


ELSEWHERE = {"host": "elsewhere", "machine": "m2", "boot": "b2", "space": "s2"}


def test_a_process_that_merely_has_the_same_pid_is_not_the_holder(path: Path) -> None:
    write(path, pid=os.getppid(), started=1)
    assert live_holder(path) is None
    WorkspaceLock(path).acquire()


def test_a_clock_that_was_set_hides_nobody(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(path)
    for hours in (-5, 5):
        monkeypatch.setattr(time, "time", lambda hours=hours: 1.7e9 + 3600 * hours)
        monkeypatch.setattr(psutil, "boot_time", lambda hours=hours: 1.6e9 + 3600 * hours)
        holder = live_holder(path)
        assert holder is not None
        assert holder.pid == os.getpid()


def test_a_host_that_was_renamed_after_a_crash_is_the_same_host(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine_id = path.with_name("machine-id")  # a new Debian in a container has none of its own
    machine_id.write_text("0123456789abcdef0123456789abcdef\n")
    monkeypatch.setattr(identity, "_MACHINE_IDS", (machine_id,))
    write(path, host="renamed", boot="the boot before")
    assert live_holder(path) is None
    WorkspaceLock(path).acquire()


def test_a_host_of_the_same_name_is_not_the_same_host(path: Path) -> None:
    write(path, **(ELSEWHERE | {"host": socket.gethostname()}))
    with pytest.raises(LockedError, match="--steal-lock"):
        WorkspaceLock(path).acquire()


def test_a_holder_on_another_host_counts_while_it_gives_signs_of_life(path: Path) -> None:
    write(path, **ELSEWHERE)
    with pytest.raises(LockedError, match=r"on elsewhere.*--steal-lock"):
        WorkspaceLock(path).acquire()
    WorkspaceLock(path).acquire(steal=True)


def test_a_silent_holder_on_another_host_is_taken_for_dead(path: Path) -> None:
    write(path, **ELSEWHERE)
    long_ago = path.stat().st_mtime - STALE_AFTER_S - 1
    os.utime(path, (long_ago, long_ago))
    WorkspaceLock(path).acquire()


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match=r"daemon\.lock: No such file.*writable"):
        WorkspaceLock(tmp_path / "gone" / "daemon.lock").acquire()


def test_who_lost_the_lock_is_told_by_whom_and_leaves_it_alone(path: Path) -> None:
    first = WorkspaceLock(path)
    first.acquire()
    first.check()
    write(path, **ELSEWHERE)
    theirs = path.read_bytes()
    long_ago = path.stat().st_mtime - 1000
    os.utime(path, (long_ago, long_ago))
    with pytest.raises(FencedError, match=r"on elsewhere.* took it over.*this one ends"):
        first.check()
    first.refresh()
    assert path.stat().st_mtime == long_ago
    first.release()
    assert path.read_bytes() == theirs


def test_a_successor_that_has_ended_is_noticed_too(path: Path) -> None:
    first = WorkspaceLock(path)
    first.acquire()
    path.write_bytes(b"")
    with pytest.raises(FencedError, match="another auto-iter took it over"):
        first.check()


def test_a_lock_file_that_somebody_removed_is_made_again(path: Path) -> None:
    lock = WorkspaceLock(path)
    lock.acquire()
    path.unlink()
    lock.check()
    assert live_holder(path) is not None
    lock.check()
    lock.release()


def test_refreshing_is_a_sign_of_life(path: Path) -> None:
    lock = WorkspaceLock(path)
    lock.acquire()
    long_ago = path.stat().st_mtime - STALE_AFTER_S - 1
    os.utime(path, (long_ago, long_ago))
    lock.refresh()
    assert time.time() - path.stat().st_mtime < 60


def _refuse(_file: int) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk_is_one_clear_line_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", _refuse)
    with pytest.raises(PermanentError, match=r"daemon\.lock: No space left on device.*writable"):
        WorkspaceLock(path).acquire()


def test_a_lock_file_that_cannot_be_made_again_yet_is_made_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = WorkspaceLock(path)
    lock.acquire()
    path.unlink()
    with monkeypatch.context() as full:
        full.setattr(os, "fsync", _refuse)
        for _ in range(2):
            with pytest.raises(OSError, match=r"No space left on device.*daemon\.lock"):
                lock.check()
    lock.check()
    assert live_holder(path) is not None
    lock.release()
