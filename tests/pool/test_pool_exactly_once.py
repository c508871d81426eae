"""Killed in any window of a submission, the daemon ends up with one cluster that ran."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from auto_iter.alignment.model import Submission, Trouble
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ads import Ad
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.batch.htcondor.system import HTCondorBatch
from tests.pool.conftest import PATIENCE_S, Opener, settled, wait_for
from tests.pool.processes import is_in_the_pool
from tests.pool.submitter import NUMBERS
from tests.support.batch_contract import make_batch


def start_submitter(window: str, root: Path, *, spool: bool) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.pool.submitter", window, str(spool), str(root)]
    )


def as_resumed(system: HTCondorBatch, root: Path, key: str) -> Submission:
    """Do what submit_reco does with an intent whose outcome nobody noted."""
    found: list[Submission | None] = []

    def is_told() -> bool:
        found.append(system.find(key))
        return True

    wait_for(is_told)
    return found[-1] or system.submit(make_batch(root, key, *NUMBERS))


def clusters_that_ran(calls: ScheddProcess, key: str) -> set[int]:
    ran = f"{ads.with_key(key)} && NumJobStarts > 0"
    asked = ("ClusterId", "ProcId")
    seen: Iterable[Ad] = [
        *calls.query(ran, asked),
        *calls.history(ran, asked, limit=1000),
    ]
    return {int(ad["ClusterId"]) for ad in seen}


def check_it_ran_once(
    system: HTCondorBatch, calls: ScheddProcess, submission: Submission, root: Path
) -> None:
    tally = settled(system, submission, lambda tally: tally.is_over)
    system.fetch(submission)
    assert (tally.ended, tally.problems, submission.jobs) == (len(NUMBERS), (), len(NUMBERS))
    assert clusters_that_ran(calls, submission.key) == {int(submission.cluster)}
    if (root / "spooled").exists():
        names = {path.name for path in (root / "2kfalignment").iterdir()}
        assert names == {f"result_{number}" for number in NUMBERS}


@pytest.mark.parametrize(
    ("spool", "window"),
    [
        (True, "before submit"),
        (True, "after submit"),
        (True, "after spool"),
        (False, "before submit"),
        (False, "after submit"),
    ],
)
def test_killed_in_a_window_one_cluster_runs(
    spool: bool, window: str, open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    died = start_submitter(window, tmp_path, spool=spool)
    assert died.wait(timeout=PATIENCE_S) == -signal.SIGKILL
    if spool:
        (tmp_path / "spooled").touch()
    system = open_batch(spool=spool)
    key = (tmp_path / "key").read_text()
    check_it_ran_once(system, calls, as_resumed(system, tmp_path, key), tmp_path)


def test_killed_at_random_moments_one_cluster_runs(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    (tmp_path / "spooled").touch()
    for attempt in range(4):
        root = tmp_path / str(attempt)
        root.mkdir()
        dying = start_submitter("none", root, spool=True)
        wait_for((root / "key").exists)
        time.sleep(random.uniform(0.0, 0.05))
        dying.kill()
        dying.wait()
        system = open_batch(spool=True)
        key = (root / "key").read_text()
        check_it_ran_once(system, calls, as_resumed(system, root, key), root)


def test_a_half_spooled_cluster_is_removed_and_leaves_nothing_behind(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    start_submitter("after submit", tmp_path, spool=True).wait(timeout=PATIENCE_S)
    key = (tmp_path / "key").read_text()
    (held, *_) = calls.query(ads.with_key(key), ads.JOB)
    problem = ads.problem_of(held)
    assert problem is not None
    assert problem.code == 16
    found: list[object] = []

    def is_told() -> bool:
        found.append(open_system.find(key))
        return True

    open_system = open_batch(spool=True)
    wait_for(is_told)
    assert found == [None]
    assert calls.count(ads.with_key(key)).total == 0


def test_a_key_names_the_schedd_so_that_it_is_found_from_elsewhere(open_batch: Opener) -> None:
    assert open_batch().new_key(1, 1).endswith("@faser@localhost")


def test_the_child_process_dies_with_the_daemon(tmp_path: Path) -> None:
    start_submitter("after submit", tmp_path, spool=True).wait(timeout=PATIENCE_S)

    def is_gone() -> bool:
        mine = (p for p in psutil.process_iter(["cmdline", "uids", "ppid"]) if _is_ours(p))
        return all(process.info["ppid"] != 1 for process in mine)

    wait_for(is_gone, "a child outlived the process that submitted")


def _is_ours(process: psutil.Process) -> bool:
    uids = process.info["uids"]
    command = process.info["cmdline"] or []
    return "auto_iter.batch.htcondor.schedd.calls" in command and uids and uids.real == os.getuid()


@contextmanager
def silent_machine() -> Iterator[Callable[[], None]]:
    """Freeze all that talks for the machine on which jobs run; give what thaws it again."""
    frozen = [
        process
        for process in psutil.process_iter(["name"])
        if process.info["name"] in {"condor_startd", "condor_starter"}
        and is_in_the_pool(process.pid)
    ]
    for process in frozen:
        process.suspend()

    def thaw() -> None:
        for process in frozen:
            with suppress(psutil.NoSuchProcess):
                process.resume()

    try:
        yield thaw
    finally:
        thaw()


@pytest.mark.parametrize("spool", [True, False])
def test_a_removed_job_may_still_run_until_its_machine_says_that_it_does_not(
    spool: bool, open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=spool)
    submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), 40))
    settled(system, submission, lambda tally: tally.running == 1)
    with silent_machine() as thaw:
        system.remove(submission, "too long")
        wait_for(lambda: calls.count("JobStatus == 3").total == 1)
        for _ in range(10):
            tally = system.poll(submission)
            assert (tally.running, tally.is_over) == (1, False)
            time.sleep(0.1)
        thaw()
    (problem,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert problem.trouble is Trouble.REMOVED
