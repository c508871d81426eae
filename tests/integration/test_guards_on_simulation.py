"""The guards are silent on sound alignments and speak up, early, where something is wrong.

`make quiet` says so for many more detectors.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, Simulated, simulate
from tests.support.in_process import Constants, Iterated, Setting, align

EVENTS = 400


def detector(directory: Path, *, seed: int = 1, stations: int = 3) -> Simulated:
    beam = Beam(stations=stations, events=EVENTS)
    return simulate(directory / "sim", Options(seed=seed, beam=beam))


@pytest.mark.long
@pytest.mark.parametrize(
    ("setting", "stations", "seed"),
    [(Setting("3st"), 3, 2), (Setting("4st"), 4, 3), (Setting("3st-ift", (3, 3)), 4, 4)],
    ids=["3 stations", "4 stations", "3, then 4"],
)
def test_a_sound_alignment_raises_no_alarm(
    tmp_path: Path, setting: Setting, stations: int, seed: int
) -> None:
    simulated = detector(tmp_path, seed=seed, stations=stations)
    for iterated in align(tmp_path, simulated, setting):
        assert (iterated.verdict, iterated.signs) == (None, ())


def until_alarm(directory: Path, simulated: Simulated, setting: Setting) -> Iterated:
    """Align until a guard speaks up; pede may not be the one that finds out."""
    for iterated in align(directory, simulated, setting):
        if iterated.alarm:
            return iterated
    raise AssertionError("no guard spoke up")


@pytest.mark.parametrize(
    ("flipped", "latest"),
    [
        ("align_local_derivation_x_x", 2),
        pytest.param("align_local_derivation_x_rz", 3, marks=pytest.mark.long),
        ("align_global_derivation_y_y", 2),
        # hardly measured: chi2/ndf is 1.07 by then
        pytest.param("align_global_derivation_y_rx", 4, marks=pytest.mark.long),
        pytest.param("align_global_derivation_y_rz", 3, marks=pytest.mark.long),
    ],
)
def test_a_derivative_with_the_wrong_sign_is_noticed_soon(
    tmp_path: Path, flipped: str, latest: int
) -> None:
    alarmed = until_alarm(tmp_path, detector(tmp_path), Setting(flipped=flipped))
    assert 2 <= alarmed.number <= latest
    assert alarmed.verdict is not None
    assert "arrived with the wrong sign or scale" in alarmed.verdict.reason


def stale(_: Constants, number: int) -> Constants:
    del number
    return {}


def half_stale(constants: Constants, number: int) -> Constants:
    return constants if number % 2 else {}


def test_half_of_the_files_are_named_when_they_are_stale(tmp_path: Path) -> None:
    alarmed = until_alarm(tmp_path, detector(tmp_path), Setting(tamper=half_stale))
    assert alarmed.number == 2
    assert alarmed.verdict is not None
    assert alarmed.verdict.files == (0, 2)


def test_identical_tracks_are_no_reason_to_go_on(tmp_path: Path) -> None:
    alarmed = until_alarm(tmp_path, detector(tmp_path), Setting(tamper=stale))
    assert alarmed.number == 2
    assert alarmed.verdict is not None
    assert "did not arrive" in alarmed.verdict.reason
