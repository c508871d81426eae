"""A machine that goes round and gets nothing done: it pauses, and says so."""

from __future__ import annotations

from structlog.testing import capture_logs

from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.circles import AGAIN, MOST_MOVES
from auto_iter.daemon.loop import Daemon, Ending
from states import actions
from states.step import Fire, Outcome, Ports, State
from tests.support.world import World

STOP_AFTER = 5
SAID = "going round, and nothing gets done"


def test_it_pauses_between_a_few_turns_and_goes_on_when_something_comes_of_it() -> None:
    world = World(iterations=1)
    turns = 0

    def submits_nothing(snapshot: Snapshot, _ports: Ports) -> Outcome:
        nonlocal turns
        turns += 1
        assert turns < 10 * MOST_MOVES, "it spins"
        return Fire("nothing_outstanding", snapshot)

    def wants_some(snapshot: Snapshot, _ports: Ports) -> Outcome:
        return Fire("reco_incomplete", snapshot)

    spinning: dict[str, State] = {
        **actions.ALL,
        "submit_reco": submits_nothing,
        "wait_reco": wants_some,
    }
    daemon = world.daemon(stop_after=STOP_AFTER)
    parts = (daemon._ports, daemon._sleeper, daemon._sink)  # noqa: SLF001 - other states, same world
    with capture_logs() as log:
        assert Daemon(world.saved, spinning, *parts).run() is Ending.INTERRUPTED
    assert turns <= (MOST_MOVES + (STOP_AFTER - 1) * AGAIN) / 2 + STOP_AFTER
    assert [each["event"] for each in log].count(SAID) == STOP_AFTER
    assert world.daemon().run() is Ending.DONE


def test_a_sound_alignment_is_never_taken_for_one() -> None:
    world = World(iterations=3)
    with capture_logs() as log:
        assert world.daemon().run() is Ending.DONE
    assert SAID not in [each["event"] for each in log]
