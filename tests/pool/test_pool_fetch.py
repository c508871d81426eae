"""Outputs come home as jobs finish, whole and once; then the queue is empty."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.errors import InputError
from tests.pool.conftest import Opener, managed, settled, wait_for
from tests.support.batch_contract import make_batch


def test_outputs_are_fetched_while_other_jobs_still_run(open_batch: Opener, tmp_path: Path) -> None:
    system = open_batch(spool=True)
    submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), 10, 20, 40))
    settled(system, submission, lambda tally: tally.ended == 2 and tally.running == 1)
    system.fetch(submission)
    assert [path.name for path in (tmp_path / "2kfalignment").iterdir()] == ["result_10"]
    logs = tmp_path / "1reco" / "logs"
    assert (logs / "reco_00020.err").read_text() == "bad luck\n"
    assert not (tmp_path / "1reco" / "011705" / "00010" / "result_10").exists()
    system.fetch(submission)
    tally = system.poll(submission)
    assert (tally.ended, tally.running) == (2, 1)


def test_after_a_restart_what_was_retrieved_but_not_moved_is_delivered(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    before = open_batch(spool=True)
    submission = before.submit(make_batch(tmp_path, before.new_key(1, 1), 10, 11))
    settled(before, submission, lambda tally: tally.is_over)
    calls.retrieve(int(submission.cluster), [0, 1])
    assert list((tmp_path / "2kfalignment").iterdir()) == []
    for system in (open_batch(spool=True), open_batch(spool=True)):
        tally = settled(system, submission, lambda tally: tally.is_over)
        system.fetch(submission)
        assert (tally.ended, tally.problems) == (2, ())
        names = {path.name for path in (tmp_path / "2kfalignment").iterdir()}
        assert names == {"result_10", "result_11"}


def test_retiring_leaves_the_queue_empty_and_the_verdict_as_it_was(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=True)
    submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), 10, 20))
    tally = settled(system, submission, lambda tally: tally.is_over)
    system.fetch(submission)
    system.retire(submission)
    wait_for(lambda: calls.count(ads.of(submission)).total == 0)
    assert settled(open_batch(spool=True), submission, lambda now: now.is_over) == tally


def test_a_sandbox_that_the_schedd_cannot_read_is_the_jobs_problem_and_no_one_elses(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=True)
    submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), 10, 11))
    settled(system, submission, lambda tally: tally.is_over)
    (ad,) = calls.query(f"{ads.of(submission)} && ProcId == 0", ("Iwd",))
    (Path(os.environ["POOL_DIR"] + str(ad["Iwd"])) / "result_10").unlink()
    managed(lambda: system.fetch(submission))
    (problem,) = system.poll(submission).problems
    assert (problem.number, "could not be fetched" in problem.reason) == (10, True)
    assert [path.name for path in (tmp_path / "2kfalignment").iterdir()] == ["result_11"]
    assert calls.count(ads.of(submission)).total >= 1


def test_what_cannot_be_written_here_stays_with_the_schedd_and_no_job_is_blamed(
    open_batch: Opener, tmp_path: Path
) -> None:
    system = open_batch(spool=True)
    submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), 10, 11))
    settled(system, submission, lambda tally: tally.is_over)
    # A directory where the log of one job should go cannot be overwritten by it.
    in_the_way = tmp_path / "1reco" / "logs" / "reco_00010.out"
    in_the_way.mkdir()
    for _ in range(4):
        with pytest.raises(InputError, match=r"reco_00010.out: Is a directory.*resume"):
            system.fetch(submission)
    assert [path.name for path in (tmp_path / "2kfalignment").iterdir()] == ["result_11"]
    in_the_way.rmdir()
    system.fetch(submission)
    assert len(list((tmp_path / "2kfalignment").iterdir())) == 2
    assert system.poll(submission).problems == ()


def test_a_direct_submission_tells_at_once_when_its_last_job_ends(
    open_batch: Opener, tmp_path: Path
) -> None:
    system = open_batch(spool=False, min_poll_interval_s=3600)
    submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), 10, 11))
    assert system.poll(submission).ended == 0
    assert not system.has_news([submission])
    wait_for(lambda: system.has_news([submission]) and system.poll(submission).is_over)
    assert system.poll(submission).problems == ()
    assert not system.has_news([submission])


def test_after_a_restart_the_event_log_is_found_again(open_batch: Opener, tmp_path: Path) -> None:
    first = open_batch(spool=False)
    submission = first.submit(make_batch(tmp_path, first.new_key(1, 1), 40))
    settled(first, submission, lambda tally: tally.running == 1)
    second = open_batch(spool=False)
    second.poll(submission)
    first.remove(submission, "end it")
    wait_for(lambda: second.has_news([submission]))
