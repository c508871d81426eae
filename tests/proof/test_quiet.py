"""No false alarm: sound alignments of many detectors, by every strategy, in which no guard speaks.

`make quiet`; minutes on two idle cores. Not one may be refused; not one may even be warned of.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.detector.labels import component_of_key
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate
from tests.support.in_process import Setting, align

SEEDS = range(1, 11)
EVENTS = 500

ITERATIONS = {
    "3st": (8,),
    "4st": (6,),
    "ift-global": (5,),
    "ift-local": (5,),
    "3st-ift": (5, 5),
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
    said = [
        (iterated.number, iterated.verdict, iterated.signs)
        for iterated in align(tmp_path, simulated, setting)
    ]
    assert said == [(number, None, ()) for number in range(1, sum(ITERATIONS[name]) + 1)]
