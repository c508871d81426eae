"""One daemon a workspace; a dead one does not count."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from auto_iter.daemon import lock as lock_module
from auto_iter.daemon.lock import (
    REFRESH_EVERY_S,
    STALE_AFTER_S,
    Holder,
    WorkspaceLock,
    live_holder,
    read_holder,
)
from auto_iter.errors import FencedError, LockedError, PermanentError
from auto_iter.processes import identity
from tests.support.no_locks import NoLocks

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


def leaving(path: Path) -> Callable[[float], None]:
    """Return what lets time pass in which the holder goes."""

    def sleep(_seconds: float) -> None:
        path.write_text("")

    return sleep


def test_a_daemon_that_starts_waits_for_a_command_that_is_at_work_for_a_moment(path: Path) -> None:
    write(path, **ELSEWHERE, briefly=True)
    assert live_holder(path) is None
    with pytest.raises(LockedError, match=r"a command is at work on it .*elsewhere"):
        WorkspaceLock(path).acquire()
    lock = WorkspaceLock(path, sleep=leaving(path))
    lock.acquire(patience_s=60)
    lock.check()


def test_nobody_waits_for_a_daemon_to_end(path: Path) -> None:
    write(path, **ELSEWHERE)
    with pytest.raises(LockedError, match="held by"):
        WorkspaceLock(path, sleep=leaving(path)).acquire(patience_s=60)


def test_a_lock_file_from_before_commands_said_that_they_are_brief_is_a_daemons(path: Path) -> None:
    write(path)
    old = "".join(line for line in path.read_text().splitlines(True) if "briefly" not in line)
    path.write_text(old)
    holder = live_holder(path)
    assert holder is not None
    assert holder.pid == os.getpid()


class Hosts:
    """Another host's daemon that gives signs of life, or not, and how its clock differs."""

    def __init__(self, path: Path, *, ahead_s: float, silent_for_s: float, beats: bool) -> None:
        self.path = path
        self.ahead_s = ahead_s
        self.beats = beats
        self.seconds = 1.7e9
        self.waited_s = 0.0
        write(path, **ELSEWHERE)
        self._beat(self.seconds - silent_for_s)

    def _beat(self, when: float) -> None:
        os.utime(self.path, (when + self.ahead_s,) * 2)

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.waited_s += seconds
        if self.beats and self.waited_s % REFRESH_EVERY_S == 0:
            self._beat(self.seconds)


HOUR = 3600.0


@pytest.mark.parametrize(
    ("ahead_s", "silent_for_s", "beats", "found"),
    [
        (0, 30, True, "alive"),
        (0, STALE_AFTER_S - 60, False, "alive"),
        (0, STALE_AFTER_S + 60, False, "dead, after a while"),
        (-HOUR, 30, True, "alive, after a while"),  # its clock, or the server's, is behind
        (-HOUR, 30, False, "dead, after a while"),
        (HOUR, 30, True, "alive, after a while"),
        (HOUR, 30, False, "dead, after a while"),  # else it would live for an hour more
        (20, 5, True, "alive"),
    ],
)
def test_a_holder_on_another_host_lives_by_its_signs_of_life_not_by_its_clock(
    ahead_s: float, silent_for_s: float, beats: bool, found: str, path: Path
) -> None:
    hosts = Hosts(path, ahead_s=ahead_s, silent_for_s=silent_for_s, beats=beats)
    lock = WorkspaceLock(path, hosts.now, hosts.sleep)
    if found.startswith("alive"):
        with pytest.raises(LockedError, match="on elsewhere"):
            lock.acquire()
    else:
        lock.acquire()
        lock.check()
    assert (hosts.waited_s > 0) == found.endswith("after a while")


def test_of_two_that_start_in_the_same_second_on_two_hosts_one_remains(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_module, "fcntl", NoLocks)
    second = WorkspaceLock(path, sleep=lambda _seconds: None)
    path.touch()

    def meanwhile(_seconds: float) -> None:
        write(path, **ELSEWHERE)  # it, too, has found nobody, and writes last

    with pytest.raises(LockedError, match="on elsewhere"):
        WorkspaceLock(path, sleep=meanwhile).acquire()
    second.acquire(steal=True)
    second.check()


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
