"""No false alarm: sound alignments of many detectors, by every strategy, in which no guard speaks.

`make quiet`; minutes on two idle cores. Not one may be refused; not one may even be warned of; in
no phase may one be said to be anything but converged, or on its way; and in the end all are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from auto_iter.alignment.judges.standing import word_for
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.plan import PhasePlan
from auto_iter.config.schema import Alignment
from auto_iter.detector.labels import component_of_key
from auto_iter.millepede.results import SolutionRecord
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate
from states.decisions.convergence import limits_of
from tests.support.in_process import RESIDUAL_CUTS_MM, Setting, align, stages

SEEDS = range(1, 11)
EVENTS = 500

ITERATIONS = {
    "3st": (8,),
    "4st": (6,),
    "ift-global": (5,),
    "ift-local": (5,),
    "3st-ift": (5, 8),
}
MOVED = {"ift-global": "layer", "ift-local": "module"}
"""What of the IFT a strategy moves; it is made for all else in its place (docs/strategies.md)."""


def _is_moved(key: str, name: str) -> bool:
    return key.startswith("0") and component_of_key(key).depth == MOVED[name]


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("name", ITERATIONS)
def test_no_guard_speaks(tmp_path: Path, name: str, seed: int) -> None:
    options = Options(
        seed=seed, beam=Beam(stations=4 if load_strategy(name).needs_ift else 3, events=EVENTS)
    )
    simulated = simulate(tmp_path / "sim", options)
    start = {
        key: tuple(six)
        for key, six in simulated.constants.items()
        if name in MOVED and not _is_moved(key, name)
    }
    setting = Setting(name, ITERATIONS[name], start)
    iterated = list(align(tmp_path, simulated, setting))
    said = [(each.number, each.verdict, each.signs) for each in iterated]
    assert said == [(number, None, ()) for number in range(1, sum(ITERATIONS[name]) + 1)]
    words = list(_words(ITERATIONS[name], [each.solution for each in iterated]))
    assert set(words) <= {None, Word.CONVERGED}
    assert words[-1] is Word.CONVERGED


def _words(
    iterations: Sequence[int], solutions: Sequence[SolutionRecord | None]
) -> Iterator[Word | None]:
    """Yield what each iteration's phase amounts to with it, once its cuts have settled."""
    usual = Alignment()
    plan = PhasePlan("", None, len(RESIDUAL_CUTS_MM), usual.convergence_pull)
    limits = limits_of(plan, usual)
    for stage, solution in zip(stages(iterations), solutions, strict=True):
        assert solution is not None
        first = stage.iteration - stage.within + plan.settles_at
        of_phase = [each for each in solutions[first - 1 : stage.iteration] if each is not None]
        yield word_for(of_phase, limits) if of_phase else None
