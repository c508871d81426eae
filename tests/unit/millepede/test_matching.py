"""How the interface tracker matches the spectrometer: tracks of a known detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.labels import Scheme
from auto_iter.millepede.conversion.convert import Converter
from auto_iter.millepede.conversion.kfalignment import TrackFile
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.reconstruct import reconstruct
from auto_iter.simulation.simulate import Options, simulate

OFF_MM = 0.2
IFT_LAYERS = ("00", "01", "02")


def statistics(root: Path) -> Statistics:
    converter = Converter(Scheme(), TrackCuts(), judges=True)
    for chunk in TrackFile(root, converter.branches, with_charge=True).chunks():
        converter.convert(chunk)
    return converter.statistics


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("matching")


@pytest.fixture(scope="module")
def found(place: Path) -> tuple[Statistics, Statistics]:
    """Return the truth's tracks, and those of an IFT that is thought to be 0.2 mm too low."""
    simulated = simulate(
        place / "sim", Options(files=(400,), beam=Beam(stations=4, events=200), seed=4)
    )
    truth = {key: tuple(six) for key, six in simulated.constants.items()}
    low = {key: (x, y - OFF_MM, *rest) for key, (x, y, *rest) in truth.items() if key in IFT_LAYERS}
    made = []
    for name, constants in (("true", truth), ("low", {**truth, **low})):
        root = place / f"{name}.root"
        reconstruct(simulated.raw_files[0], constants, root, with_ift=True)
        made.append(statistics(root))
    return made[0], made[1]


def test_a_station_that_is_off_is_seen_as_far_off_as_it_is(
    found: tuple[Statistics, Statistics],
) -> None:
    true, low = (each.matching for each in found)
    assert true.hits == pytest.approx(low.hits, rel=0.1)
    assert true.hits > 100
    # what is thought to be too low has its hits below the tracks
    assert low.mean_um - true.mean_um == pytest.approx(-1e3 * OFF_MM, rel=0.05)
    assert abs(true.mean_um) < 5 * true.width_um / np.sqrt(true.hits)


def test_residuals_of_tracks_that_know_these_hits_show_less_of_it(
    found: tuple[Statistics, Statistics],
) -> None:
    true, low = found
    shown = low.layers["10"].before.mean_um - true.layers["10"].before.mean_um
    assert abs(shown) < 0.5e3 * OFF_MM


def test_without_the_station_there_is_nothing_to_match(place: Path) -> None:
    root = place / "spectrometer.root"
    reconstruct(next((place / "sim").rglob("*.raw")), {}, root, with_ift=False)
    assert statistics(root).matching.hits == 0
