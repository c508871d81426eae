"""What the site removed is no failed try of its raw file: its cause has a remedy."""

from __future__ import annotations

from pathlib import Path

from auto_iter.alignment.model import Problem, Trouble
from auto_iter.daemon.loop import Ending
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.status import Status
from auto_iter.workspace.paths import Workspace
from tests.support.world import World, held

HOUR = 3600.0


def overran(limit_s: float) -> Problem:
    return Problem(400, Trouble.OVERRAN, "ran too long", exit_code=0, limit_s=limit_s)


def expired(code: int) -> Problem:
    return Problem(400, Trouble.EXPIRED, "removed by the site", code=code, memory_mb=1000)


def time_of_400(world: World) -> list[float | None]:
    return [
        job.time_s
        for each in world.batch.submissions.values()
        for job in each.batch.jobs
        if job.number == 400
    ]


def test_the_next_try_has_more_time_and_so_have_later_iterations() -> None:
    world = World(iterations=2, ends={400: [overran(2 * HOUR)]}, settings={"max_attempts": 1})
    assert world.run() is Ending.DONE
    assert time_of_400(world) == [None, 8 * HOUR, 8 * HOUR]
    assert world.saved.failures == {}


def test_beyond_the_cap_the_file_is_given_up_with_the_reason() -> None:
    world = World(iterations=1, ends={400: [overran(2 * HOUR), overran(24 * HOUR)]})
    assert world.run() is Ending.FAILED
    assert len(time_of_400(world)) == 2
    assert world.saved.failure is not None
    assert "ran too long" in world.saved.failure.reason
    assert "htcondor.flavour_cap" in world.saved.failure.reason


def test_a_limit_that_more_time_does_not_change_ends_it() -> None:
    world = World(iterations=1, ends={400: [overran(HOUR)] * 9})
    assert world.run() is Ending.FAILED
    assert time_of_400(world) == [None, 2 * HOUR]


def test_what_was_held_for_too_long_is_tried_again_as_if_released() -> None:
    world = World(iterations=1, ends={400: [expired(13)]}, settings={"max_attempts": 1})
    assert world.run() is Ending.DONE
    assert (world.saved.failures, world.saved.releases) == ({}, {400: 1})


def test_as_often_as_it_may_be_released_and_not_for_ever() -> None:
    world = World(iterations=1, ends={400: [expired(13)] * 9})
    assert world.run() is Ending.FAILED
    assert world.saved.releases == {400: 2}


def test_what_was_held_for_its_memory_asks_for_more() -> None:
    world = World(iterations=1, ends={400: [expired(34)]})
    assert world.run() is Ending.DONE
    assert world.saved.memory_mb == {400: 1500}


def test_what_a_person_held_and_the_site_removed_is_a_try_with_a_reason() -> None:
    world = World(iterations=1, ends={400: [expired(1)]})
    assert world.run() is Ending.DONE
    assert world.saved.failures == {400: 1}
    assert world.saved.troubles[400].startswith("removed by the site")


def test_status_says_how_long_it_may_still_be_held() -> None:
    world = World(iterations=1, holds={400: [held(400, 1)]})
    world.batch.removed_after_s = 24 * HOUR
    world.daemon(stop_after=3).run()
    now = world.saved.held_since[400] + 3.2 * HOUR
    said = status_text(Status.of(Workspace(Path("nowhere")), world.saved, now))
    assert "file 00400: held 3 h of 24 h, held by a person" in " ".join(said.split())
