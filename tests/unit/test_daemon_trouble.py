"""What goes wrong around the daemon for a long time, or in an unlucky order."""

from __future__ import annotations

import errno
import os
import time
from collections import Counter
from pathlib import Path

import pytest

from auto_iter import checkpoint
from auto_iter.app import revive
from auto_iter.children import start_child
from auto_iter.clock import Signals
from auto_iter.daemon import Daemon, Ending, Memory
from auto_iter.errors import FencedError, InputError, TransientError
from auto_iter.model import Batch, Submission
from auto_iter.snapshot import Snapshot
from states.next_iteration import begin
from tests.twins import TwinSleeper
from tests.unit.world import Killed, World, held


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
    Daemon(daemon.snapshot, daemon._states, daemon._ports, sleeper, Memory(world.save)).run()  # noqa: SLF001
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
    daemon._memory = Memory(world.save, seen)  # noqa: SLF001 - composed here, not in the world
    assert daemon.run() is Ending.DONE


def test_the_lock_is_kept_fresh_while_nothing_happens() -> None:
    world = World(iterations=1)
    signs: list[float] = []
    daemon = world.daemon(stop_after=3)
    daemon._memory = Memory(world.save, alive=lambda: signs.append(1.0))  # noqa: SLF001
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
    world = World(iterations=1, settings={"portion": 1})
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


def test_after_a_refusal_portions_help_as_its_remedy_says() -> None:
    world = World(iterations=1)
    submit = world.batch.submit

    def limited(batch: Batch) -> Submission:
        if len(batch.jobs) > 2:
            raise InputError("fewer jobs in one submission", "set htcondor.max_jobs_per_submission")
        return submit(batch)

    world.batch.submit = limited  # type: ignore[method-assign]
    assert world.run() is Ending.FAILED
    world.settings = {"portion": 2}
    world.saved = revive(world.saved, world.clock.now())
    assert world.run() is Ending.DONE


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
        settings={"portion": 1, "max_attempts": 1},
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

    daemon._memory = Memory(world.save, check=check)  # noqa: SLF001 - composed here
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


def test_reboots_use_up_no_tries() -> None:
    world = World(iterations=1, loses={400: 7, 401: 1}, fails={401: 2})
    assert world.run() is Ending.DONE
    assert world.saved.failures == {401: 2}
    assert world.saved.losses == {400: 7, 401: 1}


def test_what_is_lost_again_and_again_fails_in_the_end() -> None:
    world = World(iterations=1, loses={400: 100}, settings={"max_losses": 5})
    assert world.run() is Ending.FAILED
    assert world.saved.losses == {400: 5}
    assert "gone" in str(world.saved.failure)
