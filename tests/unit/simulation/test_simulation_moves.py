"""A detector that moves between raw files, and a truth that says so."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from auto_iter.errors import UsageError
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.moves import parse_move
from auto_iter.simulation.simulate import Options, simulate
from auto_iter.weakmodes.truth_file import read_truth

BEAM = Beam(events=2)
MOVE = {("20", "y"): 0.02}


def test_other_files_and_the_truth_stay_as_they_are(tmp_path: Path) -> None:
    there = simulate(tmp_path / "sim", Options(files=(400, 401), beam=BEAM))
    truth, raw = read_truth(there.truth), [path.read_bytes() for path in there.raw_files]
    simulate(tmp_path / "sim", Options(files=(500,), beam=BEAM, moves=MOVE))
    assert read_truth(there.truth) == truth
    assert [path.read_bytes() for path in there.raw_files] == raw
    noted = yaml.safe_load(there.truth.read_text())["moved"]
    assert noted == [{"run": 11705, "files": [500], "by": {"20.y": 0.02}}]


def test_a_file_that_is_simulated_anew_is_where_it_was_put_last(tmp_path: Path) -> None:
    moved = simulate(tmp_path / "sim", Options(files=(400, 401), beam=BEAM, moves=MOVE))
    before = moved.raw_files[0].read_bytes()
    simulate(tmp_path / "sim", Options(files=(400,), beam=BEAM))
    noted = yaml.safe_load(moved.truth.read_text())["moved"]
    assert noted == [{"run": 11705, "files": [401], "by": {"20.y": 0.02}}]
    assert moved.raw_files[0].read_bytes() != before


@pytest.mark.parametrize("text", ["20.y", "20.y=", "20.y=nan", "20.q=1", "2.y=1", "49.y=1", "y=1"])
def test_a_move_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"KEY\.PARAMETER=VALUE"):
        parse_move(text)


def test_a_component_that_is_not_there_is_refused_before_anything_is_written(
    tmp_path: Path,
) -> None:
    with pytest.raises(UsageError, match="no component 01"):
        simulate(tmp_path / "sim", Options(files=(1,), beam=BEAM, moves={("01", "y"): 0.1}))
    assert not (tmp_path / "sim").exists()
