"""A simulated detector that the integration tests share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options
from tests.simulated import simulate_for_tests


@dataclass(frozen=True)
class SimulatedDetector:
    """A small simulation: raw files 400 to 402 of run 11705, and the configuration to align it."""

    directory: Path
    config: Path
    year: int = 2023
    run: int = 11705
    files: str = "400-403"


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> SimulatedDetector:
    """Return a detector whose alignment takes seconds; made once a session."""
    directory = tmp_path_factory.mktemp("simulated")
    options = Options(files=(400, 401, 402), beam=Beam(events=300))
    return SimulatedDetector(directory, simulate_for_tests(directory, options).config)
