"""The daemon takes an alignment to its end, whatever happens to it and around it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auto_iter.alignment.history import ByHand
from auto_iter.alignment.model import Submission, Tally
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.daemon.lock import Holder
from auto_iter.daemon.loop import Ending
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.status import Status
from auto_iter.errors import Hindrance, ScheddError, TransientError
from auto_iter.workspace.paths import Workspace
from tests.support.fakes import MemorySubmission
from tests.support.world import FILES, Killed, Killer, World, held, left_by_kills

ROUND = ["submit_reco", "wait_reco", "mille", "pede", "next_iteration"]


def test_an_undisturbed_alignment_goes_round_and_ends() -> None:
    world = World()
    assert world.run() is Ending.DONE
    assert world.history == ["prepare", *ROUND, "prepare", *ROUND, "done"]
    assert Counter(number for _, number in world.ran) == dict.fromkeys(FILES, 2)
    assert [record.iteration for record in world.saved.history] == [1, 2]
    assert world.millepede.solved == [(1, FILES), (2, FILES)]


def a_troubled_world() -> World:
    return World(
        fails={401: 1},
        spoils={402: 1},
        holds={400: [held(400, 34, subcode=102)], 402: [held(402, 13)]},
    )


def files_run_undisturbed() -> list[int]:
    world = a_troubled_world()
    world.run()
    return sorted(number for _, number in world.ran)


def test_a_kill_before_or_after_any_action_changes_nothing() -> None:
    undisturbed = files_run_undisturbed()
    for world in left_by_kills(a_troubled_world()):
        killed_in = world.saved.state
        assert world.run() is Ending.DONE, killed_in
        assert world.millepede.solved[-1] == (2, FILES), killed_in
        assert [record.iteration for record in world.saved.history] == [1, 2], killed_in
        # Each submission ran each of its jobs once, and no raw file more often than it had to.
        assert max(Counter(world.ran).values()) == 1, killed_in
        keys = [each.submission.key for each in world.batch.submissions.values()]
        assert len(keys) == len(set(keys)), killed_in
        assert sorted(n for _, n in world.ran) == undisturbed, killed_in


def test_with_the_backup_only_nothing_is_submitted_twice_either() -> None:
    undisturbed = files_run_undisturbed()
    for world in left_by_kills(a_troubled_world()):
        killed_in = world.saved.state
        world.saved = world.backup
        assert world.run() is Ending.DONE, killed_in
        assert max(Counter(world.ran).values()) == 1, killed_in
        assert sorted(n for _, n in world.ran) == undisturbed, killed_in


def test_killed_at_every_action_in_turn_it_still_arrives() -> None:
    world = a_troubled_world()
    lives = 0
    while True:
        try:
            ending = world.daemon(Killer(at=5 + lives // 5)).run()
        except Killed:
            lives += 1
            world.pass_time(60)
            assert lives < 500
        else:
            break
    assert ending is Ending.DONE
    assert lives > 5
    assert max(Counter(world.ran).values()) == 1


def test_a_stop_leaves_the_jobs_and_a_resume_takes_them_up() -> None:
    world = World()
    assert world.daemon(stop_after=1).run() is Ending.INTERRUPTED
    assert world.saved.state == "wait_reco"
    assert world.millepede.stopped
    assert world.run() is Ending.DONE
    assert len(world.batch.submissions) == 2


def test_a_failed_file_is_submitted_again_alone() -> None:
    world = World(iterations=1, fails={401: 2})
    assert world.run() is Ending.DONE
    batches = [{job.number for job in each.batch.jobs} for each in world.batch.submissions.values()]
    assert batches == [FILES, {401}, {401}]


def test_a_file_that_always_fails_ends_in_failed_with_its_evidence() -> None:
    world = World(fails={401: 99})
    assert world.run() is Ending.FAILED
    failure = world.saved.failure
    assert failure is not None
    assert "1 of 3 raw files" in failure.reason
    assert "file 401: exit code 40" in failure.reason
    assert failure.state == "wait_reco"
    assert world.saved.failures == {401: 3}


def test_after_the_cause_is_gone_a_resume_continues_with_just_that_file() -> None:
    from auto_iter.daemon.lifecycle import revive

    world = World(iterations=1, fails={401: 3})
    assert world.run() is Ending.FAILED
    world.saved = revive(world.saved, world.clock.now())
    assert world.run() is Ending.DONE
    last = list(world.batch.submissions.values())[-1]
    assert {job.number for job in last.batch.jobs} == {401}
    assert Counter(number for _, number in world.ran) == {400: 1, 401: 4, 402: 1}


def test_enough_files_are_enough_when_the_configuration_says_so() -> None:
    world = World(iterations=1, fails={401: 99}, settings={"min_success_fraction": 0.6})
    assert world.run() is Ending.DONE
    assert world.millepede.solved == [(1, FILES - {401})]
    assert world.saved.history[0].left_out == (401,)


def lost_401(lost_files: str, fails: int = 3, **settings: Any) -> World:
    some = {"min_success_fraction": 0.6, "lost_files": lost_files, **settings}
    return World(iterations=3, fails={401: fails}, settings=some)


@pytest.mark.parametrize(
    ("lost_files", "samples", "left_out"),
    [
        ("retry", [FILES - {401}, FILES, FILES], [(401,), (), ()]),
        ("same", [FILES - {401}] * 3, [(401,)] * 3),
    ],
)
def test_what_an_iteration_did_without_is_tried_again_or_stays_out(
    lost_files: str, samples: list[frozenset[int]], left_out: list[tuple[int, ...]]
) -> None:
    world = lost_401(lost_files)
    assert world.run() is Ending.DONE
    assert [files for _, files in world.millepede.solved] == samples
    assert [each.left_out for each in world.saved.history] == left_out
    is_same = lost_files == "same"
    assert world.saved.lost == ((401,) if is_same else ())
    assert Counter(number for _, number in world.ran)[401] == (3 if is_same else 5)


def test_what_stays_left_out_still_counts_as_missing() -> None:
    world = lost_401("same", fails=99)
    world.fails[402] = 0
    daemon = world.daemon()
    while world.saved.iteration == 1:
        daemon.step()
        world.pass_time(0)
    world.fails[402] = 99  # one of two is half of what it runs with, and a third of all
    world.settings["min_success_fraction"] = 0.5
    assert world.run() is Ending.FAILED
    assert world.saved.iteration == 2


def test_who_changes_his_mind_has_lost_files_tried_again() -> None:
    world = lost_401("same")
    daemon = world.daemon()
    while world.saved.iteration == 1:
        daemon.step()
        world.pass_time(0)
    world.settings["lost_files"] = "retry"
    assert world.run() is Ending.DONE
    assert [each.left_out for each in world.saved.history] == [(401,), (401,), ()]
    assert (world.saved.lost, world.saved.skipped) == ((), {})


def test_what_a_person_leaves_out_as_well_is_not_tried_again() -> None:
    world = lost_401("same")
    daemon = world.daemon()
    while world.saved.iteration == 1:
        daemon.step()
        world.pass_time(0)
    world.inbox.post("skip", 401)
    world.settings["lost_files"] = "retry"
    assert world.run() is Ending.DONE
    assert [each.left_out for each in world.saved.history] == [(401,)] * 3
    assert (world.saved.lost, world.saved.skipped) == ((), {401: 2})


def test_a_bad_output_is_set_aside_and_reconstructed_again() -> None:
    world = World(iterations=1, spoils={402: 1})
    assert world.run() is Ending.DONE
    assert world.reconstruction.rejected == [402]
    assert Counter(number for _, number in world.ran)[402] == 2


def test_a_job_that_needs_more_memory_gets_it() -> None:
    world = World(iterations=1, holds={400: [held(400, 34, subcode=102)]})
    assert world.run() is Ending.DONE
    submission = next(iter(world.batch.submissions.values()))
    assert submission.resources.memory_mb == 1500


def test_what_a_file_needed_once_is_asked_for_at_once_from_then_on() -> None:
    world = World(fails={400: 1}, holds={400: [held(400, 34, subcode=102)]})
    assert world.run() is Ending.DONE
    asked = [job.memory_mb for each in submissions(world) for job in each.batch.jobs]
    numbers = [job.number for each in submissions(world) for job in each.batch.jobs]
    assert list(zip(numbers, asked, strict=True)) == [
        (400, None), (401, None), (402, None),
        (400, 1500),
        (400, 1500), (401, None), (402, None),
    ]  # fmt: skip


def test_many_held_jobs_cost_one_call_for_each_remedy() -> None:
    files = frozenset(range(400, 600))
    holds = {number: [held(number, 12)] for number in files if number % 2}
    holds |= {number: [held(number, 34, subcode=102)] for number in files if not number % 2}
    world = World(files=files, iterations=1, holds=holds)
    release, calls = world.batch.release, list[int]()

    def counted(submission: Submission, numbers: Collection[int], *more: Any) -> None:
        calls.append(len(numbers))
        release(submission, numbers, *more)

    world.batch.release = counted  # type: ignore[method-assign, assignment]
    assert world.run() is Ending.DONE
    assert calls == [100, 100]
    assert dict(world.saved.releases) == dict.fromkeys(files, 1)


def test_a_transfer_failure_is_released_after_a_pause() -> None:
    world = World(iterations=1, holds={400: [held(400, 12)]})
    begun = world.clock.now()
    assert world.run() is Ending.DONE
    assert world.clock.now() - begun >= 100
    assert len(world.batch.submissions) == 1


def test_what_a_person_holds_stays_held() -> None:
    world = World(iterations=1, holds={400: [held(400, 1)]})
    assert world.daemon(stop_after=20).run() is Ending.INTERRUPTED
    assert world.saved.progress.held == 1
    assert world.saved.progress.delivered == 2
    assert "held by a person" in world.saved.troubles[400]


def test_a_hold_that_nothing_helps_gives_up_without_trying_again() -> None:
    world = World(iterations=1, holds={400: [held(400, 46)]})
    assert world.run() is Ending.FAILED
    assert world.saved.failure is not None
    assert "took longer than allowed" in world.saved.failure.reason
    assert len(world.batch.submissions) == 1


def test_trouble_with_the_schedd_is_waited_for() -> None:
    world = World(iterations=1)
    poll, refusals = world.batch.poll, iter(range(5))

    def unreachable(submission: object) -> object:
        if next(refusals, None) is not None:
            raise ScheddError("schedd unreachable")
        return poll(submission)  # type: ignore[arg-type]

    world.batch.poll = unreachable  # type: ignore[method-assign, assignment]
    assert world.run() is Ending.DONE


def test_what_is_waited_for_is_known_to_others_and_since_when_also_after_a_kill() -> None:
    world = World(iterations=1)
    poll, down = world.batch.poll, True

    def unreachable(submission: object) -> object:
        if down:
            raise ScheddError("schedd unreachable")
        return poll(submission)  # type: ignore[arg-type]

    world.batch.poll = unreachable  # type: ignore[method-assign, assignment]
    world.daemon(stop_after=3).run()
    first = world.saved.hindrance
    assert first is not None
    assert first.reason == "schedd unreachable"
    assert first.kind is Hindrance.SCHEDD
    world.clock.seconds += 1000
    world.daemon(stop_after=3).run()
    assert world.saved.hindrance == first
    at_work = Holder.this_process()
    text = status_text(Status.seen(Workspace(Path("w")), world.saved, at_work, 0.0))
    assert "retries automatically: schedd unreachable" in " ".join(text.split())
    text = status_text(Status.seen(Workspace(Path("w")), world.saved, None, 0.0))
    assert "had been waiting for schedd since" in text
    assert "automatically" not in text
    down = False
    assert world.run() is Ending.DONE
    assert world.saved.hindrance is None


def test_the_status_says_of_when_an_answer_is_that_was_given_before() -> None:
    world = World(iterations=1, stuck={400, 401, 402})
    poll = world.batch.poll

    def old(submission: Submission) -> Tally:
        return replace(poll(submission), age_s=40.0)

    world.batch.poll = old  # type: ignore[method-assign]
    world.daemon(stop_after=3).run()
    assert world.saved.progress.seen_at == world.clock.now() - 60 - 40  # it slept since


def test_the_status_says_when_the_jobs_were_seen_last() -> None:
    world = World(iterations=1, stuck={400, 401, 402})
    world.daemon(stop_after=3).run()
    seen_at = world.clock.now() - 60  # it slept since
    assert world.saved.progress.seen_at == seen_at

    def unreachable(_submission: object) -> object:
        raise TransientError("schedd unreachable")

    world.batch.poll = unreachable  # type: ignore[method-assign, assignment]
    world.daemon(stop_after=3).run()
    assert world.saved.progress.seen_at == seen_at
    text = status_text(Status.seen(Workspace(Path("w")), world.saved, None, 0.0))
    when = time.strftime("%H:%M:%S", time.localtime(seen_at))
    assert f"3 running, 0 idle, 0 held (as of {when})" in text


def test_a_full_disk_is_waited_for_and_memory_never_runs_ahead_of_it() -> None:
    world = World(iterations=1)
    world.refuse_saves = 4
    daemon = world.daemon()
    while world.refuse_saves:
        daemon.step()
        assert not world.batch.submissions
    assert daemon.run() is Ending.DONE
    assert world.history == ["prepare", *ROUND, "done"]


def test_missing_raw_files_fail_before_anything_is_submitted() -> None:
    world = World()
    world.reconstruction.missing = frozenset({401})
    assert world.run() is Ending.FAILED
    assert not world.batch.submissions
    assert world.saved.failure is not None
    assert world.saved.failure.remedy == "bring them back"


def test_a_refusal_of_pede_fails_in_pede() -> None:
    world = World()
    world.millepede.refusal = "pede: exit code 26, too many rejects"
    assert world.run() is Ending.FAILED
    assert world.saved.failure is not None
    assert world.saved.failure.state == "pede"
    assert "26" in world.saved.failure.reason


def test_a_bug_is_kept_as_a_failure() -> None:
    world = World()
    world.millepede.max_pulls = []
    assert world.run() is Ending.FAILED
    assert world.saved.failure is not None
    assert world.saved.failure.reason.startswith("bug: IndexError")


def test_who_does_not_want_to_wait_gets_the_jobs_submitted_and_seen_once() -> None:
    world = World()
    ending = world.daemon().run(unless_waiting=frozenset({"wait_reco"}))
    assert ending is Ending.REACHED
    assert (world.saved.state, world.saved.progress.idle) == ("wait_reco", 3)
    assert not world.ran  # no time was spent
    assert world.run() is Ending.DONE
    assert Counter(number for _, number in world.ran) == dict.fromkeys(FILES, 2)


def test_constants_accepted_by_hand_are_recorded_and_the_next_iteration_says_so(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World()
    figures = dict.fromkeys(("chi2_ndf", "max_shift_um", "max_rotation_mrad", "max_pull"), 9.0)
    by_hand = ByHand(source="3millepede.accepting-x", replaced="r-1", words="accepted by hand")
    world.saved = world.saved.but(
        state="next_iteration", solution=SolutionSummary(tracks=7, **figures), by_hand=by_hand
    )
    assert world.run() is Ending.DONE
    assert [each.by_hand for each in world.saved.history] == ["accepted by hand", None]
    assert world.saved.by_hand is None
    said = capsys.readouterr().out
    assert said.count("constants accepted by hand") == 1
    assert said.count("starts from constants by hand") == 1


def test_what_a_person_has_accepted_is_not_solved_again() -> None:
    world = World(iterations=1)
    figures = dict.fromkeys(("chi2_ndf", "max_shift_um", "max_rotation_mrad", "max_pull"), 9.0)
    by_hand = ByHand(source="3millepede.accepting-x", replaced="r-1", words="accepted by hand")
    # as after a failure in next_iteration, and a resume
    world.saved = world.saved.but(solution=SolutionSummary(tracks=7, **figures), by_hand=by_hand)
    assert world.run() is Ending.DONE
    assert world.millepede.solved == []
    assert world.saved.history[0].tracks == 7


def test_the_largest_change_in_sigma_is_shown_beside_the_shift() -> None:
    world = World(iterations=1)
    world.run()
    status = Status.seen(Workspace(Path("w")), world.saved, None, 0.0)
    head, row = status_text(status).splitlines()[-2:]
    at = head.index("change/σ")
    assert float(row[at : at + len("change/σ")]) == world.saved.history[0].max_pull
    assert status.as_json()["history"][0]["max_pull"] == 10.0


def test_converged_is_finished_when_that_is_wanted() -> None:
    world = World(iterations=9, settings={"stop_when_converged": True})
    world.millepede.max_pulls = [9.0, 2.0, 0.1]
    assert world.run() is Ending.DONE
    assert len(world.saved.history) == 3


def test_machines_on_which_several_jobs_fail_are_avoided() -> None:
    world = World(iterations=1, fails={400: 1, 401: 1})
    world.batch.proven = frozenset({"good.node"})
    assert world.run() is Ending.DONE
    second = list(world.batch.submissions.values())[1]
    assert second.batch.avoid_machines == ("bad.node",)
    waiting = world.saved.but(state="wait_reco")
    text = status_text(Status.seen(Workspace(Path("w")), waiting, None, 0.0))
    assert "machines avoided: bad.node" in text


def test_the_only_machine_that_is_known_is_not_avoided() -> None:
    world = World(iterations=1, fails={400: 1, 401: 1})
    assert world.run() is Ending.DONE
    second = list(world.batch.submissions.values())[1]
    assert second.batch.avoid_machines == ()


def test_a_machine_on_which_jobs_also_succeed_is_no_black_hole() -> None:
    world = World(iterations=1, fails={400: 1, 401: 1})
    world.batch.proven = frozenset({"bad.node"})
    assert world.run() is Ending.DONE
    second = list(world.batch.submissions.values())[1]
    assert second.batch.avoid_machines == ()


def test_polls_are_spread_in_time_but_never_closer_than_the_interval() -> None:
    world = World(iterations=1, settings={"jitter": 0.1})
    daemon = world.daemon()
    while daemon.step() == 0:
        pass
    waits = [daemon.step() for _ in range(20)]
    assert all(60 <= wait <= 66 for wait in waits)
    assert len(set(waits)) > 1


def test_a_vanished_submission_is_made_up_for() -> None:
    world = World(iterations=1)
    daemon = world.daemon(stop_after=1)
    daemon.run()
    lost = next(iter(world.batch.submissions.values()))
    from auto_iter.alignment.model import Problem, Trouble

    for number in FILES:
        world.batch.end(lost.submission, number, Problem(number, Trouble.LOST, "lost"))
    assert world.run() is Ending.DONE
    assert len(world.batch.submissions) == 2


def test_more_iterations_than_before_go_on_after_done() -> None:
    from auto_iter.daemon.lifecycle import revive

    world = World(iterations=1)
    assert world.run() is Ending.DONE
    longer = world.saved.arguments.model_copy(update={"iterations": 3})
    world.saved = revive(world.saved.but(arguments=longer), world.clock.now())
    assert world.run() is Ending.DONE
    assert [record.iteration for record in world.saved.history] == [1, 2, 3]


def test_the_snapshot_stays_small_with_many_files() -> None:
    largest = []
    for files in (20, 2000):
        world = World(files=frozenset(range(files)), iterations=1)
        sizes: list[int] = []
        save = world.save

        def measured(snapshot: Snapshot) -> None:
            sizes.append(len(snapshot.model_dump_json()))  # noqa: B023
            save(snapshot)  # noqa: B023

        world.save = measured  # type: ignore[method-assign]
        assert world.run() is Ending.DONE
        largest.append(max(sizes))
    # no file has a place in it: what is larger are numbers with more digits
    assert largest[1] - largest[0] < 50


def test_stragglers_are_run_a_second_time_and_the_first_output_wins() -> None:
    settings = {"straggler_factor": 3.0, "straggler_quantile": 0.6}
    world = World(iterations=1, stuck={401}, settings=settings)
    assert world.run() is Ending.DONE
    batches = [{job.number for job in each.batch.jobs} for each in world.batch.submissions.values()]
    assert batches == [FILES, {401}]
    assert all(not each.running and not each.idle for each in world.batch.submissions.values())
    assert world.saved.failures == {}


def test_a_kill_while_stragglers_are_run_again_changes_nothing() -> None:
    def a_slow_world() -> World:
        settings = {"straggler_factor": 3.0, "straggler_quantile": 0.6}
        return World(iterations=1, stuck={401}, settings=settings)

    for world in left_by_kills(a_slow_world()):
        assert world.run() is Ending.DONE
        assert len(world.batch.submissions) == 2


MANY = frozenset(range(400, 410))


def portions(world: World) -> list[list[int]]:
    return [sorted(job.number for job in each.batch.jobs) for each in submissions(world)]


def submissions(world: World) -> list[MemorySubmission]:
    return list(world.batch.submissions.values())


def test_where_submissions_are_limited_raw_files_go_in_in_portions_all_at_once() -> None:
    world = World(files=MANY, iterations=1, limits=(4, None))
    assert world.daemon(stop_after=1).run() is Ending.INTERRUPTED
    assert portions(world) == [[400, 401, 402, 403], [404, 405, 406, 407], [408, 409]]
    assert world.run() is Ending.DONE
    assert len(submissions(world)) == 3


def test_where_the_queue_is_limited_the_rest_follows_as_jobs_end() -> None:
    world = World(files=MANY, iterations=1, limits=(4, 6))
    assert world.daemon(stop_after=1).run() is Ending.INTERRUPTED
    assert portions(world) == [[400, 401, 402, 403], [404, 405]]
    assert world.run() is Ending.DONE
    assert sorted(number for portion in portions(world) for number in portion) == sorted(MANY)


def test_what_fails_in_a_portion_is_counted_once_and_waits_for_the_next_round() -> None:
    fails = {401: 1, 405: 99}
    world = World(files=MANY, iterations=1, fails=fails, limits=(4, 8))
    assert world.run() is Ending.FAILED
    assert world.saved.failures == {401: 1, 405: 3}
    assert Counter(number for _, number in world.ran) == {
        **dict.fromkeys(MANY, 1), 401: 2, 405: 3,
    }  # fmt: skip
    assert portions(world)[3:] == [[401, 405], [405]]


def test_a_kill_between_portions_changes_nothing() -> None:
    def a_limited_world() -> World:
        fails = {401: 1, 405: 1}
        return World(files=MANY, iterations=1, fails=fails, limits=(4, 6))

    for world in left_by_kills(a_limited_world()):
        assert world.run() is Ending.DONE
        assert max(Counter(world.ran).values()) == 1
        assert Counter(number for _, number in world.ran) == {
            **dict.fromkeys(MANY, 1), 401: 2, 405: 2,
        }  # fmt: skip


def test_a_kill_while_failed_files_run_again_beside_others_changes_nothing() -> None:
    def a_slow_world() -> World:
        world = World(
            files=MANY, iterations=1, fails={400: 1, 403: 2, 409: 1}, spoils={401: 1},
            exit_code=7, limits=(6, None),
        )  # fmt: skip
        world.slots = 2
        return world

    undisturbed = a_slow_world()
    assert undisturbed.run() is Ending.DONE
    assert len(submissions(undisturbed)) > 3
    for world in left_by_kills(a_slow_world()):
        assert world.run() is Ending.DONE
        assert max(Counter(world.ran).values()) == 1
        assert sorted(n for _, n in world.ran) == sorted(n for _, n in undisturbed.ran)


def test_stragglers_are_run_again_also_where_submissions_are_limited() -> None:
    settings = {"straggler_factor": 3.0, "straggler_quantile": 0.6}
    world = World(files=MANY, iterations=1, stuck={401}, settings=settings, limits=(4, None))
    assert world.run() is Ending.DONE
    assert portions(world)[3:] == [[401]]
    assert world.saved.failures == {}
