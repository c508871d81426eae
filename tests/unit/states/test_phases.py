"""Phases, convergence and the verdict at the end, with the whole daemon in memory."""

from __future__ import annotations

from typing import Any

import pytest

from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.model import Stage
from auto_iter.alignment.plan import PhasePlan, Plan
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.config.schema import Alignment, Config
from auto_iter.daemon.lifecycle import revive
from auto_iter.daemon.loop import Ending
from auto_iter.millepede.strategy.file import load_strategy, parse_strategy
from states.decisions import convergence
from tests.support.world import World

THREE = Plan(
    "programme",
    (
        PhasePlan("3ST", 3, 1, 0.5),
        PhasePlan("IFT global", 2, 1, 0.5),
        PhasePlan("IFT local", 2, 1, 0.5),
    ),
)


def world(pulls: list[float], iterations: int = 7, plan: Plan = THREE, **settings: Any) -> World:
    made = World(
        iterations=iterations, plan=plan, settings={"stop_when_converged": True, **settings}
    )
    made.millepede.max_pulls = pulls
    return made


def stages(world: World) -> list[tuple[int, int]]:
    """Return phase (from 0) and iteration within it, in the order they were prepared."""
    return [(stage.phase, stage.within) for stage in world.reconstruction.stages]


def solution(pull: float, **more: Any) -> SolutionSummary:
    values = {"tracks": 1, "chi2_ndf": 1.0, "max_shift_um": 1.0, "max_rotation_mrad": 1.0}
    return SolutionSummary(**{**values, "max_pull": pull, "pulls": {"layer ry": pull}, **more})


def test_a_phase_ends_when_it_has_converged_and_the_next_begins() -> None:
    alignment = world([9.0, 0.1, 5.0, 0.1, 0.2])
    assert alignment.run() is Ending.DONE
    assert stages(alignment) == [(0, 1), (0, 2), (1, 1), (1, 2), (2, 1)]
    history = alignment.saved.history
    assert [record.ends_phase for record in history] == [False, True, False, True, False]
    assert [record.within for record in history] == [1, 2, 1, 2, 1]
    assert alignment.saved.verdict is not None
    assert alignment.saved.verdict.converged
    assert "converged: the last changes were 0.2 σ" in alignment.saved.verdict.sentence


def test_a_phase_that_uses_up_its_iterations_gives_way_and_is_named_at_the_end() -> None:
    alignment = world([9.0, 8.0, 7.0, 0.1, 0.1])
    assert alignment.run() is Ending.DONE
    assert stages(alignment) == [(0, 1), (0, 2), (0, 3), (1, 1), (2, 1)]
    verdict = alignment.saved.verdict
    assert verdict is not None
    assert not verdict.converged
    assert (
        verdict.sentence
        == "not converged, iterations used up, phase 3ST: layer ry still moves by 7 σ"
    )


def test_iterations_that_end_before_the_last_phase_leave_it_incomplete() -> None:
    alignment = world([9.0, 0.1, 5.0], iterations=3)
    assert alignment.run() is Ending.DONE
    verdict = alignment.saved.verdict
    assert verdict is not None
    assert verdict.sentence == (
        "not complete: the iterations were used up in phase IFT global; still to come: IFT local"
    )


def test_more_iterations_begin_the_phase_that_was_due() -> None:
    alignment = world([9.0, 0.1, 0.1, 0.1], iterations=2)
    assert alignment.run() is Ending.DONE
    longer = alignment.saved.arguments.model_copy(update={"iterations": 9})
    saved = alignment.saved.but(arguments=longer, settled=False)
    alignment.saved = revive(saved, alignment.clock.now())
    assert alignment.run() is Ending.DONE
    assert stages(alignment) == [(0, 1), (0, 2), (1, 1), (2, 1)]
    assert alignment.saved.verdict is not None
    assert alignment.saved.verdict.converged


def test_with_stopping_switched_off_every_iteration_is_made() -> None:
    alignment = world([0.1], stop_when_converged=False)
    assert alignment.run() is Ending.DONE
    assert stages(alignment) == [(0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (2, 1), (2, 2)]
    assert alignment.saved.verdict is not None
    assert alignment.saved.verdict.converged


def test_the_last_iteration_of_all_may_still_move() -> None:
    alignment = world([9.0, 6.6], iterations=2, plan=Plan("3st", (PhasePlan("3ST", None, 1, 0.5),)))
    assert alignment.run() is Ending.DONE
    assert alignment.saved.verdict is not None
    assert alignment.saved.verdict.sentence == (
        "not converged, iterations used up: layer ry still moves by 6.6 σ"
    )


def test_while_cuts_still_narrow_nothing_has_converged() -> None:
    phase = PhasePlan("3ST", None, 4, 0.5)
    limits = convergence.limits_of(phase, Alignment(convergence_iterations=1))
    found = [
        convergence.word_of([], solution(0.1), within, phase, limits) for within in (1, 3, 4, 9)
    ]
    assert found == [None, None, Word.CONVERGED, Word.CONVERGED]
    assert "with the same cuts" in convergence.movement(solution(0.1), limits)


def test_without_uncertainties_nobody_knows_whether_it_has_converged() -> None:
    silent, phase = solution(0.0, pulls={}), PhasePlan("3ST", None, 1, 0.5)
    limits = convergence.limits_of(phase, Alignment())
    assert convergence.word_of([], silent, 9, phase, limits) is None
    record = IterationRecord(
        iteration=1, started_at=0, finished_at=1, attempts=1, files=1, **dict(silent)
    )
    verdict = convergence.verdict([record], Plan("3st", (phase,)), Alignment(), "found")
    assert verdict.word is Word.USED_UP
    assert "no uncertainties" in verdict.sentence


def test_the_plan_knows_when_the_cuts_of_a_phase_have_settled() -> None:
    strategy = parse_strategy(
        "name: a\nphases: [{name: b, iterations: 5, steps: [{}], cuts: {max_residual_mm: 0.1}}, "
        "{name: c, steps: [{}]}]",
        "mine",
    )
    config = Config.model_validate(
        {"millepede": {"cuts": {"max_residual_mm": [1.0, 0.3, 0.1, 0.1]}}}
    )
    one, other = strategy.plan(config).phases
    assert (one.settles_at, other.settles_at) == (1, 3)


@pytest.mark.parametrize(("stage", "stations"), [(Stage(1, 0, 1), 3), (Stage(11, 1, 1), 4)])
def test_stations_belong_to_the_phase(stage: Stage, stations: int) -> None:
    assert load_strategy("3st-ift").stations_in(stage, 4) == stations


def test_a_checkpoint_of_the_first_version_has_one_phase() -> None:
    saved = World().saved.model_dump()
    for name in ("phase", "phase_began", "verdict"):
        del saved[name]
    assert Snapshot.model_validate(saved).stage == Stage(1, 0, 1)
