"""No false alarm: sound alignments of many detectors, by every strategy, in which no guard speaks.

`make quiet`; half an hour on two cores. Not one may be refused; not one may even be warned of.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate
from tests.in_process import Leg, Setting, align

SEEDS = range(1, 11)
EVENTS = 500

PROGRAMMES = {
    "3st": (Leg("3st", 8),),
    "3st-single": (Leg("3st-single", 5),),
    "4st": (Leg("4st", 6, with_ift=True),),
    "ift-global": (Leg("ift-global", 5, with_ift=True),),
    "ift-local": (Leg("ift-local", 5, with_ift=True),),
    "3st, ift-global, ift-local": (
        Leg("3st", 4),
        Leg("ift-global", 3, with_ift=True),
        Leg("ift-local", 3, with_ift=True),
    ),
}
FROM_A_GOOD_SPECTROMETER = {"ift-global", "ift-local"}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("programme", PROGRAMMES)
def test_no_guard_speaks(tmp_path: Path, programme: str, seed: int) -> None:
    legs = PROGRAMMES[programme]
    stations = 4 if any(leg.with_ift for leg in legs) else 3
    options = Options(seed=seed, beam=Beam(stations=stations, events=EVENTS))
    simulated = simulate(tmp_path / "sim", options)
    start = {
        key: tuple(six)
        for key, six in simulated.constants.items()
        if programme in FROM_A_GOOD_SPECTROMETER and not key.startswith("0")
    }
    said = [
        (iterated.number, iterated.verdict, iterated.signs)
        for iterated in align(tmp_path, simulated, Setting(legs, start))
    ]
    assert said == [(number, None, ()) for number in range(1, len(said) + 1)]
    assert len(said) == sum(leg.iterations for leg in legs)
