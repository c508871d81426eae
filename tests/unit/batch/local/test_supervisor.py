"""The supervisor where something is wrong: damaged records, full disks, no more processes."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, NoReturn

import psutil
import pytest

from auto_iter.alignment.model import Submission
from auto_iter.batch.local import supervisor
from auto_iter.batch.local.limits import Limits
from auto_iter.batch.local.lock import has_ended_well, is_supervised, take_lock
from auto_iter.batch.local.records import Records, write_submission
from auto_iter.batch.local.supervisor import Supervisor
from auto_iter.batch.local.system import LocalBatch
from auto_iter.processes.identity import identify
from tests.support.batch_contract import make_batch

PATIENCE_S = 20.0


class Enough(Exception):  # noqa: N818 - it ends a supervisor that has shown what it does
    """The test has seen what it wants to see."""


def submit(root: Path, cluster: str, key: str) -> Records:
    """Write the records of a submission of the one job 10; nothing starts it yet."""
    records = Records(root / "batch" / cluster)
    records.root.mkdir(parents=True)
    write_submission(records.root, make_batch(root / key, key, 10), f"{root}-{key}", 0.0)
    return records


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalBatch]:
    system = LocalBatch(
        tmp_path / "batch", "ws", now=time.time, rng=random.Random(), limits=Limits(slots=1)
    )
    yield system
    system.close()


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Supervisor]:
    """Return a supervisor that runs in this process, and looks often."""
    monkeypatch.setattr(supervisor, "LOOK_S", 0.01)
    home = tmp_path / "batch"
    home.mkdir()
    Limits(slots=1).tell(home)
    lock = take_lock(home)
    assert lock is not None
    yield Supervisor(home, lock)
    with contextlib.suppress(OSError):
        os.close(lock)


def no_longer_json(path: Path) -> None:
    path.write_text(path.read_text()[:-5])


DAMAGES: dict[str, Callable[[Records], Any]] = {
    "no jobs": lambda records: records.jobs.unlink(),
    "no journal": lambda records: records.journal.unlink(),
    "damaged jobs": lambda records: no_longer_json(records.jobs),
    "incomplete events": lambda records: records.journal.write_text('{"event": "started"}\n'),
    "a list of nothing": lambda records: records.jobs.write_text("[]\n"),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_records_cost_no_other_submission_its_jobs(
    system: LocalBatch, tmp_path: Path, damage: Callable[[Records], Any]
) -> None:
    damage(submit(tmp_path, "1", "damaged"))
    submit(tmp_path, "2", "whole")
    submission = system.find("whole")
    assert submission == Submission("whole", "2", 1, 0.0)
    settle(system, submission)
    assert told(tmp_path) == 1


def test_a_damaged_header_costs_no_other_submission_its_jobs(
    system: LocalBatch, tmp_path: Path
) -> None:
    no_longer_json(submit(tmp_path, "1", "damaged").header)
    submit(tmp_path, "2", "whole")
    settle(system, Submission("whole", "2", 1, 0.0))
    assert told(tmp_path) == 1


def settle(system: LocalBatch, submission: Submission) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not (tally := system.poll(submission)).is_over:
        assert time.monotonic() < deadline, tally
        time.sleep(0.05)
    assert tally.problems == ()


def told(root: Path) -> int:
    log = (root / "batch/supervisor.log").read_text()
    return log.count("submission 1 is left out, its records are damaged")


def test_a_supervisor_that_left_jobs_out_is_not_started_again_at_once(
    alone: Supervisor, tmp_path: Path
) -> None:
    submit(tmp_path, "1", "damaged").jobs.unlink()
    alone.run()
    assert not is_supervised(tmp_path / "batch")
    assert not has_ended_well(tmp_path / "batch")


@pytest.mark.parametrize("is_moved", [True, False])
def test_only_a_workspace_that_was_moved_ends_a_supervisor_quietly(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, is_moved: bool
) -> None:
    def losing_a_file(_self: Supervisor) -> NoReturn:
        if is_moved:
            shutil.rmtree(tmp_path / "batch")
        raise FileNotFoundError(errno.ENOENT, "No such file", "limits.json")

    (tmp_path / "batch").mkdir()
    monkeypatch.setattr(os, "fork", lambda: 0)
    monkeypatch.setattr(sys, "argv", ["supervisor", str(tmp_path / "batch")])
    monkeypatch.setattr(Supervisor, "run", losing_a_file)
    with contextlib.nullcontext() if is_moved else pytest.raises(FileNotFoundError):
        supervisor.main()


def test_a_full_disk_that_takes_no_complaint_is_waited_for(
    alone: Supervisor, monkeypatch: pytest.MonkeyPatch
) -> None:
    troubles = [OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))]

    def read(_home: Path) -> Limits:
        if troubles:
            raise troubles.pop()
        return Limits()

    monkeypatch.setattr(Limits, "read", read)
    full = open("/dev/full", "w")  # noqa: PTH123, SIM115 - closing it fails
    monkeypatch.setattr(sys, "stderr", full)
    alone.run()
    assert not troubles
    with contextlib.suppress(OSError):
        full.close()


def open_descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_starter_that_cannot_be_forked_leaves_no_descriptor_open(
    alone: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit(tmp_path, "1", "key")
    outcomes = iter([OSError(errno.EAGAIN, "Resource temporarily unavailable"), Enough()])

    def fork() -> NoReturn:
        raise next(outcomes)

    monkeypatch.setattr(os, "fork", fork)
    before = open_descriptors()
    with pytest.raises(Enough):
        alone.run()
    assert open_descriptors() == before


def test_a_job_above_its_memory_ends_also_when_its_hold_cannot_be_noted(
    alone: Supervisor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lost, records = submit(tmp_path, "1", "lost"), submit(tmp_path, "2", "key")
    hog = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
    with subprocess.Popen(
        ["bash", "-c", f'{sys.executable} -c "{hog}"; true'], stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        event = {"event": "started", "job": 10, "run": 1, "memory_mb": 1}
        identity = identify(starter.pid)
        records.append(event | {"starter": asdict(identity)})
        lost.append(event | {"starter": asdict(replace(identity, started=1))})
        outcomes = iter([OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), Enough()])

        def append(_self: Records, _event: object) -> NoReturn:
            raise next(outcomes)

        monkeypatch.setattr(Records, "append", append)
        try:
            with pytest.raises(Enough):  # that the other job is lost cannot be noted, either
                alone.run()
            starter.wait(PATIENCE_S)
            assert not psutil.pid_exists(pid)
        finally:
            with contextlib.suppress(psutil.NoSuchProcess):
                psutil.Process(pid).kill()
