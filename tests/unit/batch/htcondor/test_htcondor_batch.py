"""The HTCondor batch system on a schedd made of dictionaries."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from auto_iter.alignment.model import Batch, Job, Resources, Submission, Trouble
from auto_iter.batch.htcondor.ends import LOST_AFTER_S
from auto_iter.batch.htcondor.finding import HALF_SPOOLED_AFTER_S
from auto_iter.batch.htcondor.queued import INPUT_LOST_AFTER_S
from auto_iter.batch.htcondor.schedd.protocol import RefusedError
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.batch import HTCondor
from auto_iter.errors import InputError, TransientError

pytest.importorskip("classad2")

from tests.support.schedd_twin import ScheddTwin


@dataclass
class ScheddWorld:
    """A schedd, a clock, and the daemons that come and go."""

    root: Path
    schedd: ScheddTwin = field(default_factory=ScheddTwin)
    seconds: float = 1000.0
    min_poll_interval_s: float = 0.0001

    def open(self, *, spool: bool = True, **settings: object) -> HTCondorBatch:
        given = {"spool": spool, "job_flavour": None, **settings}
        return HTCondorBatch(
            "ws",
            HTCondor.model_validate({"min_poll_interval_s": self.min_poll_interval_s, **given}),
            self.schedd,
            records=self.root / "keys",
            monotonic=self.now,
            sleep=self.sleep,
        )

    def now(self) -> float:
        self.seconds += 0.001  # time passes, however little
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def batch(self, key: str, *numbers: int) -> Batch:
        jobs = tuple(
            Job(number, ("--file", str(number)), f"out_{number}", f"011705/{number:05d}")
            for number in numbers
        )
        script = self.root / "job.sh"
        if self.root.exists():
            script.touch()
        return Batch(
            key=key,
            directory=self.root / "1reco",
            executable=script,
            inputs=(),
            deliver_to=self.root / "2kfalignment",
            jobs=jobs,
            resources=Resources(memory_mb=100),
        )

    def submitted(self, system: HTCondorBatch, *numbers: int, attempt: int = 1) -> Submission:
        return system.submit(self.batch(system.new_key(1, attempt), *numbers))

    def delivered(self) -> set[str]:
        return {path.name for path in (self.root / "2kfalignment").glob("*")}


@pytest.fixture
def world(tmp_path: Path) -> ScheddWorld:
    return ScheddWorld(tmp_path)


def test_a_fresh_key_is_known_to_be_new_without_asking(world: ScheddWorld) -> None:
    system = world.open()
    key = system.new_key(2, 3)
    asked = len(world.schedd.asked)
    assert system.find(key) is None
    assert len(world.schedd.asked) == asked
    assert key == "ws-02-03@bigbird07.cern.ch"


def test_a_key_that_was_used_is_asked_for_though_the_checkpoint_forgot(world: ScheddWorld) -> None:
    first = world.open()
    submission = first.submit(world.batch(first.new_key(1, 1), 400, 401))
    second = world.open()
    assert second.new_key(1, 1) == submission.key
    found = second.find(submission.key)
    assert found is not None
    assert found.cluster == submission.cluster
    assert second.submit(world.batch(submission.key, 400, 401)).cluster == submission.cluster
    assert second.find(second.new_key(1, 2)) is None


def test_another_daemon_finds_the_submission_in_the_queue(world: ScheddWorld) -> None:
    submission = world.submitted(world.open(), 400, 401)
    found = world.open().find(submission.key)
    assert found is not None
    assert (found.cluster, found.jobs, found.schedd) == ("1", 2, "bigbird07.cern.ch")


def test_another_daemon_finds_the_submission_in_the_history(world: ScheddWorld) -> None:
    submission = world.submitted(world.open(spool=False), 400)
    world.schedd.end(400)
    found = world.open().find(submission.key)
    assert found is not None
    assert found.cluster == submission.cluster


def test_nothing_counts_as_nothing_only_when_both_places_said_so_twice(world: ScheddWorld) -> None:
    assert world.open().find("ws-01-01-none@bigbird07.cern.ch") is None
    assert world.schedd.asked.count("history") == 2
    assert world.schedd.asked[0] == "query"


@pytest.mark.parametrize("switch", ["is_down", "history_is_down"])
def test_what_cannot_be_asked_is_not_taken_for_nothing(switch: str, world: ScheddWorld) -> None:
    setattr(world.schedd, switch, True)
    with pytest.raises(TransientError):
        world.open().find("ws-01-01-none@bigbird07.cern.ch")


@pytest.mark.parametrize("spool", [True, False])
def test_with_an_expired_ticket_an_empty_answer_is_not_taken_for_nothing(
    spool: bool, world: ScheddWorld
) -> None:
    submission = world.submitted(world.open(spool=spool), 400, 401)
    world.schedd.knows_us = False
    with pytest.raises(TransientError, match="ticket"):
        world.open(spool=spool).find(submission.key)
    resumed = world.open(spool=spool)
    assert resumed.poll(submission).unknown == 2
    world.seconds += LOST_AFTER_S + 1
    with pytest.raises(TransientError, match="ticket"):
        resumed.poll(submission)
    world.schedd.knows_us = True
    tally = resumed.poll(submission)
    assert (tally.idle, tally.problems) == (2, ())
    assert world.open(spool=spool).find(submission.key) is not None


def test_a_half_spooled_cluster_is_removed_after_a_while_and_submitted_again(
    world: ScheddWorld,
) -> None:
    system = world.open()
    batch = world.batch(system.new_key(1, 1), 400)
    world.schedd.dies_before_spool = True
    with pytest.raises(TransientError):
        system.submit(batch)
    world.schedd.dies_before_spool = False
    resumed = world.open()
    with pytest.raises(TransientError, match="on its way"):
        resumed.find(batch.key)
    assert world.schedd.queue
    world.seconds += HALF_SPOOLED_AFTER_S
    assert resumed.find(batch.key) is None
    assert world.schedd.queue == []
    again = resumed.submit(batch)
    assert again.cluster == "2"
    assert len(world.schedd.queue) == 1


def test_jobs_whose_input_the_schedd_lost_are_removed_after_a_while(world: ScheddWorld) -> None:
    system = world.open()
    world.schedd.forgets_input = True
    submission = world.submitted(system, 400, 401)
    tally = system.poll(submission)
    assert (tally.idle, tally.problems) == (2, ())
    world.seconds += INPUT_LOST_AFTER_S + 1
    system.poll(submission)
    tally = system.poll(submission)
    assert tally.is_over
    assert world.schedd.queue == []
    assert {problem.trouble for problem in tally.problems} == {Trouble.REMOVED}
    assert "lost the input" in tally.problems[0].reason


def test_jobs_are_counted_by_what_they_do(world: ScheddWorld) -> None:
    system = world.open(spool=False)
    submission = world.submitted(system, 400, 401, 402, 403, 404)
    world.schedd.run(401, 402)
    world.schedd.job(402)["JobStatus"] = 6  # it transfers its output: neither failed nor done
    world.schedd.hold(403, 1, "by hand")
    world.schedd.end(404)
    tally = system.poll(submission)
    assert (tally.idle, tally.running, tally.held, tally.ended) == (1, 2, 1, 1)
    (problem,) = tally.problems
    assert (problem.number, problem.trouble, problem.code) == (403, Trouble.HELD, 1)


@pytest.mark.parametrize("spool", [True, False])
def test_how_a_job_failed_is_told_with_its_machine(spool: bool, world: ScheddWorld) -> None:
    system = world.open(spool=spool)
    submission = world.submitted(system, 400, 401, 402)
    world.schedd.end(400)
    world.schedd.end(401, 40)
    world.schedd.end(402, signal=9)
    tally = system.poll(submission)
    assert tally.is_over
    told = [(each.number, each.exit_code, each.signal, each.machine) for each in tally.problems]
    assert told == [(401, 40, None, "node7"), (402, None, 9, "node7")]
    assert system.poll(submission) == tally
    assert world.open(spool=spool).poll(submission) == tally


def test_a_job_cleaned_out_after_it_ended_well_is_not_taken_for_removed(world: ScheddWorld) -> None:
    system = world.open()
    submission = world.submitted(system, 400)
    world.schedd.end(400)
    system.fetch(submission)
    system.retire(submission)
    assert world.schedd.past[0]["JobStatus"] == 3
    assert world.open().poll(submission).problems == ()


def test_a_running_job_that_was_removed_is_no_success_though_its_exit_code_is_0(
    world: ScheddWorld,
) -> None:
    system = world.open(spool=False)
    submission = world.submitted(system, 400)
    world.schedd.run(400)
    world.schedd.job(400).update(ExitCode=0, ExitBySignal=False)
    world.schedd.act("remove", "true", "too long")
    (problem,) = system.poll(submission).problems
    assert (problem.trouble, problem.reason) == (Trouble.REMOVED, "too long")


def test_a_removed_job_counts_as_running_until_its_machine_has_confirmed_its_end(
    world: ScheddWorld,
) -> None:
    system = world.open()
    submission = world.submitted(system, 400, 401)
    world.schedd.run(400)
    world.schedd.machines_are_silent = True
    system.remove(submission, "too long")
    tally = system.poll(submission)
    assert (tally.running, tally.ended, tally.is_over) == (1, 1, False)
    world.schedd.leave(400)
    tally = system.poll(submission)
    assert (tally.ended, tally.is_over) == (2, True)
    assert [each.trouble for each in tally.problems] == [Trouble.REMOVED] * 2


def test_a_job_in_neither_place_is_waited_for_and_lost_at_last(world: ScheddWorld) -> None:
    system = world.open(spool=False)
    submission = world.submitted(system, 400, 401)
    world.schedd.queue.pop()
    tally = system.poll(submission)
    assert (tally.running, tally.unknown, tally.ended, tally.is_over) == (0, 1, 0, False)
    world.seconds += LOST_AFTER_S + 1
    tally = system.poll(submission)
    assert (tally.idle, tally.ended) == (1, 1)
    (problem,) = tally.problems
    assert (problem.number, problem.trouble) == (401, Trouble.LOST)


def test_history_that_lags_is_asked_again(world: ScheddWorld) -> None:
    system = world.open(spool=False)
    submission = world.submitted(system, 400)
    late = world.schedd.queue.pop()
    assert system.poll(submission).unknown == 1
    late.update(JobStatus=4, LastJobStatus=2, ExitCode=0, ExitBySignal=False)
    world.schedd.past.append(late)
    assert system.poll(submission).is_over


def test_outputs_come_home_as_jobs_end_and_stay_home(world: ScheddWorld) -> None:
    system = world.open()
    submission = world.submitted(system, 400, 401)
    world.schedd.end(400)
    system.poll(submission)
    system.fetch(submission)
    assert world.delivered() == {"out_400"}
    world.schedd.leave(400)
    assert system.poll(submission).ended == 1
    assert "history" not in world.schedd.asked
    world.schedd.end(401)
    system.poll(submission)
    system.fetch(submission)
    assert world.delivered() == {"out_400", "out_401"}


def test_one_sandbox_that_does_not_come_keeps_no_other_back(world: ScheddWorld) -> None:
    system = world.open()
    submission = world.submitted(system, 400, 401, 402)
    world.schedd.unreadable = {401}
    for number in (400, 401, 402):
        world.schedd.end(number)
    system.poll(submission)
    for _ in range(2):
        with pytest.raises(TransientError, match="raw file 00401"):
            system.fetch(submission)
        assert world.delivered() == {"out_400", "out_402"}
    system.fetch(submission)
    (problem,) = system.poll(submission).problems
    assert (problem.number, problem.trouble) == (401, Trouble.FAILED)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS])
def test_a_full_disk_of_ours_leaves_the_outputs_with_the_schedd_and_blames_no_job(
    number: int, world: ScheddWorld
) -> None:
    system = world.open()
    submission = world.submitted(system, 400, 401)
    world.schedd.write_error = number
    for each in (400, 401):
        world.schedd.end(each)
    for _ in range(10):
        assert system.poll(submission).problems == ()
        with pytest.raises(TransientError, match=f"{os.strerror(number)}.*stay with the schedd"):
            system.fetch(submission)
    world.schedd.write_error = None
    system.fetch(submission)
    assert system.poll(submission).problems == ()
    assert world.delivered() == {"out_400", "out_401"}


def test_what_can_never_be_written_ends_in_an_error_and_blames_no_job(world: ScheddWorld) -> None:
    system = world.open()
    submission = world.submitted(system, 400)
    world.schedd.write_error = errno.EISDIR
    world.schedd.end(400)
    system.poll(submission)
    for _ in range(5):
        with pytest.raises(InputError, match=r"Is a directory.*resume.*fetches it"):
            system.fetch(submission)
    assert system.poll(submission).problems == ()


def test_a_poll_asks_the_same_whatever_the_number_of_jobs(world: ScheddWorld) -> None:
    system = world.open(spool=False)
    few, many = world.submitted(system, 1), world.submitted(system, *range(100, 400))
    costs = []
    for submission in (few, many):
        system.poll(submission)
        before = len(world.schedd.asked)
        system.poll(submission)
        costs.append(world.schedd.asked[before:])
    assert costs == [["count"], ["count"]]


def test_release_asks_for_more_memory_first_and_frees_only_what_is_meant(
    world: ScheddWorld,
) -> None:
    system = world.open(spool=False)
    submission = world.submitted(system, 400, 401)
    for number in (400, 401):
        world.schedd.hold(number, 34, "memory")
    system.release(submission, {400}, Resources(memory_mb=150))
    assert [job["JobStatus"] for job in world.schedd.queue] == [1, 5]
    assert [job["RequestMemory"] for job in world.schedd.queue] == [150, 100]


def test_between_two_polls_the_schedd_is_left_alone(world: ScheddWorld) -> None:
    world.min_poll_interval_s = 60.0
    system = world.open()
    submission = world.submitted(system, 400, 401)
    world.schedd.end(400)
    system.poll(submission)
    system.fetch(submission)
    asked = len(world.schedd.asked)
    world.schedd.run(401)
    for _ in range(3):  # conversions that end wake the daemon
        world.seconds += 10
        assert system.poll(submission).ended == 1
        system.fetch(submission)
    assert len(world.schedd.asked) == asked
    world.seconds += 31
    assert system.poll(submission).running == 1
    assert len(world.schedd.asked) > asked


def test_between_two_polls_the_event_log_tells_how_many_run(world: ScheddWorld) -> None:
    world.min_poll_interval_s = 60.0
    system = world.open(spool=False)
    submission = world.submitted(system, 400, 401, 402)
    assert system.poll(submission).idle == 3
    asked = len(world.schedd.asked)
    (logs,) = (world.root / "1reco/logs").parent.glob("logs")
    log = logs / f"events_{submission.key.partition('@')[0]}.log"
    log.write_text(
        "000 (7.000.000) 2026-11-25 10:00:00 Job submitted from host: <1.2.3.4>\n...\n"
        "001 (7.000.000) 2026-11-25 10:00:01 Job executing on host: <1.2.3.4>\n...\n"
        "001 (7.001.000) 2026-11-25 10:00:01 Job executing on host: <1.2.3.4>\n...\n"
    )
    assert system.has_news([submission])
    assert not system.has_news([submission])  # it was told
    assert (system.poll(submission).running, system.poll(submission).idle) == (2, 1)
    with log.open("a") as more:
        more.write("005 (7.000.000) 2026-11-25 10:00:02 Job terminated.\n...\n")
        more.write("004 (7.001.000) 2026-11-25 10:00:02 Job was evicted.\n...\n")
    assert not system.has_news([submission])  # not for each event by itself
    world.seconds += 10
    assert system.has_news([submission])
    # how the first one ended is not known yet, so it is not counted as ended
    assert (system.poll(submission).running, system.poll(submission).idle) == (1, 2)
    assert len(world.schedd.asked) == asked


def test_what_was_changed_is_looked_at_without_delay(world: ScheddWorld) -> None:
    world.min_poll_interval_s = 60.0
    system = world.open(spool=False)
    submission = world.submitted(system, 400, 401)
    world.schedd.hold(400, 13, "no input")
    assert system.poll(submission).held == 1
    system.release(submission, {400})
    assert system.poll(submission).held == 0
    system.remove(submission, "over", {401})
    assert system.poll(submission).ended == 1


def test_where_jobs_ended_well_is_known_also_after_a_restart(world: ScheddWorld) -> None:
    system = world.open(spool=False)
    submission = world.submitted(system, 400, 401)
    world.schedd.end(400)
    world.schedd.end(401, 40)
    assert system.poll(submission).proven_machines == {"node7"}
    assert world.open(spool=False).poll(submission).proven_machines == {"node7"}
    spooled = world.open()
    submission = world.submitted(spooled, 402, attempt=2)
    world.schedd.end(402)
    spooled.poll(submission)
    spooled.fetch(submission)
    assert spooled.poll(submission).proven_machines == {"node7"}


def test_spooled_jobs_whose_input_cannot_be_read_make_no_cluster(world: ScheddWorld) -> None:
    system = world.open()
    batch = world.batch(system.new_key(1, 1), 400)
    batch.executable.unlink()
    with pytest.raises(FileNotFoundError):
        system.submit(batch)
    assert "submit" not in world.schedd.asked


def test_the_same_refusal_three_times_is_final_and_in_the_schedds_words(world: ScheddWorld) -> None:
    system = world.open()
    batch = world.batch(system.new_key(1, 1), 400)
    world.schedd.refusal = "no jobs of yours today"
    for _ in range(2):
        with pytest.raises(RefusedError, match="no jobs of yours today"):
            system.submit(batch)
    with pytest.raises(InputError, match="no jobs of yours today"):
        system.submit(batch)


def test_a_refusal_that_was_a_passing_one_is_forgotten(world: ScheddWorld) -> None:
    system = world.open()
    for attempt in range(1, 5):
        batch = world.batch(system.new_key(1, attempt), 400)
        world.schedd.refusal = "no jobs of yours now"
        with pytest.raises(RefusedError):
            system.submit(batch)
        world.schedd.refusal = None
        system.submit(batch)


def test_cerns_limits_hold_for_spooled_jobs_at_cern_only(world: ScheddWorld) -> None:
    assert world.open().limits() == (100, 500)
    assert world.open(max_jobs_in_queue=7).limits() == (100, 7)
    assert world.open(spool=False).limits() == (None, None)
    assert world.open(spool=False, max_jobs_per_submission=7).limits() == (7, None)
    world.schedd.called = "faser@localhost"
    assert world.open().limits() == (None, None)


def test_where_jobs_run_is_asked_only_when_some_have_failed(world: ScheddWorld) -> None:
    system = world.open(spool=False)
    submission = world.submitted(system, 400, 401, 402)
    world.schedd.run(400, 401, 402)
    for number in (400, 401):
        world.schedd.job(number)["RemoteHost"] = "slot1@node8"
    assert system.poll(submission).busy_machines == set()
    world.schedd.end(402, 40)
    assert system.poll(submission).busy_machines == {"node8"}


def test_each_submission_stores_a_fresh_credential_and_none_happens_without(
    world: ScheddWorld,
) -> None:
    system = world.open(send_credential=True)
    batch = world.batch(system.new_key(1, 1), 400)
    world.schedd.knows_us = False
    with pytest.raises(TransientError, match="no ticket"):
        system.submit(batch)
    assert world.schedd.queue == []
    world.schedd.knows_us = True
    world.schedd.asked.clear()
    system.submit(batch)
    assert world.schedd.asked == ["store_credential", "submit", "spool"]


def test_from_eos_only_spooled_jobs_are_submitted(world: ScheddWorld) -> None:
    world.root = Path("/eos/user/f/faser/Y2023_R011705_F400-450/iter01")
    system = world.open(spool=False)
    with pytest.raises(InputError, match=r"not spooled.*htcondor.spool=true"):
        system.submit(world.batch(system.new_key(1, 1), 400))
    assert world.schedd.queue == []


def test_paths_go_to_the_schedd_as_they_were_given(tmp_path: Path) -> None:
    # On EOS the path that a user gives and the one that links lead to are different strings, and
    # only the first means the same on every machine.
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    world = ScheddWorld(tmp_path / "link")
    world.submitted(world.open(), 400)
    assert world.schedd.queue[0]["SUBMIT_Iwd"] == str(tmp_path / "link" / "1reco")
