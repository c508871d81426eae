"""A campaign of five ranges: the one that moved is found with its size, the others are left alone.

A layer is 20 µm away in y while the third range is taken; the other four see one detector.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest

from auto_iter.campaign.movements import Explained, movements
from auto_iter.ledger.difference import Difference, difference
from auto_iter.ledger.sample import Sample
from auto_iter.millepede.results import read_solution
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate
from tests.support.in_process import Setting, align, read_constants

SEEDS = (1, 2, 3)
RANGES, FILES, EVENTS = 5, 4, 500
ELSEWHERE = 2
"""The third range, counted from 0."""
MOVED_MM = 0.02
FALSE_ALARM = 1e-3


def sample(directory: Path, seed: int, number: int) -> Sample:
    """Return the alignment of one range, begun without constants."""
    first = 400 + 100 * number
    options = Options(
        seed=seed,
        files=range(first, first + FILES),
        beam=Beam(events=EVENTS),
        moves={("20", "y"): MOVED_MM} if number == ELSEWHERE else {},
    )
    simulated = simulate(directory / "sim", options)
    *_, last = align(directory, simulated, Setting(iterations=(6,)))
    place = directory / f"iter{last.number:02d}"
    (place / "mille").mkdir()
    for binary in place.glob("*.bin"):
        binary.rename(place / "mille" / binary.name)
    return Sample(
        name=f"range {number}",
        directory=place,
        constants=read_constants(place / "inputforalign.txt"),
        solution=read_solution(place / "solution.json"),
        scheme=load_strategy("3st").labels,
        files=frozenset(path.name for path in simulated.raw_files),
    )


@dataclass(frozen=True)
class Pair:
    difference: Difference
    explained: Explained


@pytest.fixture(scope="module", params=SEEDS)
def pairs(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[int, int], Pair]:
    """Return all pairs of ranges of one detector."""
    samples = []
    for number in range(RANGES):
        directory = tmp_path_factory.mktemp(f"range{number}-")
        samples.append(sample(directory, request.param, number))
    found = {}
    for one, other in itertools.combinations(range(RANGES), 2):
        between = difference(samples[one], samples[other])
        found[one, other] = Pair(between, movements(between, FALSE_ALARM))
    return found


def test_the_range_that_moved_is_found_with_its_size(pairs: dict[tuple[int, int], Pair]) -> None:
    for (one, other), pair in pairs.items():
        if ELSEWHERE not in (one, other):
            continue
        assert pair.difference.p_value is not None
        assert pair.difference.p_value < 1e-6
        first, *rest = pair.explained.movements
        assert (first.key, first.parameter) == ("20", "y")
        assert not rest
        true = MOVED_MM if other == ELSEWHERE else -MOVED_MM
        assert abs(first.value - true) < 3 * first.sigma
        # found: nothing of it is left, and that was not for lack of a measurement
        assert first.sigma < MOVED_MM / 5


def test_the_other_four_are_compatible(pairs: dict[tuple[int, int], Pair]) -> None:
    for (one, other), pair in pairs.items():
        if ELSEWHERE in (one, other):
            continue
        assert pair.difference.p_value is not None
        assert pair.difference.p_value > FALSE_ALARM / (RANGES - 1)
        assert not pair.explained.movements
