"""A simulated detector that the integration tests share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options
from tests.once import made_once
from tests.simulated import simulate_for_tests


@dataclass(frozen=True)
class SimulatedDetector:
    """A small simulation: raw files 400 and 401 of run 11705, and the configuration to align it."""

    directory: Path
    config: Path
    year: int = 2023
    run: int = 11705
    files: str = "400-402"


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
