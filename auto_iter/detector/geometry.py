"""Where the strips of a FASER-like tracker are, and how alignment constants move them.

Sensors are numbered ((station·3 + layer)·8 + module)·2 + side; arrays over sensors have 192 rows,
whatever number of stations is in use. Global frame: x horizontal, y vertical, z along the beam; mm.

What constants mean, key by key (key digits: station from 0, layer, module; rad, mm):

- layer `[x, y, z, rx, ry, rz]`: in global axes; rotations Rz·Ry·Rx about the layer's centre;
- station: the same six numbers, added to those of each of its layers;
- module: in its own axes x' = +y, y' = −x, z' = +z, about its own nominal centre. A side measures
  along u = x'·cos 20 mrad ± y'·sin 20 mrad, + for side 1 of modules 0, 2, 5, 7 and side 0 of the
  others; hence module y = ±(x₁−x₀)/(2·0.020) in terms of the two sides' shifts along u.

Approximate dimensions of the real detector: stations near z = −1862, 48, 1238, 2428, SCT modules of
768 strips of 80 µm, about 126 mm long, a stereo angle of 40 mrad between the two sides.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from auto_iter.detector.labels import (
    HALF_STEREO_RAD,
    LAYERS,
    MODULES,
    SIDES,
    STATIONS,
    Component,
)

Array = npt.NDArray[np.float64]
Index = npt.NDArray[np.int64]
Constants = Mapping[str, Sequence[float]]
"""Constants by key, six numbers each: x, y, z (mm), rx, ry, rz (rad)."""

SENSORS_PER_STATION = LAYERS * MODULES * SIDES
SENSORS = STATIONS * SENSORS_PER_STATION
PLANES = STATIONS * LAYERS * SIDES
STRIPS, PITCH_MM = 768, 0.080
HALF_WIDTH_MM = STRIPS * PITCH_MM / 2
HALF_LENGTH_MM = 63.0
STATION_Z_MM = (-1862.0, 47.7, 1237.7, 2427.7)
LAYER_Z_MM = (-31.5, 0.0, 31.5)
LAYER_Y_MM = (0.0, -5.0, 5.0)
SIDE_Z_MM = (-0.6, 0.6)
MODULE_AXES: Array = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
"""Columns: the module's x', y', z' in global axes, the same for every module."""


@dataclass(frozen=True)
class Detector:
    """Every sensor's pose under some constants; arrays of shape (192, …), mm.

    `centre`, and the columns of `axes` (192, 3, 3): measuring direction u, strip direction v,
    normal n. The rest serves derivatives: the pivots of layer and module where they are now, and
    the axes (columns) about and along which their parameters act.
    """

    centre: Array
    axes: Array
    layer_pivot: Array
    layer_rotation_axes: Array
    module_pivot: Array
    module_axes: Array
    module_rotation_axes: Array


def plane_of(sensor: Index) -> Index:
    """Return the measuring plane (station·6 + layer·2 + side) of sensors."""
    return np.asarray(sensor // (MODULES * SIDES) * SIDES + sensor % SIDES)


def align_id(sensor: Index) -> Index:
    """Return station·1000 + layer·100 + module·10 + side."""
    layer, inside = np.divmod(sensor, MODULES * SIDES)
    number = layer // LAYERS * 1000 + layer % LAYERS * 100 + inside // SIDES * 10 + inside % SIDES
    return np.asarray(number)


def plane_z() -> Array:
    """Return the nominal z of the 24 planes (mm), in the order of `plane_of`."""
    return np.array(
        [s + la + d for s, la, d in product(STATION_Z_MM, LAYER_Z_MM, SIDE_Z_MM)], dtype=float
    )


def layer_centre(station: int, layer: int) -> Array:
    """Return the nominal centre of a layer: the pivot of its rotations."""
    return np.array([0.0, LAYER_Y_MM[layer], STATION_Z_MM[station] + LAYER_Z_MM[layer]])


def module_offset(module: int) -> Array:
    """Return a module's nominal centre, seen from its layer's: columns at ∓x, rows downwards."""
    column, row = divmod(module, 4)
    return np.array([HALF_LENGTH_MM * (2 * column - 1), HALF_WIDTH_MM * (3 - 2 * row), 0.0])


def stereo_angle(module: int, side: int) -> float:
    """Return the angle from x' to the side's measuring direction, about z' (rad)."""
    return Component(0, 0, module, side).stereo * HALF_STEREO_RAD


def rotation(angles: Array) -> Array:
    """Return Rz·Ry·Rx for `angles` = (rx, ry, rz)."""
    return _about(2, angles[2]) @ _about(1, angles[1]) @ _about(0, angles[0])


def rotation_axes(angles: Array) -> Array:
    """Return, as columns, the axes about which small changes of rx, ry and rz turn.

    d(Rz·Ry·Rx) r = axis × (Rz·Ry·Rx r) for each of the three angles.
    """
    rz, ry = _about(2, angles[2]), _about(1, angles[1])
    return np.column_stack([(rz @ ry)[:, 0], rz[:, 1], np.array([0.0, 0.0, 1.0])])


def build_detector(constants: Constants) -> Detector:
    """Return the detector as `constants` say it stands; keys that are absent count as zeros."""
    poses = [
        _pose(constants, station, layer, module, side)
        for station, layer, module, side in product(
            range(STATIONS), range(LAYERS), range(MODULES), range(SIDES)
        )
    ]
    return Detector(*(np.array(column) for column in zip(*poses, strict=True)))


def _pose(
    constants: Constants, station: int, layer: int, module: int, side: int
) -> tuple[Array, ...]:
    of_layer = _six(constants, f"{station}") + _six(constants, f"{station}{layer}")
    of_module = _six(constants, f"{station}{layer}{module}")
    turn, module_turn = rotation(of_layer[3:]), rotation(of_module[3:])
    pivot = layer_centre(station, layer) + of_layer[:3]
    axes = turn @ MODULE_AXES
    module_pivot = pivot + turn @ module_offset(module) + axes @ of_module[:3]
    side_axes = axes @ module_turn @ _about(2, stereo_angle(module, side))
    centre = module_pivot + axes @ module_turn @ np.array([0.0, 0.0, SIDE_Z_MM[side]])
    return (
        centre,
        side_axes,
        pivot,
        rotation_axes(of_layer[3:]),
        module_pivot,
        axes,
        axes @ rotation_axes(of_module[3:]),
    )


def _six(constants: Constants, key: str) -> Array:
    return np.asarray(constants.get(key, (0.0,) * 6), dtype=float)


def _about(axis: int, angle: float) -> Array:
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.eye(3)
    first, second = (axis + 1) % 3, (axis + 2) % 3
    turn[first, first] = turn[second, second] = cosine
    turn[first, second], turn[second, first] = -sine, sine
    return turn
