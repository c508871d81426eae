"""Where sensors are, how muons fly, and what a misaligned detector obeys."""

from __future__ import annotations

import math

import numpy as np
import pytest

from auto_iter.detector.field import BEND_PER_MM, fly
from auto_iter.detector.geometry import (
    SENSORS,
    align_id,
    build_detector,
    plane_of,
    plane_z,
    stereo_angle,
)
from auto_iter.simulation.misalignment import Sizes, draw_constants

SEEDS = (0, 1, 2)


def drawn(seed: int, stations: int = 3) -> dict[str, list[float]]:
    return draw_constants(np.random.default_rng(seed), stations, Sizes())


def test_sensors_are_numbered_by_station_layer_module_and_side() -> None:
    ids = align_id(np.arange(SENSORS))
    assert [ids[0], ids[1], ids[2], ids[16], ids[48], ids[191]] == [0, 1, 10, 100, 1000, 3271]
    assert len(set(ids)) == SENSORS


def test_a_sensor_lies_at_its_planes_z() -> None:
    sensors = np.arange(SENSORS)
    np.testing.assert_allclose(build_detector({}).centre[:, 2], plane_z()[plane_of(sensors)])


def test_side_shifts_give_module_y_by_the_rule_of_labels() -> None:
    """Module y = ±(x₁−x₀)/(2·0.020), + for modules 0, 2, 5 and 7."""
    for module in range(8):
        seen = [
            build_detector({f"10{module}": [0.0, 1.0, 0.0, 0.0, 0.0, 0.0]}).centre
            - build_detector({}).centre
            for _ in (0, 1)
        ]
        axes = build_detector({}).axes
        x0, x1 = (seen[s][48 + 2 * module + s] @ axes[48 + 2 * module + s, :, 0] for s in (0, 1))
        sign = 1 if module in {0, 2, 5, 7} else -1
        assert sign * (x1 - x0) / (2 * 0.020) == pytest.approx(1.0, rel=1e-3)
        assert (x0 + x1) / 2 == pytest.approx(0.0, abs=1e-12)


def test_stereo_angles_of_the_two_sides_are_opposite() -> None:
    assert all(stereo_angle(m, 0) == -stereo_angle(m, 1) for m in range(8))


def test_station_constants_are_those_of_each_of_its_layers() -> None:
    six = [0.1, 0.2, 0.3, 0.001, 0.002, 0.003]
    by_station = build_detector({"2": six})
    by_layer = build_detector({f"2{layer}": six for layer in range(3)})
    np.testing.assert_array_equal(by_station.centre, by_layer.centre)
    np.testing.assert_array_equal(by_station.axes, by_layer.axes)


def test_a_muon_without_charge_flies_straight() -> None:
    state = fly(np.array([[1.0, 2.0, 0.01, -0.02, 0.0]]), plane_z()).state[0]
    np.testing.assert_allclose(state[:, 0], 1.0 + 0.01 * plane_z(), rtol=1e-12)
    np.testing.assert_allclose(state[:, 1], 2.0 - 0.02 * plane_z(), rtol=1e-12)


def test_a_muon_goes_round_a_circle_in_a_magnet() -> None:
    """Closed form through the first magnet of the spectrometer: z = 142 to 1142 mm."""
    qop = 1 / 50
    y, slope = fly(np.array([[0.0, 0.0, 0.0, 0.01, qop]]), np.array([1142.0])).state[0, 0, [1, 3]]
    start = math.atan(0.01)
    end = math.asin(math.sin(start) + BEND_PER_MM * qop * 1000)
    expected = 142 * math.tan(start)
    expected += (math.cos(start) - math.cos(end)) / (BEND_PER_MM * qop)
    assert y == pytest.approx(expected, abs=1e-6)
    assert slope == pytest.approx(math.tan(end), abs=1e-12)


def test_a_plane_in_a_magnet_is_refused() -> None:
    with pytest.raises(ValueError, match="inside a magnet"):
        fly(np.zeros((1, 5)), np.array([500.0]))


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("stations", [3, 4])
def test_true_module_x_y_and_rz_obey_the_constraints(seed: int, stations: int) -> None:
    constants = drawn(seed, stations)
    for layer in (key for key in constants if len(key) == 2):
        modules = np.array([constants[f"{layer}{module}"] for module in range(8)])
        np.testing.assert_allclose(modules[:, [0, 1, 5]].sum(axis=0), 0.0, atol=1e-5)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_layer_is_misaligned_in_everything_that_is_drawn(seed: int) -> None:
    constants = drawn(seed)
    for layer in (key for key in constants if len(key) == 2):
        assert all(constants[layer][parameter] != 0 for parameter in (0, 1, 3, 4, 5))


@pytest.mark.parametrize(("stations", "keys"), [(3, 9 * 9), (4, 12 * 9)])
def test_misalignments_have_the_size_that_was_asked_for(stations: int, keys: int) -> None:
    constants = drawn(5, stations)
    assert len(constants) == keys
    x = np.array([constants[key][0] for key in constants if len(key) == 3])
    rz = np.array([constants[key][5] for key in constants if len(key) == 3])
    assert 0.06 < x.std() < 0.12
    assert 0.6e-3 < rz.std() < 1.2e-3
