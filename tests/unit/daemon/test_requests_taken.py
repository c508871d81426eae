"""What a person asks of an alignment is done once, whatever happens to the daemon meanwhile."""

from __future__ import annotations

from collections import Counter

from auto_iter.alignment.model import Trouble
from auto_iter.daemon.loop import Ending
from tests.support.world import FILES, World, left_by_kills

HALF_AN_HOUR = 30


def is_paused(world: World) -> bool:
    return world.saved.paused is not None


def test_a_paused_alignment_submits_nothing_until_it_may_go_on() -> None:
    world = World()
    world.inbox.post("pause")
    assert world.daemon(stop_after=HALF_AN_HOUR).run() is Ending.INTERRUPTED
    assert (world.saved.state, len(world.batch.submissions)) == ("prepare", 0)
    assert is_paused(world)
    assert world.daemon(stop_after=HALF_AN_HOUR).run() is Ending.INTERRUPTED
    assert len(world.batch.submissions) == 0
    world.inbox.post("go on", at=1.0)
    assert world.run() is Ending.DONE
    assert not is_paused(world)
    assert Counter(number for _, number in world.ran) == dict.fromkeys(FILES, 2)


def test_jobs_that_run_go_on_in_a_pause_and_the_next_iteration_waits() -> None:
    world = World(fails={401: 1})
    daemon = world.daemon(stop_after=HALF_AN_HOUR)
    while not world.batch.submissions:
        daemon.step()
    world.inbox.post("pause")
    assert daemon.run() is Ending.INTERRUPTED
    # the file that failed is not submitted again, the others are in
    assert world.reconstruction.delivered(1) == {400, 402}
    assert (world.saved.state, len(world.batch.submissions)) == ("wait_reco", 1)
    world.inbox.post("go on", at=1.0)
    daemon = world.daemon(stop_after=HALF_AN_HOUR)
    while world.saved.iteration == 1:
        daemon.step()
        world.pass_time(0)
    world.inbox.post("pause", at=2.0)
    assert daemon.run() is Ending.INTERRUPTED
    assert (world.saved.state, world.saved.iteration) == ("prepare", 2)
    assert [each.iteration for each in world.saved.history] == [1]


def test_the_time_of_a_pause_is_not_the_iterations() -> None:
    world = World()
    world.inbox.post("pause")
    world.daemon(stop_after=HALF_AN_HOUR).run()
    now = world.clock.now()
    world.inbox.post("go on", at=now)
    world.run()
    assert world.saved.history[0].started_at == now


def test_a_raw_file_that_is_left_out_is_neither_run_nor_solved_with() -> None:
    world = World(stuck={401})
    daemon = world.daemon()
    while world.reconstruction.delivered(1) != {400, 402}:
        daemon.step()
        world.pass_time(0)
    world.inbox.post("skip", 401)
    assert daemon.run() is Ending.DONE
    problem = world.batch.submissions["1"].problems[401]
    assert problem.trouble is Trouble.REMOVED
    assert [files for _, files in world.millepede.solved] == [{400, 402}] * 2
    assert [each.left_out for each in world.saved.history] == [(401,)] * 2
    assert 401 not in dict(world.ran).values()
    assert world.saved.failures == {}


def test_an_output_that_is_there_already_is_not_solved_with_either() -> None:
    world = World(stuck={402})
    daemon = world.daemon()
    while 401 not in world.reconstruction.delivered(1):
        daemon.step()
        world.pass_time(0)
    world.inbox.post("skip", 401)
    world.inbox.post("skip", 402)
    assert daemon.run() is Ending.DONE
    assert world.millepede.solved == [(1, frozenset({400})), (2, frozenset({400}))]


def test_what_is_solved_already_was_solved_with_it() -> None:
    world = World()
    daemon = world.daemon()
    while world.saved.state != "next_iteration":
        daemon.step()
        world.pass_time(0)
    world.inbox.post("skip", 401)
    daemon.run()
    assert [(each.files, each.left_out) for each in world.saved.history] == [(3, ()), (2, (401,))]


def test_a_raw_file_with_its_tries_back_runs_again_beside_the_others() -> None:
    world = World(fails={401: 3}, stuck={402})
    daemon = world.daemon()
    while world.saved.failures.get(401, 0) < 3:
        daemon.step()
        world.pass_time(0)
    world.inbox.post("retry", 401)
    world.stuck = set()
    assert daemon.run() is Ending.DONE
    assert world.saved.history[0].left_out == ()
    assert [number for _, number in world.ran].count(401) == 5


def a_meddled_world() -> World:
    world = World(iterations=1)
    daemon = world.daemon()
    while not world.batch.submissions:
        daemon.step()
    world.inbox.post("pause")
    world.inbox.post("go on")
    world.inbox.post("skip", 401)
    world.inbox.post("retry", 400)
    return world


def test_a_kill_at_any_moment_loses_no_request_and_does_none_twice() -> None:
    for world in left_by_kills(a_meddled_world()):
        assert world.run() is Ending.DONE
        assert world.inbox.requests == []
        assert world.saved.paused is None
        assert world.saved.skipped == {401: 1}
        assert [files for _, files in world.millepede.solved][-1] == {400, 402}
        assert max(Counter(world.ran).values()) == 1


def test_a_request_whose_file_could_not_be_removed_is_not_done_again() -> None:
    world = World()
    world.inbox.post("skip", 401)
    daemon = world.daemon()
    daemon.step()
    (request,) = world.saved.taken
    world.inbox.post("skip", 401)
    world.inbox.requests[0] = world.inbox.requests[0].model_copy(
        update={"id": request, "files": (400, 401, 402)}
    )
    assert daemon.run() is Ending.DONE
    assert world.saved.skipped == {401: 1}
    assert world.inbox.requests == []
