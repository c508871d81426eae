"""The stand-in's derivatives are those of its own geometry, found by moving things a little."""

from __future__ import annotations

import numpy as np
import pytest

from auto_iter.detector.geometry import Array, build_detector, stereo_angle
from auto_iter.detector.labels import PARAMETERS
from auto_iter.simulation.derivatives import angles, derive
from auto_iter.simulation.fit import Hits, cross
from auto_iter.simulation.generation import Beam, draw_tracks
from auto_iter.simulation.misalignment import Sizes, draw_constants

SMALL = (1e-3, 1e-3, 1e-3, 1e-5, 1e-5, 1e-5)
CONSTANTS = draw_constants(np.random.default_rng(3), 4, Sizes(0.3, 0.02, 0.3, 0.01)) | {
    "2": [0.1, -0.2, 0.3, 0.01, -0.02, 0.03]
}
TRACKS = draw_tracks(np.random.default_rng(4), Beam(angle_rad=0.02), 40)


def on_sensors(*sensors: int) -> Hits:
    """Every track crosses every one of the sensors, extended without limit."""
    count = len(TRACKS) * len(sensors)
    return Hits(
        np.repeat(np.arange(len(TRACKS)), len(sensors)),
        np.tile(np.array(sensors), len(TRACKS)),
        np.zeros(count),
        np.ones(count),
    )


def fitted(constants: dict[str, list[float]], hits: Hits, tracks: Array = TRACKS) -> Array:
    return cross(tracks, hits, build_detector(constants)).u


def moved(key: str, change: Array) -> dict[str, list[float]]:
    start = np.array(CONSTANTS.get(key, [0.0] * 6))
    return CONSTANTS | {key: list(start + change)}


def slope(key: str, direction: Array, size: float, hits: Hits) -> Array:
    up, down = moved(key, size * direction), moved(key, -size * direction)
    return (fitted(up, hits) - fitted(down, hits)) / (2 * size)


@pytest.mark.parametrize("component", range(6), ids=PARAMETERS)
@pytest.mark.parametrize("key", ["02", "11", "2"])
def test_global_derivatives_are_those_of_layer_and_station_constants(
    key: str, component: int
) -> None:
    layer = int(key[0]) * 3 + int((key + "1")[1])
    hits = on_sensors(layer * 16 + 3, layer * 16 + 12)
    detector = build_detector(CONSTANTS)
    analytic = derive(TRACKS, hits.track, hits.sensor, cross(TRACKS, hits, detector), detector)
    numeric = slope(key, np.eye(6)[component], SMALL[component], hits)
    np.testing.assert_allclose(analytic.global_y[:, component], numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("component", range(6), ids=PARAMETERS)
@pytest.mark.parametrize(("module", "side"), [(0, 0), (3, 1), (5, 1), (6, 0)])
def test_local_derivatives_are_those_of_module_constants_in_the_sides_axes(
    module: int, side: int, component: int
) -> None:
    hits = on_sensors(5 * 16 + module * 2 + side)
    detector = build_detector(CONSTANTS)
    analytic = derive(TRACKS, hits.track, hits.sensor, cross(TRACKS, hits, detector), detector)
    angle = stereo_angle(module, side)
    direction = np.eye(6)[component]
    pair = {0: (1.0, 0.0), 1: (0.0, 1.0)}.get(component % 3)
    if pair is not None:
        first = component // 3 * 3
        direction[first] = np.cos(angle) * pair[0] - np.sin(angle) * pair[1]
        direction[first + 1] = np.sin(angle) * pair[0] + np.cos(angle) * pair[1]
    numeric = slope(f"12{module}", direction, SMALL[component], hits)
    np.testing.assert_allclose(analytic.local_x[:, component], numeric, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("parameter", range(5), ids=["x", "y", "theta", "phi", "qop"])
def test_track_derivatives_are_those_of_the_flight(parameter: int) -> None:
    hits = on_sensors(2, 16 * 4 + 5, 16 * 7 + 8, 16 * 11 + 15)
    detector = build_detector(CONSTANTS)
    analytic = derive(TRACKS, hits.track, hits.sensor, cross(TRACKS, hits, detector), detector)
    step = (1e-3, 1e-3, 1e-6, 1e-4, 1e-6)[parameter]
    up, down = (_with_angles(parameter, sign * step) for sign in (1, -1))
    numeric = (fitted(CONSTANTS, hits, up) - fitted(CONSTANTS, hits, down)) / (2 * step)
    np.testing.assert_allclose(analytic.track[:, parameter], numeric, rtol=1e-5, atol=1e-4)


def _with_angles(parameter: int, change: float) -> Array:
    theta, phi = angles(TRACKS)
    values = np.column_stack([TRACKS[:, 0], TRACKS[:, 1], theta, phi, TRACKS[:, 4]])
    values[:, parameter] += change
    radius = np.tan(values[:, 2])
    return np.column_stack(
        [
            values[:, :2],
            radius * np.cos(values[:, 3]),
            radius * np.sin(values[:, 3]),
            values[:, 4],
        ]
    )


def test_a_module_shifted_along_its_own_axis_sees_the_track_shifted_back() -> None:
    hits, detector = on_sensors(100), build_detector({})
    derived = derive(TRACKS, hits.track, hits.sensor, cross(TRACKS, hits, detector), detector)
    np.testing.assert_allclose(derived.local_x[:, 0], -1.0)
