"""Least-squares track fit, all tracks of a file at once.

A track has five parameters at z = 0: x, y (mm), dx/dz, dy/dz and q/p (1/GeV). Hits are flat
arrays sorted by track. The model is not linear (field, tilted sensors), so Gauss-Newton steps are
repeated; three are enough to reach rounding.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.detector.field import fly
from auto_iter.detector.geometry import Array, Detector, Index, plane_of, plane_z

SCALES: Array = np.array([1.0, 1.0, 1e-3, 1e-3, 1e-2])
"""Natural sizes of the parameters; they keep the normal equations well conditioned."""


@dataclass(frozen=True)
class Hits:
    """Measurements, sorted by `track` (n,): `sensor`, `position` and `error` in mm along u."""

    track: Index
    sensor: Index
    position: Array
    error: Array

    def keep(self, wanted: Index | np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Hits:
        """Return the hits that a mask or an index selects."""
        return Hits(
            self.track[wanted], self.sensor[wanted], self.position[wanted], self.error[wanted]
        )


@dataclass(frozen=True)
class Crossings:
    """Where tracks cross sensors; n rows.

    `point` (n, 3): in global axes, mm. `u`, `v` (n,): along and across the measuring direction.
    `lever` (n, 3): du = lever·d(track at this place), so a sensor displaced by d sees du =
    −lever·d. `by_track` (n, 5): du by the track parameters.
    """

    point: Array
    u: Array
    v: Array
    lever: Array
    by_track: Array


def cross(tracks: Array, hits: Hits, detector: Detector) -> Crossings:
    """Return where `tracks` (n, 5) cross the sensors of `hits`."""
    planes = plane_z()
    flight = fly(tracks, planes)
    plane = plane_of(hits.sensor)
    state = flight.state[hits.track, plane]
    axes, centre = detector.axes[hits.sensor], detector.centre[hits.sensor]
    direction = np.column_stack([state[:, 2:], np.ones(len(state))])
    start = np.column_stack([state[:, :2], planes[plane]])
    along_normal = np.einsum("ni,ni->n", direction, axes[:, :, 2])
    distance = np.einsum("ni,ni->n", centre - start, axes[:, :, 2]) / along_normal
    point = start + direction * distance[:, None]
    local = np.einsum("ni,nij->nj", point - centre, axes)
    slope = np.einsum("ni,ni->n", direction, axes[:, :, 0]) / along_normal
    lever = axes[:, :, 0] - axes[:, :, 2] * slope[:, None]
    assert flight.jacobian is not None  # noqa: S101 - asked for above
    jacobian = flight.jacobian[hits.track, plane]
    moved = jacobian[:, :2] + distance[:, None, None] * jacobian[:, 2:]
    by_track = np.einsum("ni,nij->nj", lever[:, :2], moved)
    return Crossings(point, local[:, 0], local[:, 1], lever, by_track)


def step(
    tracks: Array, crossings: Crossings, hits: Hits, weights: Array, prior: Array | None = None
) -> Array:
    """Return `tracks` after one Gauss-Newton step from where they cross the sensors of `hits`.

    Each track must have a hit. `weights` (n,): 1/mm². `prior` (5,): uncertainties about zero.
    """
    residuals = hits.position - crossings.u
    scaled = crossings.by_track * SCALES
    starts = np.flatnonzero(np.diff(hits.track, prepend=-1))
    rows, columns = np.triu_indices(5)
    products = np.add.reduceat(scaled[:, rows] * scaled[:, columns] * weights[:, None], starts)
    matrix = np.empty((len(tracks), 5, 5))
    matrix[:, rows, columns] = matrix[:, columns, rows] = products
    vector = np.add.reduceat(scaled * (weights * residuals)[:, None], starts)
    if prior is not None:
        strength = (SCALES / prior) ** 2
        matrix += np.diag(strength)
        vector -= strength * (tracks / SCALES)
    matrix[:, range(5), range(5)] *= 1.0 + 1e-12
    return np.asarray(tracks + np.linalg.solve(matrix, vector[:, :, None])[:, :, 0] * SCALES)


def fit_tracks(tracks: Array, hits: Hits, detector: Detector, steps: int = 3) -> Array:
    """Return the fitted parameters (n, 5), starting from `tracks`."""
    for _ in range(steps):
        tracks = step(tracks, cross(tracks, hits, detector), hits, hits.error**-2)
    return tracks


def chi2_of(residuals: Array, hits: Hits, tracks: int) -> Array:
    """Return the chi2 (tracks,) of each track."""
    pulls = np.asarray(residuals / hits.error, dtype=np.float64)
    return np.bincount(hits.track, pulls**2, minlength=tracks).astype(np.float64)
