"""What goes wrong around the daemon for a long time, or in an unlucky order."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.model import Batch, Problem, Submission
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.lifecycle import abandoned, revive
from auto_iter.daemon.loop import Daemon, Ending
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.signals import Signals
from auto_iter.daemon.status import Status
from auto_iter.errors import FencedError, Hindrance, LimitError, TransientError
from auto_iter.processes.children import start_child
from auto_iter.workspace.paths import Workspace
from states.next_iteration import begin
from tests.support.alone import sink_of
from tests.support.twins import TwinSleeper
from tests.support.world import Killed, World, held


def test_trouble_may_last_for_weeks() -> None:
    world = World(iterations=1)

    def poll(_submission: Submission) -> None:
        raise TransientError("the schedd is down", 5.0)

    world.batch.poll = poll  # type: ignore[method-assign, assignment]
    assert world.daemon(stop_after=1100).run() is Ending.INTERRUPTED


def test_an_ended_child_does_not_cut_the_pause_short() -> None:
    world = World(iterations=1)
    polls: list[float] = []

    def poll(_submission: Submission) -> None:
        polls.append(time.monotonic())
        raise TransientError("the schedd is down")

    child = start_child(["true"], env=os.environ, workspace=Path())
    child.process.wait()
    world.batch.poll = poll  # type: ignore[method-assign, assignment]
    world.millepede.watch = lambda: [child.pidfd]  # type: ignore[method-assign]
    begun = time.monotonic()
    sleeper = _Impatient(begun + 1.0)
    daemon = world.daemon()
    Daemon(daemon.snapshot, daemon._states, daemon._ports, sleeper, sink_of(world.save)).run()  # noqa: SLF001
    child.finish()
    assert len(polls) == 1


class _Impatient(Signals):
    """Asks to stop at a moment, and sleeps no longer than that."""

    def __init__(self, until: float) -> None:
        super().__init__()
        self._until = until

    def should_stop(self) -> bool:
        return time.monotonic() > self._until

    def sleep(self, seconds: float, *args: object, **more: object) -> None:
        super().sleep(min(seconds, 1.1), *args, **more)  # type: ignore[arg-type]


def test_jobs_that_meet_the_full_disk_first_have_not_failed() -> None:
    world = World(iterations=1, fails={400: 1, 401: 1}, settings={"max_attempts": 1})
    world.reconstruction.disk_is_full = False
    turns, pass_time = Counter[str](), world.pass_time

    def passing(_seconds: float) -> None:
        turns["all"] += 1
        world.reconstruction.disk_is_full = 1 < turns["all"] < 50
        pass_time(_seconds)

    world.pass_time = passing  # type: ignore[method-assign]
    assert world.run() is Ending.DONE
    assert world.saved.failures == {}
    assert turns["all"] > 50  # it waited, and submitted nothing meanwhile
    assert len(world.batch.submissions) == 2


def test_on_a_full_disk_jobs_that_do_not_start_are_explained() -> None:
    world = World(iterations=1)
    daemon = world.daemon(stop_after=1)
    daemon.run()
    world.reconstruction.disk_is_full = True
    world.pass_time = lambda _seconds: None  # type: ignore[method-assign]
    world.daemon(stop_after=3).run()
    assert world.saved.hindrance is not None
    assert "disk is full" in world.saved.hindrance.reason
    assert world.saved.hindrance.kind is Hindrance.DISK


def test_a_job_held_for_a_full_disk_is_released_once_there_is_room() -> None:
    holds = {400: [held(400, 12, subcode=errno.ENOSPC)] * 6}
    world = World(iterations=1, holds=holds, settings={"max_attempts": 1})
    assert world.run() is Ending.DONE
    assert world.saved.releases == {400: 6}


@pytest.mark.parametrize("error", [TransientError("stale"), OSError(errno.ESTALE, "stale")])
def test_what_cannot_be_watched_is_polled(error: Exception) -> None:
    world = World(iterations=1)

    def watch(_live: object) -> None:
        raise error

    world.batch.watch = watch  # type: ignore[method-assign, assignment]
    assert world.run() is Ending.DONE


def test_who_looks_on_cannot_end_the_daemon() -> None:
    world = World(iterations=1)

    def seen(_snapshot: Snapshot) -> None:
        raise OSError(errno.ESTALE, "stale")

    daemon = world.daemon()
    daemon._sink = sink_of(world.save, seen)  # noqa: SLF001 - composed here, not in the world
    assert daemon.run() is Ending.DONE


def test_the_lock_is_kept_fresh_while_nothing_happens() -> None:
    world = World(iterations=1)
    signs: list[float] = []
    daemon = world.daemon(stop_after=3)
    daemon._sink = sink_of(world.save, alive=lambda: signs.append(1.0))  # noqa: SLF001
    daemon._sleeper = _Looking(world.clock, world.pass_time, 3)  # noqa: SLF001
    daemon.run()
    assert signs


class _Looking(TwinSleeper):
    """Looks for news once in each sleep, as the real one does every second."""

    def sleep(self, seconds: float, descriptors: object = (), has_news: object = None) -> None:
        del descriptors
        assert callable(has_news)
        has_news()
        super().sleep(seconds)


def test_jobs_held_in_two_submissions_are_both_released() -> None:
    world = World(iterations=1, limits=(1, None))
    world.holds = {400: [held(400, 12)], 401: [held(401, 12)]}
    assert world.daemon(stop_after=200).run() is Ending.DONE


def test_a_bad_output_that_has_no_try_left_is_not_passed_over() -> None:
    world = World(iterations=1, settings={"max_attempts": 1})
    world.reconstruction.outputs[1] = set(world.files)
    world.millepede.bad = {401}
    assert world.run() is Ending.FAILED
    assert not world.millepede.solved


def test_a_late_output_hides_no_file_that_was_given_up() -> None:
    world = World(iterations=1)
    world.saved = world.saved.but(
        state="submit_reco", failures={400: 3, 401: 1}, troubles={400: "x", 401: "y"}
    )
    world.reconstruction.outputs[1] = {401, 402}
    assert world.run() is Ending.FAILED


def test_a_second_run_that_fails_leaves_the_first_one_alone() -> None:
    settings = {"straggler_quantile": 0.8, "straggler_factor": 2.0, "max_attempts": 1}
    world = World(iterations=1, files=frozenset(range(400, 410)), settings=settings)
    world.stuck = {409}
    turns, pass_time = Counter[str](), world.pass_time

    def passing(_seconds: float) -> None:
        turns["all"] += 1
        if turns["all"] == 40:
            world.stuck = set()
        second = world.batch.submissions.get("2")
        world.fails = {409: 1} if second is not None and 409 in second.running else {}
        pass_time(_seconds)

    world.pass_time = passing  # type: ignore[method-assign]
    assert world.run() is Ending.DONE


def test_seven_of_a_hundred_may_fail_when_93_percent_are_enough() -> None:
    settings = {"min_success_fraction": 0.93, "max_attempts": 1}
    world = World(iterations=1, files=frozenset(range(100)), settings=settings)
    world.fails = dict.fromkeys(range(7), 1)
    assert world.run() is Ending.DONE


MANY = frozenset(range(400, 440))


def limited(world: World, *, portion: int | None = None, queue: int | None = None) -> None:
    """Have the batch system refuse what is too much, as a schedd does: all or nothing."""
    submit = world.batch.submit

    def limiting(batch: Batch) -> Submission:
        there = sum(len(each.idle | each.running) for each in world.batch.submissions.values())
        if portion is not None and len(batch.jobs) > portion:
            raise LimitError("fewer jobs in one submission", is_for_good=True)
        if queue is not None and there + len(batch.jobs) > queue:
            raise LimitError("fewer jobs of an owner", is_for_good=False)
        return submit(batch)

    world.batch.submit = limiting  # type: ignore[method-assign]


@pytest.mark.parametrize(
    "limits", [{"portion": 7}, {"queue": 7}, {"portion": 3, "queue": 5}, {"queue": 1}]
)
def test_portions_shrink_by_themselves_to_what_a_site_takes(limits: dict[str, int]) -> None:
    world = World(files=MANY, iterations=2, fails={401: 2, 420: 1})
    limited(world, **limits)
    assert world.run() is Ending.DONE
    assert Counter(number for _, number in world.ran) == {**dict.fromkeys(MANY, 2), 401: 4, 420: 3}
    if "portion" in limits:
        assert world.saved.portion_limit is not None
        assert world.saved.portion_limit <= limits["portion"]


def test_a_queue_that_has_room_again_is_used() -> None:
    world = World(files=MANY, iterations=1)
    world.slots = 1
    submit, turns, pass_time = world.batch.submit, Counter[str](), world.pass_time

    def crowded(batch: Batch) -> Submission:
        if turns["all"] < 2 and len(batch.jobs) > 1:
            raise LimitError("others fill the queue", is_for_good=False)
        return submit(batch)

    def passing(_seconds: float) -> None:
        turns["all"] += 1
        pass_time(_seconds)

    world.batch.submit, world.pass_time = crowded, passing  # type: ignore[method-assign]
    assert world.run() is Ending.DONE
    assert [each.submission.jobs for each in world.batch.submissions.values()] == [1, 39]


def test_at_a_limit_what_runs_is_looked_after() -> None:
    world = World(files=MANY, iterations=1, holds={400: [held(400, 12)]})
    limited(world, queue=6)
    world.daemon(stop_after=6).run()
    assert world.saved.state == "wait_reco"
    assert world.saved.releases == {400: 1}


def test_where_others_fill_the_queue_room_is_waited_for() -> None:
    world = World(iterations=1)
    limited(world, queue=0)
    world.daemon(stop_after=5).run()
    assert world.saved.hindrance is not None
    assert "fewer jobs of an owner" in world.saved.hindrance.reason


def test_a_site_that_takes_not_even_one_job_is_no_trouble_but_the_end() -> None:
    world = World(iterations=1)
    limited(world, portion=0)
    assert world.run() is Ending.FAILED
    assert world.saved.failure is not None
    assert "fewer jobs in one submission" in world.saved.failure.reason


def test_limits_that_are_known_are_kept_to_from_the_start() -> None:
    world = World(files=MANY, iterations=1, limits=(10, 25))
    world.daemon(stop_after=1).run()
    assert [each.submission.jobs for each in world.batch.submissions.values()] == [10, 10, 5]


def test_at_the_end_of_spooled_jobs_polls_come_sooner() -> None:
    world = World(files=MANY, iterations=1, settings={"at_end_s": 7.0})
    world.slots = 18  # 36 of 40 are in after two rounds
    waits: list[float] = []
    pass_time = world.pass_time

    def passing(_seconds: float) -> None:
        waits.append(_seconds)
        pass_time(_seconds)

    world.pass_time = passing  # type: ignore[method-assign]
    assert world.run() is Ending.DONE
    assert waits == [60.0, 60.0, 60.0, 7.0]


def test_a_failed_file_goes_in_again_while_others_still_run() -> None:
    world = World(files=MANY, iterations=1, fails={401: 2, 410: 1}, stuck={439})
    turns, pass_time = Counter[str](), world.pass_time

    def passing(_seconds: float) -> None:
        turns["all"] += 1
        if turns["all"] == 30:
            assert world.reconstruction.outputs[1] == MANY - {439}
            world.stuck = set()
        pass_time(_seconds)

    world.pass_time = passing  # type: ignore[method-assign]
    assert world.run() is Ending.DONE
    again = [
        sorted(job.number for job in each.batch.jobs) for each in world.batch.submissions.values()
    ]
    assert again == [sorted(MANY), [401, 410], [401]]
    assert world.saved.failures == {401: 2, 410: 1}


def test_a_bad_output_goes_in_again_while_others_still_run() -> None:
    world = World(files=MANY, iterations=1, spoils={401: 1}, stuck={439})
    world.daemon(stop_after=10).run()
    assert world.reconstruction.outputs[1] == MANY - {439}
    world.stuck = set()
    assert world.run() is Ending.DONE
    assert Counter(number for _, number in world.ran)[401] == 2


def test_a_cause_that_all_jobs_share_ends_the_alignment_at_once_with_one_reason() -> None:
    world = World(files=MANY, iterations=1, fails=dict.fromkeys(MANY, 9), exit_code=20)
    world.slots = 2
    assert world.run() is Ending.FAILED
    assert len(world.ran) <= 4
    failure = world.saved.failure
    assert failure is not None
    assert (
        "of 40 raw files failed in the same way and none succeeded: exit code 20" in failure.reason
    )
    assert failure.reason.count("exit code 20") < 4
    assert not any(each.idle or each.running for each in world.batch.submissions.values())


@pytest.mark.parametrize("code", [20, 22, 30])
@pytest.mark.parametrize("files", [frozenset({400}), MANY])
def test_what_is_the_same_for_every_file_ends_the_alignment_at_the_first_job(
    files: frozenset[int], code: int
) -> None:
    world = World(files=files, iterations=1, fails=dict.fromkeys(files, 9), exit_code=code)
    world.slots = 1
    assert world.run() is Ending.FAILED
    assert len(world.ran) <= 2  # the next one had begun
    assert len(world.batch.submissions) == 1
    failure = world.saved.failure
    assert failure is not None
    assert failure.reason.startswith(
        f"the first job failed at a step that is the same for every raw file: exit code {code}"
    )


def test_one_file_of_two_elsewhere_is_waited_for_and_both_failing_is_enough() -> None:
    files = frozenset({400, 401})
    world = World(files=files, iterations=1, fails=dict.fromkeys(files, 9), exit_code=20)
    world.slots = 1
    world.batch.busy = frozenset({"another.node"})  # the failing machine may be a black hole
    assert world.run() is Ending.FAILED
    assert {number for _, number in world.ran} == files
    failure = world.saved.failure
    assert failure is not None
    assert failure.reason.startswith("2 of 2 raw files failed in the same way")


def test_after_an_iteration_that_went_well_one_such_failure_is_no_common_cause() -> None:
    world = World(iterations=2, exit_code=20)
    world.slots = 1
    pass_time = world.pass_time

    def passing(_seconds: float) -> None:
        if world.saved.iteration == 2 and not world.saved.failures:
            world.fails = {400: 1}
        pass_time(_seconds)

    world.pass_time = passing  # type: ignore[method-assign]
    assert world.run() is Ending.DONE
    assert len(world.ran) == 2 * len(world.files) + 1


def test_when_that_cause_is_mended_all_files_are_done_and_none_has_lost_a_try() -> None:
    world = World(
        files=MANY, iterations=1, fails=dict.fromkeys(MANY, 1), exit_code=20,
        settings={"max_attempts": 1},
    )  # fmt: skip
    world.slots = 2
    assert world.run() is Ending.FAILED
    world.fails = {}
    world.saved = revive(world.saved, world.clock.now())
    assert world.run() is Ending.DONE


@pytest.mark.parametrize("code", [31, 33, 34])
def test_settings_that_do_not_fit_together_end_the_alignment_at_the_first_job(code: int) -> None:
    world = World(files=MANY, iterations=1, fails=dict.fromkeys(MANY, 9), exit_code=code)
    world.slots = 1
    assert world.run() is Ending.FAILED
    assert len(world.ran) <= 2
    failure = world.saved.failure
    assert failure is not None
    assert failure.reason.startswith(f"settings that do not fit together: exit code {code}")
    assert len(world.batch.submissions) == 1


def test_a_common_cause_is_shown_by_the_log_that_the_first_job_left() -> None:
    world = World(files=MANY, iterations=1, fails=dict.fromkeys(MANY, 9), exit_code=20)
    world.slots = 1
    world.batch.busy = frozenset({"another.node"})

    def evidence(_iteration: int, problem: Problem) -> str:
        return f"{problem.number} in submission {len(world.batch.submissions)}"

    world.reconstruction.evidence = evidence  # type: ignore[method-assign, assignment]
    assert world.run() is Ending.FAILED
    assert len(world.batch.submissions) > 1  # each writes over the logs of the one before
    failure = world.saved.failure
    assert failure is not None
    assert failure.reason.endswith(f"for example:\n{min(MANY)} in submission 1")


def test_all_files_failing_alike_is_a_cause_that_they_share_whatever_the_exit_code() -> None:
    world = World(files=MANY, iterations=1, fails=dict.fromkeys(MANY, 9))
    assert world.run() is Ending.FAILED
    assert max(Counter(number for _, number in world.ran).values()) == 1


def test_what_was_told_to_end_is_waited_for_and_counts_as_no_failure() -> None:
    world = World(iterations=1, settings={"max_attempts": 1}, stuck={400, 401, 402})
    world.daemon(stop_after=2).run()
    (first,) = world.batch.submissions.values()
    world.saved = world.saved.all_ended_by_us()
    world.daemon(stop_after=3).run()
    assert len(world.batch.submissions) == 1  # its jobs may still run
    world.batch.remove(first.submission, "stopped by the operator")
    world.stuck = set()
    assert world.run() is Ending.DONE
    assert world.saved.failures == {}
    assert len(world.batch.submissions) == 2


def test_the_jobs_of_a_lost_schedd_are_left_behind_and_submitted_anew() -> None:
    world = World(iterations=1, stuck={400, 401, 402})
    world.daemon(stop_after=1).run()

    def gone(_submission: Submission) -> None:
        raise TransientError("the collector does not know it")

    poll, retire = world.batch.poll, world.batch.retire
    world.batch.poll = gone  # type: ignore[method-assign, assignment]
    world.daemon(stop_after=3).run()
    assert world.saved.hindrance is not None

    def asked(submission: Submission) -> None:
        (gone if submission.cluster == "1" else retire)(submission)

    world.batch.poll, world.batch.retire = poll, asked  # type: ignore[method-assign]
    world.saved = abandoned(world.saved)
    assert world.run() is Ending.DONE
    assert len(world.batch.submissions) == 2
    assert world.saved.failures == {}


def test_a_black_hole_is_no_common_cause() -> None:
    fails = dict.fromkeys(range(400, 410), 1)
    world = World(files=MANY, iterations=1, fails=fails, exit_code=22, stuck=set(range(410, 440)))
    world.batch.busy = frozenset({"good.node"})
    world.daemon(stop_after=5).run()
    world.stuck = set()
    assert world.run() is Ending.DONE
    second = list(world.batch.submissions.values())[1]
    assert second.batch.avoid_machines == ("bad.node",)


def test_a_converged_alignment_goes_on_only_when_asked() -> None:
    world = World(iterations=9, settings={"stop_when_converged": True})
    world.millepede.max_pulls = [10.0, 0.1]
    assert world.run() is Ending.DONE
    assert revive(world.saved, world.clock.now()).state == "done"


def test_after_the_chain_by_hand_no_iteration_is_done_twice() -> None:
    world = World(iterations=3)
    world.saved = begin(world.saved, 2, world.clock.now())
    world.reconstruction.outputs[1] = set(world.files)
    assert world.run() is Ending.DONE
    assert [record.iteration for record in world.saved.history] == [2, 3]
    assert revive(world.saved, world.clock.now()).state == "done"


def test_a_bad_output_of_a_submission_that_is_over_counts_at_once() -> None:
    world = World(
        iterations=1,
        files=frozenset({400, 401}),
        settings={"max_attempts": 1},
        limits=(1, None),
    )
    world.stuck, world.spoils = {400}, {401: 99}
    turns, pass_time = Counter[str](), world.pass_time

    def passing(_seconds: float) -> None:
        turns["all"] += 1
        if turns["all"] > 5:
            world.stuck = set()
        pass_time(_seconds)

    world.pass_time = passing  # type: ignore[method-assign]
    world.run()
    assert Counter(number for _, number in world.ran)[401] == 1


def test_a_damaged_checkpoint_never_takes_the_place_of_its_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    path = tmp_path / "state.yaml"
    checkpoint.save(path, world.saved)
    checkpoint.save(path, world.saved)
    path.write_bytes(path.read_bytes()[:100])
    snapshot, why = checkpoint.load(path)
    assert why is not None

    def killed(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr(checkpoint, "write_atomically", killed)
    with pytest.raises(Killed):
        checkpoint.save(path, snapshot)
    assert checkpoint.load(path)[0] == snapshot


@pytest.mark.parametrize("checks", range(1, 12))
def test_a_daemon_that_lost_its_workspace_ends_and_writes_nothing_more(checks: int) -> None:
    world = World(iterations=1)
    daemon = world.daemon()
    left, saved_then = checks, None

    def check() -> None:
        nonlocal left, saved_then
        left -= 1
        if left <= 0:
            saved_then = saved_then or world.saved
            raise FencedError("taken over")

    daemon._sink = sink_of(world.save, check=check)  # noqa: SLF001 - composed here
    with pytest.raises(FencedError):
        daemon.run()
    assert world.saved == saved_then
    assert world.saved.failure is None


def test_open_files_that_ran_out_are_waited_for() -> None:
    world = World(iterations=1)
    refusals = 3
    poll = world.batch.poll

    def refuse(submission: Submission) -> object:
        nonlocal refusals
        refusals -= 1
        if refusals >= 0:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/proc/1/stat")
        return poll(submission)

    world.batch.poll = refuse  # type: ignore[method-assign, assignment]
    assert world.run() is Ending.DONE


def test_one_job_that_met_a_full_disk_speaks_for_those_that_were_there_with_it() -> None:
    world = World(iterations=1, fails={400: 1, 401: 1}, settings={"max_attempts": 1})
    world.slots = 1
    world.reconstruction.met_full_disk_files = {400}
    assert world.run() is Ending.DONE
    assert world.saved.failures == {}


def test_a_job_that_came_after_the_disk_was_full_fails_as_ever() -> None:
    world = World(iterations=1, fails={400: 1, 401: 2}, settings={"max_attempts": 1})
    world.slots = 1
    world.reconstruction.met_full_disk_files = {400}
    assert world.run() is Ending.FAILED
    assert world.saved.failures == {401: 1}


def test_reboots_use_up_no_tries() -> None:
    world = World(iterations=1, loses={400: 7, 401: 1}, fails={401: 2})
    assert world.run() is Ending.DONE
    assert world.saved.failures == {401: 2}
    assert world.saved.losses == {400: 7, 401: 1}


def test_status_tells_what_was_lost_and_what_failed() -> None:
    world = World(iterations=1, loses={400: 2, 401: 1}, fails={401: 1}, stuck={402})
    world.daemon(stop_after=30).run()
    status = Status.seen(Workspace(Path("w")), world.saved, None, 0.0)
    assert "  file 00400: 2 lost, last: " in status_text(status)
    assert "  file 00401: 1 failed, 1 lost, last: " in status_text(status)
    assert set(status.as_json()["lost_files"]) == {"00400", "00401"}


def test_what_is_lost_again_and_again_fails_in_the_end() -> None:
    world = World(iterations=1, loses={400: 100}, settings={"max_losses": 5})
    assert world.run() is Ending.FAILED
    assert world.saved.losses == {400: 5}
    assert "gone" in str(world.saved.failure)


def test_a_workspace_that_is_gone_is_no_bug() -> None:
    world = World(iterations=1)
    daemon = world.daemon(stop_after=5)

    def check() -> None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "daemon.lock")

    daemon._sink = sink_of(world.save, check=check)  # noqa: SLF001 - composed here
    assert daemon.run() is Ending.INTERRUPTED


def test_directories_that_take_few_more_files_are_looked_at_in_every_iteration() -> None:
    world = World(iterations=2)
    world.reconstruction.nearly_full = "40000 entries"
    world.daemon(stop_after=30).run()
    assert (world.saved.iteration, world.saved.crowded) == (2, "iter02: 40000 entries")
    stopped = world.saved.but(state="wait_reco")
    status = Status.seen(Workspace(Path("w")), stopped, None, 0.0)
    assert "little room: iter02: 40000 entries" in status_text(status)
    assert status.as_json()["crowded"] == "iter02: 40000 entries"
