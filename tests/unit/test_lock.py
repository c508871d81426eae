"""One daemon a workspace; a dead one does not count."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import yaml

from auto_iter.errors import InputError, LockedError
from auto_iter.lock import STALE_AFTER_S, Holder, WorkspaceLock, live_holder, read_holder

HOLD = """
import sys
from pathlib import Path
from auto_iter.lock import WorkspaceLock
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


def write(path: Path, holder: Holder) -> None:
    path.write_text(yaml.safe_dump(asdict(holder)))


def test_a_process_that_merely_has_the_same_pid_is_not_the_holder(path: Path) -> None:
    parent = replace(Holder.this_process(), pid=os.getppid(), create_time=1.0)
    write(path, parent)
    WorkspaceLock(path).acquire()


def test_a_holder_on_another_host_counts_while_it_gives_signs_of_life(path: Path) -> None:
    write(path, replace(Holder.this_process(), host="elsewhere"))
    with pytest.raises(LockedError, match=r"on elsewhere.*--steal-lock"):
        WorkspaceLock(path).acquire()
    WorkspaceLock(path).acquire(steal=True)


def test_a_silent_holder_on_another_host_is_taken_for_dead(path: Path) -> None:
    write(path, replace(Holder.this_process(), host="elsewhere"))
    long_ago = path.stat().st_mtime - STALE_AFTER_S - 1
    os.utime(path, (long_ago, long_ago))
    WorkspaceLock(path).acquire()


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"daemon\.lock: No such file.*writable"):
        WorkspaceLock(tmp_path / "gone" / "daemon.lock").acquire()
