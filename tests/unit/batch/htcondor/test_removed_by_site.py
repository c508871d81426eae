"""What a site removes is told as what it was: held for too long, or longer than its flavour."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.alignment.model import Action, Batch, Job, Problem, Resources, Submission, Trouble
from auto_iter.batch.htcondor.flavours import SECONDS, flavour_for
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.batch import Holds, HTCondor
from tests.support.schedd_twin import ScheddTwin

POLICY = "The system macro SYSTEM_PERIODIC_REMOVE expression '...' evaluated to TRUE"
TWO_HOURS = 7200


def made(
    tmp_path: Path, schedd: ScheddTwin, config: HTCondor, time_s: float | None = None
) -> tuple[HTCondorBatch, Submission]:
    system = HTCondorBatch("ws", config, schedd, records=tmp_path / "keys")
    job = Job(400, (), "out_400", "011705/00400", time_s=time_s)
    script = tmp_path / "job.sh"
    script.touch()
    batch = Batch(
        key=system.new_key(1, 1), directory=tmp_path / "1reco", executable=script, inputs=(),
        deliver_to=tmp_path, jobs=(job,), resources=Resources(memory_mb=100),
    )  # fmt: skip
    return system, system.submit(batch)


DIRECT = HTCondor(spool=False)


def the_problem(system: HTCondorBatch, submission: Submission) -> Problem:
    tally = system.poll(submission)
    assert tally.is_over
    (problem,) = tally.problems
    return problem


def test_a_job_that_ran_longer_than_its_flavour_asks_for_the_next_one(tmp_path: Path) -> None:
    schedd = ScheddTwin()
    system, submission = made(tmp_path, schedd, DIRECT)
    assert schedd.job(400)["JobFlavour"] == "longlunch"
    schedd.run(400)
    schedd.remove_by_policy(400, POLICY, ran_s=TWO_HOURS + 30)
    problem = the_problem(system, submission)
    assert problem.trouble is Trouble.OVERRAN
    assert problem.reason == "ran 2:00 h, the limit of longlunch"
    remedy = system.remedy(problem, 0)
    assert (remedy.action, remedy.time_s) == (Action.MORE_TIME, SECONDS["workday"])


def test_what_needs_more_time_gets_it_in_its_own_job(tmp_path: Path) -> None:
    schedd = ScheddTwin()
    made(tmp_path, schedd, DIRECT, time_s=SECONDS["workday"])
    assert schedd.job(400)["JobFlavour"] == "workday"


def test_a_flavour_is_never_shorter_than_the_configured_one() -> None:
    assert flavour_for(60.0, "tomorrow") == "tomorrow"
    assert flavour_for(None, "espresso") == "espresso"


@pytest.mark.parametrize(
    ("config", "limit_s"),
    [(HTCondor(flavour_cap="longlunch"), 7200.0), (HTCondor(), 86400.0),
     (HTCondor(job_flavour=None), 7200.0)],
)  # fmt: skip
def test_beyond_the_cap_a_file_is_given_up(
    tmp_path: Path, config: HTCondor, limit_s: float
) -> None:
    system = HTCondorBatch("ws", config, ScheddTwin(), records=tmp_path)
    problem = Problem(400, Trouble.OVERRAN, "ran too long", limit_s=limit_s)
    assert system.remedy(problem, 0).action is Action.GIVE_UP


@pytest.mark.parametrize(
    ("reason", "ran_s"),
    [(POLICY, 600), ("via condor_rm (by user faser)", TWO_HOURS + 30)],
)
def test_other_removals_are_no_time_limit(tmp_path: Path, reason: str, ran_s: int) -> None:
    schedd = ScheddTwin()
    system, submission = made(tmp_path, schedd, DIRECT)
    schedd.run(400)
    schedd.remove_by_policy(400, reason, ran_s=ran_s)
    problem = the_problem(system, submission)
    assert (problem.trouble, problem.reason) == (Trouble.REMOVED, reason)


def test_a_held_job_that_the_site_removes_keeps_the_reason_of_its_hold(tmp_path: Path) -> None:
    schedd = ScheddTwin()
    system, submission = made(tmp_path, schedd, DIRECT)
    schedd.hold(400, 13, "Transfer input files failure")
    schedd.remove_by_policy(400, POLICY)
    problem = the_problem(system, submission)
    assert (problem.trouble, problem.code) == (Trouble.EXPIRED, 13)
    assert problem.reason == "removed by the site after being held: Transfer input files failure"
    assert system.remedy(problem, 0).action is Action.RELEASE


def test_a_held_job_that_a_person_removes_is_that_persons_affair(tmp_path: Path) -> None:
    schedd = ScheddTwin()
    system, submission = made(tmp_path, schedd, DIRECT)
    schedd.hold(400, 13, "Transfer input files failure")
    schedd.remove_by_policy(400, "via condor_rm (by user faser)")
    assert the_problem(system, submission).trouble is Trouble.REMOVED


@pytest.mark.parametrize(
    ("schedd", "hours", "limit_h"),
    [("bigbird07.cern.ch", None, 24), ("schedd.elsewhere.org", None, None),
     ("schedd.elsewhere.org", 6, 6), ("bigbird07.cern.ch", 48, 48)],
)  # fmt: skip
def test_remedies_come_well_before_the_site_removes(
    tmp_path: Path, schedd: str, hours: float | None, limit_h: float | None
) -> None:
    holds = Holds(release_pause_s=100 * 3600, site_removes_after_h=hours)
    twin = ScheddTwin(called=schedd)
    system = HTCondorBatch("ws", HTCondor(holds=holds), twin, records=tmp_path)
    remedy = system.remedy(Problem(400, Trouble.HELD, "no input", code=13), 0)
    assert remedy.removed_after_s == (None if limit_h is None else limit_h * 3600)
    assert remedy.pause_s == (100 if limit_h is None else limit_h / 4) * 3600


def test_when_a_job_was_held_is_known_though_nobody_was_there(tmp_path: Path) -> None:
    schedd = ScheddTwin()
    system, submission = made(tmp_path, schedd, DIRECT)
    schedd.hold(400, 13, "no input")
    (problem,) = system.poll(submission).problems
    assert problem.since == schedd.time
