"""The daemon has people told, waits for nobody, and forgets nothing when it is killed."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from auto_iter.alignment.event import Event
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.notify import Notify
from auto_iter.daemon.loop import Ending
from auto_iter.notify.herald import ChildHerald
from auto_iter.notify.notices import noticed
from auto_iter.processes.children import Child
from tests.support.world import Killed, Killer, World

ON = Notify(command="tell")
EVENT = Event(id="w-1", kind="failed", at=0.0, words="no", iteration=1, state="failed")


@dataclass
class TwinHerald:
    """Delivers at once, or never."""

    is_busy: bool = False
    delivered: list[str] = field(default_factory=list)

    def noticed(self, snapshot: Snapshot, now: float) -> Snapshot:
        return noticed(snapshot, now, ON)

    def deliver(self, outbox: Sequence[Event]) -> frozenset[str]:
        if self.is_busy:
            return frozenset()
        self.delivered += [event.id for event in outbox]
        return frozenset(event.id for event in outbox)

    def has_news(self) -> bool:
        return False


def test_an_alignment_that_fails_says_so_once() -> None:
    world, herald = World(fails={401: 99}), TwinHerald()
    world.herald = herald
    assert world.run() is Ending.FAILED
    assert world.saved.notices.told.keys() == {"failed"}
    assert world.saved.notices.outbox == ()
    assert herald.delivered == ["w-1"]


def test_somebody_who_is_never_told_delays_nothing() -> None:
    told, silent = World(), World()
    told.herald = TwinHerald(is_busy=True)
    assert told.run() is silent.run() is Ending.DONE
    assert told.ran == silent.ran
    assert told.clock.now() == silent.clock.now()
    assert [each.kind for each in told.saved.notices.outbox] == ["finished"]


def last_actions(world: World) -> int:
    killer = Killer()
    world.daemon(killer).run()
    return killer.done


def a_world() -> World:
    world = World(iterations=1, files=frozenset({400}))
    world.herald = TwinHerald(is_busy=True)
    return world


@pytest.mark.parametrize("before_the_end", range(6))
def test_a_kill_near_the_end_neither_loses_nor_doubles_an_event(before_the_end: int) -> None:
    world = a_world()
    with pytest.raises(Killed):
        world.daemon(Killer(last_actions(a_world()) - before_the_end)).run()
    if world.saved.state != "done":
        world.run()
    assert [each.id for each in world.saved.notices.outbox] == ["w-1"]


def hook(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_command_that_sleeps_an_hour_is_not_waited_for(tmp_path: Path) -> None:
    sleeping = Notify(command=hook(tmp_path / "hook", "sleep 3600"), time_limit_s=0.1)
    herald = ChildHerald(tmp_path, sleeping, {})
    began = time.monotonic()
    assert herald.deliver([EVENT]) == frozenset()
    assert herald.deliver([EVENT]) == frozenset()
    assert not herald.has_news()
    assert herald.finish([EVENT], 0.0) == frozenset()
    assert time.monotonic() - began < 60


def test_an_event_that_no_process_can_be_started_for_is_told_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    herald = ChildHerald(tmp_path, Notify(command=hook(tmp_path / "hook", "cat >&2")), {})

    def full(*_arguments: object, **_more: object) -> Child:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as now:
        now.setattr("auto_iter.notify.herald.start_child", full)
        assert herald.deliver([EVENT]) == frozenset()
        assert herald.finish([EVENT]) == frozenset()
    assert herald.finish([EVENT], 180) == {"w-1"}


def test_who_waits_for_the_last_of_it_gives_signs_of_life(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auto_iter.processes.children.LOOK_EVERY_S", 0.01)
    slow = Notify(command=hook(tmp_path / "hook", "exec sleep 3600"), time_limit_s=3600)
    asked = iter([False, False, True, True])
    herald = ChildHerald(tmp_path, slow, {})
    began = time.monotonic()
    assert herald.finish([EVENT], should_stop=lambda: next(asked)) == frozenset()
    assert len(list(asked)) == 1
    assert time.monotonic() - began < 60


def test_what_was_delivered_and_what_could_not_be_are_both_settled(tmp_path: Path) -> None:
    other = EVENT.model_copy(update={"id": "w-2"})
    text = f"cat >> {tmp_path}/told; grep -q '\"w-2\"' {tmp_path}/told && exit 1; exit 0"
    herald = ChildHerald(tmp_path, Notify(command=hook(tmp_path / "hook", text)), {})
    assert herald.finish([EVENT, other], 180) == {"w-1", "w-2"}
    assert len((tmp_path / "told").read_text().splitlines()) == 2
