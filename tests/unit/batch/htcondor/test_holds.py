"""Every kind of hold meets its remedy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from auto_iter.alignment.model import Action, Problem, Trouble
from auto_iter.batch.holds import KINDS, decide
from auto_iter.config.batch import Holds

POLICY = Holds(memory_factor=1.5, memory_cap_mb=3000, max_releases=2, release_pause_s=60)


def held(
    code: int | None, subcode: int = 0, reason: str = "", memory_mb: int | None = 1000
) -> Problem:
    return Problem(
        number=400,
        trouble=Trouble.HELD,
        reason=reason,
        code=code,
        subcode=subcode,
        memory_mb=memory_mb,
    )


@pytest.mark.parametrize(
    ("problem", "releases", "action"),
    [
        (held(1, 123), 0, Action.LEAVE),
        (held(15), 0, Action.LEAVE),
        (held(16), 5, Action.LEAVE),
        (held(3, 77, "job attribute PeriodicHold"), 0, Action.GIVE_UP),
        (held(4), 1, Action.RELEASE),
        (held(6, 2), 0, Action.RELEASE),
        (held(6, 2), 1, Action.GIVE_UP),
        (held(6, 13), 1, Action.GIVE_UP),
        (held(12, 28), 0, Action.RELEASE),
        (held(12, 28), 1, Action.RELEASE),
        (held(12, 28), 99, Action.RELEASE),
        (held(12, 13), 2, Action.GIVE_UP),
        (held(13, 5), 1, Action.RELEASE),
        (held(13, 5), 2, Action.GIVE_UP),
        (held(13, 2, "No such file"), 1, Action.GIVE_UP),
        (held(21, 0, "machine policy"), 0, Action.ELSEWHERE),
        (held(26, 1, "too many restarts"), 0, Action.GIVE_UP),
        (held(34, 104, "disk usage exceeded"), 0, Action.GIVE_UP),
        (held(46), 0, Action.GIVE_UP),
        (held(47), 0, Action.GIVE_UP),
        (held(999), 0, Action.RELEASE),
        (held(999), 1, Action.GIVE_UP),
        (held(None), 0, Action.RELEASE),
    ],
)
def test_a_hold_code_has_its_remedy(problem: Problem, releases: int, action: Action) -> None:
    assert decide(problem, releases, POLICY).action is action


@pytest.mark.parametrize(
    "problem",
    [
        held(34, 102, "Error from slot1: memory usage exceeded request_memory"),
        held(34, 0, "cgroup memory limit exceeded"),
        held(26, 34, "memory usage 180 MB above RequestMemory 50 MB"),
        held(26, 7, "Memory usage too high"),
        held(21, 34, "by the machine"),
    ],
)
def test_memory_is_raised_by_the_factor_whoever_held_the_job(problem: Problem) -> None:
    remedy = decide(problem, 0, POLICY)
    assert (remedy.action, remedy.memory_mb, remedy.pause_s) == (Action.MORE_MEMORY, 1500, 0)


@pytest.mark.parametrize(
    ("now_mb", "releases", "wanted_mb"),
    [(1000, 1, 1500), (2500, 0, 3000), (2999, 0, 3000), (3000, 0, None), (1000, 2, None)],
)
def test_memory_is_raised_up_to_the_cap_and_a_limited_number_of_times(
    now_mb: int, releases: int, wanted_mb: int | None
) -> None:
    remedy = decide(held(34, 102, memory_mb=now_mb), releases, POLICY)
    assert remedy.memory_mb == wanted_mb
    assert (remedy.action is Action.GIVE_UP) == (wanted_mb is None)


def test_memory_of_unknown_size_is_not_guessed() -> None:
    assert decide(held(34, 102, memory_mb=None), 0, POLICY).action is Action.GIVE_UP


def test_a_release_waits_for_the_pause() -> None:
    assert decide(held(12, 28), 0, POLICY).pause_s == 60


def test_without_releases_allowed_nothing_is_released() -> None:
    never = Holds(max_releases=0)
    actions = {decide(held(code), 0, never).action for code in KINDS}
    assert actions.isdisjoint({Action.RELEASE, Action.MORE_MEMORY})


def test_giving_up_says_what_was_tried() -> None:
    assert "released 2 times in vain" in decide(held(13, 5), 2, POLICY).meaning


def test_the_documentation_tells_of_every_hold() -> None:
    page = (Path(__file__).parents[4] / "docs/htcondor.md").read_text()
    table = page[page.index("| code | meaning |") : page.index("**Jobs that fail")]
    first_column = " ".join(line.split("|")[1] for line in table.splitlines() if "|" in line)
    assert {int(code) for code in re.findall(r"\d+", first_column)} == set(KINDS)
