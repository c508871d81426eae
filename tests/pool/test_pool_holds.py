"""Each kind of hold that the pool can be made to produce meets its remedy."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from auto_iter.alignment.model import Action, Batch, Problem, Resources, Submission, Trouble
from auto_iter.batch.holds import decide
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.batch import Holds
from tests.pool.conftest import Opener, settled
from tests.support.batch_contract import make_batch

HUNGRY = """#!/bin/bash
[ -e {flag} ] && exit 0
touch {flag}
exec python3 -c 'import time; eaten = bytearray(120 << 20); time.sleep(120)'
"""
POLICY = Holds(memory_factor=8, memory_cap_mb=1000, max_releases=1)


def held(system: HTCondorBatch, submission: Submission) -> Problem:
    (problem,) = settled(system, submission, lambda tally: tally.held == 1).problems
    assert problem.trouble is Trouble.HELD
    assert problem.reason
    return problem


def ends_well(system: HTCondorBatch, submission: Submission) -> None:
    assert settled(system, submission, lambda tally: tally.is_over).problems == ()


@pytest.fixture
def batch(tmp_path: Path) -> Callable[..., Batch]:
    """Make a batch of one job that ends well after the given changes."""

    def make(system: HTCondorBatch, script: str | None = None, **changes: object) -> Batch:
        made = make_batch(tmp_path, system.new_key(1, 1), 10)
        if script is not None:
            made.executable.write_text(script)
        return replace(made, **changes)  # type: ignore[arg-type]  # fields of a Batch

    return make


def test_memory_is_raised_and_the_job_released(
    open_batch: Opener, batch: Callable[..., Batch], calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=True)
    script = HUNGRY.format(flag=tmp_path / "ran_once")
    submission = system.submit(batch(system, script, resources=Resources(memory_mb=50)))
    problem = held(system, submission)
    remedy = decide(problem, 0, POLICY)
    assert (problem.code, problem.subcode, problem.memory_mb) == (26, 34, 50)
    assert (remedy.action, remedy.memory_mb) == (Action.MORE_MEMORY, 400)
    system.release(submission, {10}, Resources(memory_mb=remedy.memory_mb))
    (ad,) = calls.query(f"ClusterId == {submission.cluster}", ("RequestMemory",))
    assert ad == {"RequestMemory": 400}
    ends_well(system, submission)


def test_a_missing_input_is_released_once_it_is_there(
    open_batch: Opener, batch: Callable[..., Batch], tmp_path: Path
) -> None:
    system = open_batch(spool=False)
    absent = tmp_path / "absent.txt"
    submission = system.submit(batch(system, inputs=(absent,)))
    problem = held(system, submission)
    assert (problem.code, problem.subcode) == (13, 2)
    assert decide(problem, 0, POLICY).action is Action.RELEASE
    assert decide(problem, 1, POLICY).action is Action.GIVE_UP
    absent.write_text("here now\n")
    system.release(submission, {10})
    ends_well(system, submission)


def test_a_failed_output_transfer_is_released_once_it_can_work(
    open_batch: Opener, batch: Callable[..., Batch], tmp_path: Path
) -> None:
    place = {
        "transfer_output_files": "result_10",
        "transfer_output_remaps": '"result_10 = outputs/result_10"',
    }
    system = open_batch(spool=False, extra=place)
    outputs = tmp_path / "1reco" / "outputs"
    outputs.mkdir(parents=True)
    made = batch(system)
    submission = system.submit(made)
    outputs.chmod(0o500)
    problem = held(system, submission)
    assert (problem.code, problem.exit_code) == (12, 0)
    assert decide(problem, 0, POLICY).action is Action.RELEASE
    outputs.chmod(0o700)
    system.release(submission, {10})
    ends_well(system, submission)


def test_a_job_that_cannot_start_is_tried_once_more_and_given_up(
    open_batch: Opener, batch: Callable[..., Batch]
) -> None:
    system = open_batch(spool=True)
    submission = system.submit(batch(system, "#!/no/such/interpreter\n"))
    problem = held(system, submission)
    assert problem.code == 6
    assert decide(problem, 0, POLICY).action is Action.RELEASE
    assert decide(problem, 1, POLICY).action is Action.GIVE_UP
    system.remove(submission, "given up", {10})
    (removed,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert (removed.trouble, "given up" in removed.reason) == (Trouble.REMOVED, True)


def test_what_a_person_holds_stays_held(
    open_batch: Opener, batch: Callable[..., Batch], calls: ScheddProcess
) -> None:
    system = open_batch(spool=False, extra={"requirements": "False"})
    submission = system.submit(batch(system))
    settled(system, submission, lambda tally: tally.idle == 1)
    calls.act("hold", f"ClusterId == {submission.cluster}", "let me look first")
    problem = held(system, submission)
    assert problem.code == 1
    assert "let me look first" in problem.reason
    assert decide(problem, 0, POLICY).action is Action.LEAVE


def test_a_job_that_takes_too_long_is_given_up(
    open_batch: Opener, batch: Callable[..., Batch]
) -> None:
    system = open_batch(spool=True)
    script = "#!/bin/bash\nsleep 600\n"
    submission = system.submit(batch(system, script, resources=Resources(time_limit_s=2)))
    problem = held(system, submission)
    assert problem.code == 46
    assert decide(problem, 0, POLICY).action is Action.GIVE_UP


def test_a_job_that_the_site_removes_for_its_time_asks_for_more(
    open_batch: Opener, batch: Callable[..., Batch]
) -> None:
    site = {
        "periodic_remove": "JobStatus == 2 && time() - JobCurrentStartDate > MaxRuntime",
        "My.MaxRuntime": "3",
    }
    system = open_batch(spool=True, extra=site, job_flavour="longlunch")
    submission = system.submit(batch(system, "#!/bin/bash\nsleep 600\n"))
    (problem,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert (problem.trouble, problem.limit_s) == (Trouble.OVERRAN, 3)
    assert problem.reason == "ran 0:00 h, the limit of longlunch"
    assert system.remedy(problem, 0).action is Action.MORE_TIME


def test_a_held_job_that_the_site_removes_is_told_with_the_reason_of_its_hold(
    open_batch: Opener, batch: Callable[..., Batch], tmp_path: Path
) -> None:
    site = {"periodic_remove": "JobStatus == 5 && time() - EnteredCurrentStatus > 3"}
    system = open_batch(spool=False, extra=site)
    submission = system.submit(batch(system, inputs=(tmp_path / "absent.txt",)))
    assert held(system, submission).code == 13
    (problem,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert (problem.trouble, problem.code, problem.subcode) == (Trouble.EXPIRED, 13, 2)
    assert "absent.txt" in problem.reason
    assert system.remedy(problem, 0).action is Action.RELEASE


def test_what_is_held_while_its_input_travels_is_left_alone(
    open_batch: Opener, batch: Callable[..., Batch]
) -> None:
    system = open_batch(spool=True)
    submission = system.submit(batch(system))
    # For about a second after spooling the schedd holds the cluster; that is nobody's problem.
    tally = system.poll(submission)
    assert (tally.idle, tally.held, tally.problems) == (1, 0, ())
    ends_well(system, submission)


def test_a_job_that_failed_twice_succeeds_at_the_third_run(
    open_batch: Opener, batch: Callable[..., Batch], tmp_path: Path
) -> None:
    system = open_batch(spool=True, max_retries=3)
    counter = tmp_path / "runs"
    script = f"#!/bin/bash\necho run >>{counter}\n[ $(wc -l <{counter}) -ge 3 ]\n"
    submission = system.submit(batch(system, script))
    ends_well(system, submission)
    assert counter.read_text().count("run") == 3
    assert os.access(tmp_path / "1reco" / "logs" / "reco_00010.log", os.F_OK) is False


@pytest.mark.parametrize(("code", "runs"), [(34, 1), (20, 3)])
def test_what_another_run_would_not_change_is_not_run_again(
    open_batch: Opener, batch: Callable[..., Batch], tmp_path: Path, code: int, runs: int
) -> None:
    system = open_batch(spool=True, max_retries=2)
    counter = tmp_path / "runs"
    submission = system.submit(batch(system, f"#!/bin/bash\necho run >>{counter}\nexit {code}\n"))
    (problem,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert problem.exit_code == code
    assert counter.read_text().count("run") == runs
