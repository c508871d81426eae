"""How muons fly: straight outside the dipoles, on a circle in the vertical plane inside.

The field is uniform, along x, 0.57 T in each of three magnets, sharp at the edges. With s the sine
of the angle in the vertical plane, s(z) = s₀ + g·κ·b(z), where κ = q/p of the momentum in that
plane and b(z) the length inside magnets since z = 0. Then y = ∫ s/√(1−s²) dz and
x = c·∫ 1/√(1−s²) dz with c the constant ratio of horizontal to vertical-plane momentum. The
integrals are sums over a few nodes: one for each drift, where the integrand is constant, three of
Gauss for each magnet, which is exact to far below a nanometre.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from auto_iter.detector.geometry import Array

MAGNETS_MM = ((-1650.0, -150.0), (142.0, 1142.0), (1332.0, 2332.0))
FIELD_T = 0.57
BEND_PER_MM = 0.299792458e-3 * FIELD_T
"""Change of s for each mm in a magnet, for q/p = 1/GeV."""

_EDGES = (-np.inf, -1650.0, -150.0, 0.0, 142.0, 1142.0, 1332.0, 2332.0, np.inf)
_GAUSS_POINTS, _GAUSS_WEIGHTS = np.polynomial.legendre.leggauss(3)


@dataclass(frozen=True)
class Flight:
    """States of n tracks at p planes and their derivatives by (x, y, tx, ty, q/p) at z = 0.

    `state` (n, p, 4): x, y, dx/dz, dy/dz (mm). `jacobian` (n, p, 4, 5), or None when not asked for.
    """

    state: Array
    jacobian: Array | None


def fly(tracks: Array, z: Array, *, with_jacobian: bool = True) -> Flight:
    """Follow `tracks` (n, 5: x, y, dx/dz, dy/dz at z = 0 in mm, q/p in 1/GeV) to planes at `z`.

    Planes must be outside the magnets. Raises ValueError otherwise.
    """
    weights, inside, bend_at = _nodes(z)
    start, start_jacobian = _constants_of_motion(tracks)
    s0, c, kappa = start[:, 0:1], start[:, 1:2], start[:, 2:3]
    s = np.clip(s0 + BEND_PER_MM * kappa * inside, -0.99, 0.99)
    inverse_cosine = 1.0 / np.sqrt(1.0 - s * s)
    s_end = np.clip(s0 + BEND_PER_MM * kappa * bend_at, -0.99, 0.99)
    end = 1.0 / np.sqrt(1.0 - s_end * s_end)
    path = inverse_cosine @ weights.T
    state = np.stack(
        [
            tracks[:, 0:1] + c * path,
            tracks[:, 1:2] + (s * inverse_cosine) @ weights.T,
            c * end,
            s_end * end,
        ],
        axis=-1,
    )
    if not with_jacobian:
        return Flight(state, None)
    by_motion = np.zeros((*state.shape, 3))
    cubed, end_cubed = inverse_cosine**3, end**3
    for column, lever, lever_end in (
        (0, 1.0, 1.0),
        (2, BEND_PER_MM * inside, BEND_PER_MM * bend_at),
    ):
        by_motion[:, :, 0, column] = c * ((s * cubed * lever) @ weights.T)
        by_motion[:, :, 1, column] = (cubed * lever) @ weights.T
        by_motion[:, :, 2, column] = c * s_end * end_cubed * lever_end
        by_motion[:, :, 3, column] = end_cubed * lever_end
    by_motion[:, :, 0, 1] = path
    by_motion[:, :, 2, 1] = end
    jacobian = np.zeros((*state.shape, 5))
    jacobian[:, :, 0, 0] = jacobian[:, :, 1, 1] = 1.0
    jacobian[:, :, :, 2:] = by_motion @ start_jacobian[:, None]
    return Flight(state, jacobian)


def bend_lever(z: Array) -> Array:
    """Return dy/d(q/p) at `z` for a muon along the beam (mm·GeV)."""
    weights, inside, _ = _nodes(z)
    return np.asarray(BEND_PER_MM * (weights @ inside))


def _constants_of_motion(tracks: Array) -> tuple[Array, Array]:
    """Return (s₀, c, κ) (n, 3) and its derivatives by (tx, ty, q/p) (n, 3, 3)."""
    tx, ty, qop = tracks[:, 2], tracks[:, 3], tracks[:, 4]
    plane, full = np.sqrt(1.0 + ty * ty), np.sqrt(1.0 + tx * tx + ty * ty)
    jacobian = np.zeros((len(tracks), 3, 3))
    jacobian[:, 0, 1] = 1.0 / plane**3
    jacobian[:, 1, 0] = 1.0 / plane
    jacobian[:, 1, 1] = -tx * ty / plane**3
    jacobian[:, 2, 0] = qop * tx / (full * plane)
    jacobian[:, 2, 1] = qop * ty * (1.0 / (full * plane) - full / plane**3)
    jacobian[:, 2, 2] = full / plane
    return np.column_stack([ty / plane, tx / plane, qop * full / plane]), jacobian


def _nodes(z: Array) -> tuple[Array, Array, Array]:
    """Return weights (planes, nodes), the nodes' length in magnets, and the planes'."""
    weights: list[Array] = []
    inside: list[float] = []
    for low, high in pairwise(_EDGES):
        # signed length of the part of [low, high] that lies between 0 and each plane
        length = np.clip(z, max(low, 0.0), max(high, 0.0)) - max(low, 0.0)
        length = length + np.clip(z, min(low, 0.0), min(high, 0.0)) - min(high, 0.0)
        if (low, high) not in MAGNETS_MM:
            weights.append(length)
            inside.append(_inside(np.sign(low + high) * min(abs(low), abs(high))))
            continue
        if np.any((np.abs(length) > 0) & (np.abs(length) < high - low)):
            raise ValueError("a plane lies inside a magnet")
        for point, weight in zip(_GAUSS_POINTS, _GAUSS_WEIGHTS, strict=True):
            weights.append(length * weight / 2)
            inside.append(_inside((low + high + (high - low) * point) / 2))
    return np.column_stack(weights), np.array(inside), np.array([_inside(at) for at in z])


def _inside(z: float) -> float:
    forward = sum(min(max(z, low), high) - low for low, high in MAGNETS_MM if low >= 0)
    backward = sum(high - min(max(z, low), high) for low, high in MAGNETS_MM if high <= 0)
    return forward - backward
