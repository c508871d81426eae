"""Whether two alignments saw the same detector: told rightly of one that stayed, and that moved.

A layer that moves by 20 µm in y is far more than its uncertainty. Independent raw files of the same
detector, or of the moved one.
"""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest

from auto_iter.detector.geometry import build_detector
from auto_iter.ledger.difference import Difference, difference
from auto_iter.ledger.sample import Sample
from auto_iter.millepede.results import read_solution
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.simulation.generation import Beam, generate
from auto_iter.simulation.rawfile import write_raw
from auto_iter.simulation.simulate import Options, simulate
from tests.support.in_process import Setting, align, read_constants

SEEDS = range(1, 6)
EVENTS = 500
MOVED_MM = 0.02


def sample(directory: Path, seed: int, first: int, moved_mm: float = 0.0) -> Sample:
    """Return an alignment of four raw files, begun without constants."""
    files = range(first, first + 4)
    options = Options(seed=seed, files=files, beam=Beam(events=EVENTS))
    simulated = simulate(directory / "sim", options)
    constants = copy.deepcopy(simulated.constants)
    constants["20"][1] += moved_mm
    for number, path in zip(files, simulated.raw_files, strict=True):
        random = np.random.default_rng([seed, 1, number])
        detector = build_detector(constants)
        write_raw(path, generate(random, detector, options.beam, options.run, number))
    *_, last = align(directory, simulated, Setting(iterations=(6,)))
    place = directory / f"iter{last.number:02d}"
    solution = read_solution(place / "solution.json")
    return Sample(
        name=str(directory),
        directory=_as_in_a_workspace(place),
        constants=read_constants(place / "inputforalign.txt"),
        solution=solution,
        scheme=load_strategy("3st").labels,
        files=frozenset(path.name for path in simulated.raw_files),
    )


def _as_in_a_workspace(place: Path) -> Path:
    (place / "mille").mkdir()
    for binary in place.glob("*.bin"):
        binary.rename(place / "mille" / binary.name)
    return place


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Difference, Difference]]:
    """Return for each seed how the detector agrees with itself, and with one that moved."""
    directory = tmp_path_factory.mktemp("pairs")
    pairs = []
    for seed in SEEDS:
        places = [directory / f"{seed}-{which}" for which in ("first", "second", "moved")]
        for place in places:
            place.mkdir()
        first, second = sample(places[0], seed, 400), sample(places[1], seed, 500)
        moved = sample(places[2], seed, 500, MOVED_MM)
        pairs.append((difference(first, second), difference(first, moved)))
    return pairs


def test_a_detector_that_stayed_is_compatible_with_itself(
    found: list[tuple[Difference, Difference]],
) -> None:
    same = [one for one, _ in found]
    assert all(each.p_value is not None and each.p_value > 1e-3 for each in same)
    pulls = np.concatenate([each.pulls for each in same])
    width = float(np.sqrt(np.mean(pulls**2)))
    # 1 000 combinations: their width is known to 2 %
    assert 0.9 < width < 1.1, width


def test_a_layer_that_moved_by_20_um_is_noticed(found: list[tuple[Difference, Difference]]) -> None:
    assert all(moved.p_value is not None and moved.p_value < 1e-6 for _, moved in found)
