"""A module with too few hits stays where it is, by name, until there are enough of them.

A simulated detector, aligned in this process, of which all but one module is known. In the first
iterations its raw files have hardly any cluster on that module: it was off in the runs at hand.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from auto_iter.detector.labels import HALF_STEREO_RAD, LAYERS, MODULES, SIDES
from auto_iter.millepede.results import SolutionRecord
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.rawfile import read_raw, write_raw
from auto_iter.simulation.simulate import Options, simulate
from tests.support.in_process import Setting, align, read_constants

STATION, LAYER, MODULE = 2, 1, 3
NAME = f"station {STATION} layer {LAYER} module {MODULE}"
KEY = f"{STATION}{LAYER}{MODULE}"
CLUSTERS_LEFT = 5
"""In each of four files."""
OFF_UNTIL, ITERATIONS = 3, 4
CUT_MM = 0.5
"""As wide from the beginning: what iterations find is to differ by the module alone."""


def while_it_was_off(raw_file: Path, iteration: int) -> Path:
    """Return the raw file with only the first few clusters on the module, before `OFF_UNTIL`."""
    if iteration >= OFF_UNTIL:
        return raw_file
    raw = read_raw(raw_file)
    is_on = raw.sensor // SIDES == (STATION * LAYERS + LAYER) * MODULES + MODULE
    kept = ~is_on | (np.cumsum(is_on) <= CLUSTERS_LEFT)
    output = raw_file.with_suffix(".off.raw")
    write_raw(output, raw.keep(kept))
    return output


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("gate")


@pytest.fixture(scope="module")
def solutions(place: Path) -> list[SolutionRecord]:
    simulated = simulate(place / "sim", Options(seed=5, beam=Beam(events=300)))
    start = {key: tuple(six) for key, six in simulated.constants.items() if key != KEY}
    setting = Setting(
        iterations=(ITERATIONS,), start=start, taken=while_it_was_off, cuts_mm=(CUT_MM,)
    )
    solved = [each.solution for each in align(place, simulated, setting)]
    return [each for each in solved if each is not None]


def test_it_stays_by_name_until_it_has_enough(place: Path, solutions: list[SolutionRecord]) -> None:
    off = OFF_UNTIL - 1
    assert [each.gated for each in solutions] == [3] * off + [0] * (ITERATIONS - off)
    for solution in solutions[:off]:
        (warning,) = [each for each in solution.warnings if "short of data" in each]
        assert "3 of 261 parameters have fewer than 25 hits on 10 tracks" in warning
        assert f"stay where they are: {NAME} (" in warning
        assert set(solution.held) == {f"{NAME} side 0 x", f"{NAME} side 1 x", f"{NAME} rz"}
        assert all(value_of(solution, name) == 0.0 for name in solution.held)
        assert solution.free_parameters == (solutions[-1].free_parameters or 0) - 3
    assert not any(read_constants(place / f"iter{off:02d}/inputforalign.txt").get(KEY, ()))


def test_the_sums_over_its_layer_hold_with_and_without_it(
    solutions: list[SolutionRecord],
) -> None:
    layer = NAME.rpartition(" module")[0] + " module"
    for solution in solutions:
        for parameter in (" x", " rz"):
            names = [each.name for each in solution.parameters if each.name.startswith(layer)]
            values = [value_of(solution, name) for name in names if name.endswith(parameter)]
            assert max(values) > 0
            # pede writes five digits
            assert abs(sum(values)) < 1e-4 * sum(map(abs, values))


def test_others_converge_without_it_and_all_of_them_with_it(
    solutions: list[SolutionRecord],
) -> None:
    # from one iteration to the next, hits that come and go at the cut move them by up to 0.6 σ
    moves = [max(group.rms_pull for group in each.groups) for each in solutions]
    assert [moved > 1 for moved in moves] == [True, False, True, False]
    assert solutions[-1].track_chi2_ndf < 1.1


def without_side_0(raw_file: Path, iteration: int) -> Path:
    """Return the raw file as if one side of the module were dead."""
    del iteration
    raw = read_raw(raw_file)
    kept = raw.sensor != ((STATION * LAYERS + LAYER) * MODULES + MODULE) * SIDES
    output = raw_file.with_suffix(".half.raw")
    write_raw(output, raw.keep(kept))
    return output


def test_a_module_with_one_dead_side_moves_as_a_whole_and_no_other_one_with_it(
    tmp_path: Path,
) -> None:
    simulated = simulate(tmp_path / "sim", Options(seed=5, beam=Beam(events=300)))
    start = {key: tuple(six) for key, six in simulated.constants.items() if key != KEY}
    setting = Setting(iterations=(2,), start=start, taken=without_side_0, cuts_mm=(CUT_MM,))
    last = [each.solution for each in align(tmp_path, simulated, setting)][-1]
    assert last is not None
    found = read_constants(tmp_path / "iter02/inputforalign.txt")
    off = {
        module: x_of(found, module) - x_of(simulated.constants, module) for module in range(MODULES)
    }
    # y of the module, which nothing measures any more, counts for its 20 mrad of it
    assert abs(off.pop(MODULE)) < 0.02 + HALF_STEREO_RAD * abs(simulated.constants[KEY][1])
    assert max(map(abs, off.values())) < 0.02
    assert found[KEY][1] == 0.0
    assert last.gated == 1


def x_of(constants: Mapping[str, Sequence[float]], module: int) -> float:
    """Return where a module is: what modules have in common is their layer's."""
    layer = f"{STATION}{LAYER}"
    return constants[f"{layer}{module}"][0] + constants[layer][0]


def value_of(solution: SolutionRecord, name: str) -> float:
    (found,) = [each.value for each in solution.parameters if each.name == name]
    return found
