"""What was never tried is tried with one raw file first, exactly once, and not again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.lifecycle import revive
from auto_iter.daemon.loop import Ending
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.status import Status
from auto_iter.workspace.paths import Workspace
from tests.support.world import Killed, Killer, World, held, left_by_kills

WORKSPACE = Workspace(Path("nowhere"))
MANY = frozenset(range(400, 450))


def world_of(files: frozenset[int] = MANY, **more: Any) -> World:
    settings = {"canary": "auto", **more.pop("settings", {})}
    return World(files=files, settings=settings, **more)


def submitted(world: World) -> list[list[int]]:
    return [
        sorted(job.number for job in each.batch.jobs) for each in world.batch.submissions.values()
    ]


def test_one_file_goes_first_and_only_in_the_first_iteration() -> None:
    world = world_of(iterations=2)
    assert world.run() is Ending.DONE
    assert submitted(world) == [[400], sorted(MANY - {400}), sorted(MANY)]


@pytest.mark.parametrize(
    ("setting", "files", "canary"),
    [("auto", 20, False), ("auto", 21, True), (False, 50, False), (True, 2, True), (5, 6, True),
     (5, 5, False), (True, 1, False)],
)  # fmt: skip
def test_the_setting_says_for_how_many_files(
    setting: str | bool | int, files: int, canary: bool
) -> None:
    numbers = frozenset(range(400, 400 + files))
    world = world_of(numbers, iterations=1, settings={"canary": setting})
    assert world.run() is Ending.DONE
    assert len(submitted(world)) == (2 if canary else 1)


def test_the_rest_waits_until_the_output_was_read() -> None:
    world = world_of(iterations=1, spoils={400: 1})
    assert world.run() is Ending.DONE
    assert submitted(world) == [[400], [401], sorted(MANY - {401})]


def test_two_files_that_fail_are_enough() -> None:
    world = world_of(iterations=1, fails=dict.fromkeys(MANY, 9))
    assert world.run() is Ending.FAILED
    assert submitted(world) == [[400], [401]]
    assert world.saved.failure is not None
    assert "2 raw files were tried first and failed; the other 48 were not submitted" in (
        world.saved.failure.reason
    )
    assert "file 401: exit code 40" in world.saved.failure.reason


def test_after_the_cause_is_gone_one_file_is_tried_again() -> None:
    world = world_of(iterations=1, fails=dict.fromkeys(MANY, 9))
    world.run()
    world.fails = {}
    world.saved = revive(world.saved, world.clock.now())
    assert world.run() is Ending.DONE
    assert submitted(world)[2:] == [[400], sorted(MANY - {400})]


def test_files_known_to_be_bad_do_not_keep_the_others_back() -> None:
    world = world_of(iterations=1, fails={400: 9, 401: 9}, settings={"min_success_fraction": 0.9})
    assert world.run() is Ending.FAILED
    world.settings["canary"] = False
    world.saved = revive(world.saved, world.clock.now())
    assert world.run() is Ending.DONE
    assert world.saved.history[0].left_out == (400, 401)


def test_a_canary_that_is_given_up_while_held_has_failed() -> None:
    world = world_of(iterations=1, holds={400: [held(400, 3)]})
    assert world.run() is Ending.FAILED  # 400 was given up
    assert submitted(world) == [[400], [401], sorted(MANY - {400, 401})]


def test_a_lost_canary_is_no_failure() -> None:
    world = world_of(iterations=1, loses={400: 3})
    assert world.run() is Ending.DONE
    assert submitted(world) == [[400]] * 4 + [sorted(MANY - {400})]


def test_a_canary_that_is_lost_again_and_again_does_not_go_on_for_ever() -> None:
    world = world_of(iterations=1, loses=dict.fromkeys(MANY, 99), settings={"max_losses": 3})
    assert world.run() is Ending.FAILED
    assert submitted(world) == [[400]] * 3 + [[401]] * 3
    assert world.saved.failure is not None
    assert "2 raw files were tried first" in world.saved.failure.reason


def test_a_recipe_is_not_proven_by_what_another_one_made() -> None:
    world = world_of(iterations=2, fails={405: 9}, settings={"min_success_fraction": 0.9})
    save = world.save

    def saving(snapshot: Snapshot) -> None:
        save(snapshot)
        if len(snapshot.failures) == 1 and world.reconstruction.made_by == "recipe":
            world.reconstruction.made_by = "a typo"  # of which one file is left to be made
            world.fails = dict.fromkeys(MANY, 9)

    world.save = saving  # type: ignore[method-assign]
    world.run()
    assert submitted(world)[2] == [405]
    assert submitted(world)[-2:] == [[400], [401]]  # of the next iteration, alone


def test_after_what_failed_was_mended_one_of_those_files_is_tried_first() -> None:
    world = world_of(iterations=1, fails=dict.fromkeys(range(410, 440), 9))
    assert world.run() is Ending.FAILED
    world.fails, world.reconstruction.made_by = {}, "mended"
    world.saved = revive(world.saved, world.clock.now())
    before = len(submitted(world))
    assert world.daemon(stop_after=50).run() is Ending.DONE
    assert submitted(world)[before:] == [[410], list(range(411, 440))]


def test_what_another_recipe_brought_is_not_waited_for_as_a_canarys_output() -> None:
    world = world_of(iterations=1, fails=dict.fromkeys(MANY, 9))
    for made_by, fails in (("first", MANY), ("second", MANY - {400})):
        world.reconstruction.made_by, world.fails = made_by, dict.fromkeys(fails, 9)
        world.saved = revive(world.saved, world.clock.now())
        assert world.run() is Ending.FAILED
    assert world.reconstruction.outputs[1] == {400}
    world.reconstruction.made_by, world.fails = "first", {}
    world.saved = revive(world.saved, world.clock.now())
    assert world.daemon(Killer(at=3000)).run() is Ending.DONE  # else it would go round for ever
    assert submitted(world)[-2:] == [[401], sorted(MANY - {400, 401})]


def test_another_recipe_is_tried_again_also_within_an_iteration() -> None:
    world = world_of(iterations=2, fails={405: 1})
    pass_time = world.pass_time

    def passing(_seconds: float) -> None:
        if world.saved.iteration == 2:
            world.reconstruction.made_by = "another"
        pass_time(_seconds)

    world.pass_time = passing  # type: ignore[method-assign]
    world.run()
    assert world.saved.proven == "recipe"  # all of iteration 2 was submitted before the change

    world.saved = world.saved.but(
        state="prepare", iteration=3, attempts=(), progress={}, failures={}, submitted_up_to=None,
        arguments=world.saved.arguments.model_copy(update={"iterations": 3}),
    )  # fmt: skip
    assert world.run() is Ending.DONE
    assert submitted(world)[-2:] == [[400], sorted(MANY - {400})]


def test_what_was_meant_before_the_recipe_changed_is_not_submitted() -> None:
    world = world_of(iterations=2)
    save = world.save

    def killed(snapshot: Snapshot) -> None:
        save(snapshot)
        if snapshot.iteration == 2 and snapshot.intent is not None:
            raise Killed

    world.save = killed  # type: ignore[method-assign]
    with pytest.raises(Killed):
        world.run()
    world.save = save  # type: ignore[method-assign]
    world.reconstruction.made_by = "another"
    assert world.run() is Ending.DONE
    assert submitted(world)[2:] == [[400], sorted(MANY - {400})]


def test_an_alignment_from_before_canaries_goes_on_with_all() -> None:
    world = world_of(iterations=2)
    world.run()
    world.saved = world.saved.but(
        state="prepare", iteration=3, attempts=(), progress={}, proven=None,
        arguments=world.saved.arguments.model_copy(update={"iterations": 3}),
    )  # fmt: skip
    assert world.run() is Ending.DONE
    assert submitted(world)[3:] == [sorted(MANY)]
    assert world.saved.proven == "recipe"


def test_status_says_what_is_tried_and_no_end_is_foretold_from_it() -> None:
    world = world_of(iterations=1, stuck={400})
    world.daemon(stop_after=3).run()
    status = Status.of(WORKSPACE, world.saved, 0.0)
    assert "trying one file first: 00400" in status_text(status)
    assert status.as_json()["canary"] == "00400"
    world.stuck = set()
    ends: list[float | None] = []
    save = world.save

    def saving(snapshot: Snapshot) -> None:
        if snapshot.progress.delivered == 1:
            ends.append(snapshot.progress.expected_end)
        save(snapshot)

    world.save = saving  # type: ignore[method-assign]
    world.run()
    assert set(ends) == {None}
    assert Status.of(WORKSPACE, world.saved, 0.0).as_json()["canary"] is None


def test_while_it_runs_polls_come_sooner() -> None:
    world = world_of(iterations=1, settings={"at_end_s": 7.0})
    waits: list[float] = []
    pass_time = world.pass_time

    def passing(_seconds: float) -> None:
        waits.append(_seconds)
        pass_time(_seconds)

    world.pass_time = passing  # type: ignore[method-assign]
    world.run()
    assert waits[:2] == [7.0, 7.0]


def test_killed_anywhere_there_is_one_canary_and_one_rest() -> None:
    for world in left_by_kills(world_of(iterations=1)):
        assert world.run() is Ending.DONE
        assert submitted(world) == [[400], sorted(MANY - {400})]
