"""Derivatives of the fitted local position by alignment and track parameters, analytically.

They are the coefficients that Mille wants: d fitted / d parameter = −d residual / d parameter with
residual = measured − fitted, so that pede's result is *added* to the constants. A sensor displaced
by d along x' sees the track at −d: the derivative by a module's own x is −1.

A point of the sensor that a parameter displaces by d changes the fitted position by −lever·d, where
the lever holds the measuring direction and the slide along the track to the moved plane.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.detector.geometry import Array, Detector, Index, stereo_angle
from auto_iter.simulation.fit import Crossings

TRACK_COMPONENTS = ("x", "y", "theta", "phi", "qop")


@dataclass(frozen=True)
class Derivatives:
    """For n hits: by the layer's or station's parameters, by the sensor's, by the track's.

    `global_y` (n, 6): in global axes, rotations about the layer's centre. `local_x` (n, 6): x and
    rx along the side's measuring direction, y and ry along its strips, z and rz along the normal,
    rotations about the module's centre. `track` (n, 5): x, y (mm), theta, phi (rad), q/p (1/GeV).
    """

    global_y: Array
    local_x: Array
    track: Array


def derive(
    tracks: Array, owner: Index, sensor: Index, crossings: Crossings, detector: Detector
) -> Derivatives:
    """Return the derivatives of the fitted positions of hits on `sensor` of tracks `owner`."""
    in_layer = _by_pose(
        crossings,
        np.broadcast_to(np.eye(3), (len(sensor), 3, 3)),
        detector.layer_rotation_axes[sensor],
        detector.layer_pivot[sensor],
    )
    in_module = _by_pose(
        crossings,
        detector.module_axes[sensor],
        detector.module_rotation_axes[sensor],
        detector.module_pivot[sensor],
    )
    return Derivatives(
        in_layer,
        _in_side_axes(in_module, sensor),
        np.einsum("ni,nij->nj", crossings.by_track, _slopes_by_angles(tracks)[owner]),
    )


def angles(tracks: Array) -> tuple[Array, Array]:
    """Return the polar angle and the azimuth (rad) of tracks at z = 0."""
    tx, ty = tracks[:, 2], tracks[:, 3]
    return np.arctan(np.hypot(tx, ty)), np.arctan2(ty, tx)


def _by_pose(crossings: Crossings, shift_axes: Array, turn_axes: Array, pivot: Array) -> Array:
    """Return (n, 6): the change by shifts along and turns about axes (columns) at `pivot`."""
    arm = crossings.point - pivot
    turned = np.cross(turn_axes, arm[:, :, None], axis=1)
    moved = np.concatenate([shift_axes, turned], axis=2)
    return np.asarray(-np.einsum("ni,nij->nj", crossings.lever, moved))


def _in_side_axes(in_module: Array, sensor: Index) -> Array:
    """Turn the (x, y) and (rx, ry) pairs from the module's axes into the side's."""
    angle = np.array([[stereo_angle(m, s) for s in (0, 1)] for m in range(8)]).ravel()[sensor % 16]
    cosine, sine = np.cos(angle), np.sin(angle)
    result = in_module.copy()
    for first, second in ((0, 1), (3, 4)):
        result[:, first] = cosine * in_module[:, first] + sine * in_module[:, second]
        result[:, second] = cosine * in_module[:, second] - sine * in_module[:, first]
    return result


def _slopes_by_angles(tracks: Array) -> Array:
    """Return (n, 5, 5): derivatives of (x, y, dx/dz, dy/dz, q/p) by (x, y, theta, phi, q/p)."""
    theta, phi = angles(tracks)
    jacobian = np.zeros((len(tracks), 5, 5))
    jacobian[:, [0, 1, 4], [0, 1, 4]] = 1.0
    jacobian[:, 2, 2] = np.cos(phi) / np.cos(theta) ** 2
    jacobian[:, 3, 2] = np.sin(phi) / np.cos(theta) ** 2
    jacobian[:, 2, 3] = -tracks[:, 3]
    jacobian[:, 3, 3] = tracks[:, 2]
    return jacobian
