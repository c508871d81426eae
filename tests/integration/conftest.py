"""A simulated detector that the integration tests share."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options
from tests.integration.commands import DONE, SimulatedDetector, call, run_command
from tests.support.once import made_once
from tests.support.simulated import simulate_for_tests

ONE_ITERATION = "Y2023_R011705_F400"
TWO_ITERATIONS = "Y2023_R011705_F400-402"


@pytest.fixture(scope="session")
def reconstructed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return where reconstructions are kept that another test may ask for again."""
    return made_once(tmp_path_factory, "reconstructed", lambda _: None)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory, reconstructed: Path) -> SimulatedDetector:
    """Return a detector whose alignment takes seconds; made once a run of the tests."""
    options = Options(files=(400, 401), beam=Beam(events=450))
    directory = made_once(
        tmp_path_factory,
        "simulated",
        lambda place: simulate_for_tests(place, options, reconstructed),
    )
    return SimulatedDetector(directory, directory / "config.yaml")


@pytest.fixture(scope="session")
def one_file(simulated: SimulatedDetector) -> SimulatedDetector:
    """Return its first raw file alone, for what does not depend on how many there are."""
    return replace(simulated, files="400")


@pytest.fixture(scope="session")
def one_iteration(tmp_path_factory: pytest.TempPathFactory, one_file: SimulatedDetector) -> Path:
    """Return a finished alignment of one file and one iteration; nobody may touch it."""

    def align(place: Path) -> None:
        assert call(run_command(one_file), place).returncode in DONE

    return made_once(tmp_path_factory, "one_iteration", align) / ONE_ITERATION


@pytest.fixture(scope="session")
def two_iterations(tmp_path_factory: pytest.TempPathFactory, simulated: SimulatedDetector) -> Path:
    """Return an alignment of two files that went through two iterations; nobody may touch it."""

    def align(place: Path) -> None:
        done = call(run_command(simulated, iterations=2), place)
        assert done.returncode == NOT_CONVERGED_EXIT_CODE  # two are not enough

    return made_once(tmp_path_factory, "two_iterations", align) / TWO_ITERATIONS


@pytest.fixture
def aligned(two_iterations: Path, tmp_path: Path) -> Path:
    """Return a copy of it, to be changed."""
    return Path(shutil.copytree(two_iterations, tmp_path / two_iterations.name))
