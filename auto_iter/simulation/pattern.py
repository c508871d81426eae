"""Which clusters belong to the muon: pattern recognition without any knowledge of the truth.

A muon leaves a cluster on both sides of a module, close to each other; noise hardly ever does.
Paired clusters seed the track: a robust fit, whose tolerance shrinks from centimetres to a fraction
of a millimetre, lets go of what is noise all the same. Then each plane's cluster nearest to the
track is taken, paired or not.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from auto_iter.detector.geometry import (
    HALF_LENGTH_MM,
    PLANES,
    SENSORS,
    Array,
    Detector,
    Index,
    plane_of,
)
from auto_iter.detector.labels import HALF_STEREO_RAD
from auto_iter.simulation.fit import Hits, cross, fit_tracks, step
from auto_iter.simulation.rawfile import SimulatedRaw

ERRORS_MM: Array = np.array([0.018, 0.014])
"""Uncertainty of a cluster of one strip, and of two or more."""

ROAD_MM = 1.5
"""How far from the track a cluster may be: misalignments of a few 100 µm must fit in."""

MIN_SEED_HITS, MIN_HITS = 8, 12
_PAIR_MM = 2 * HALF_LENGTH_MM * np.tan(HALF_STEREO_RAD) + 1.0
_TOLERANCES_MM = (50.0, 20.0, 8.0, 3.0, 1.0, 0.5, 0.5)
_PRIOR: Array = np.array([100.0, 100.0, 0.03, 0.03, 0.02])
_PEAK = 100.0
_OUTLIER, _OUTLIER_PASSES = 5.0, 2
"""In units of the usual residual of the track: large while the detector is misaligned."""
_MEDIAN_OF_NORMAL = 0.6745
_LIMIT: Array = np.array([0.2, 0.2, 0.2])
"""Of slopes, and of q/p in 1/GeV; beyond it a fit has gone astray."""


@dataclass(frozen=True)
class Found:
    """Fitted muons: parameters (n, 5) and their hits."""

    tracks: Array
    hits: Hits


def find_tracks(raw: SimulatedRaw, detector: Detector) -> Found:
    """Return the muons of a raw file, at most one for each event, in the order of events."""
    clusters = Hits(
        raw.event,
        raw.sensor,
        raw.position,
        ERRORS_MM[np.minimum(raw.strips, len(ERRORS_MM)) - 1],
    )
    paired = clusters.keep(_is_paired(clusters))
    events = np.flatnonzero(np.bincount(paired.track, minlength=1) >= MIN_SEED_HITS)
    seeds = _seed(_renumbered(paired, events), len(events), detector)
    road = _nearest(seeds, _renumbered(clusters, events), detector)
    return _refit(seeds, road, detector)


def _renumbered(hits: Hits, events: Index) -> Hits:
    """Keep the hits of `events`, and number their tracks from 0."""
    kept = hits.keep(np.isin(hits.track, events))
    return Hits(np.searchsorted(events, kept.track), kept.sensor, kept.position, kept.error)


def _is_paired(hits: Hits) -> npt.NDArray[np.bool_]:
    """Tell which clusters have a partner on the other side of their module."""
    module = hits.track * (SENSORS // 2) + hits.sensor // 2
    # one sortable number: the module first, then the position (well below 1000 mm)
    key = module * 1000.0 + hits.position
    result = np.zeros(len(key), dtype=bool)
    for side in (0, 1):
        mine, others = np.flatnonzero(hits.sensor % 2 == side), hits.sensor % 2 != side
        partners = np.sort(key[others])
        if not len(partners):
            continue
        after = np.searchsorted(partners, key[mine])
        gap = np.minimum(
            np.abs(partners[np.minimum(after, len(partners) - 1)] - key[mine]),
            np.abs(partners[np.maximum(after - 1, 0)] - key[mine]),
        )
        result[mine] = gap < _PAIR_MM
    return result


def _seed(hits: Hits, tracks: int, detector: Detector) -> Array:
    """Return track parameters by a robust fit to paired clusters."""
    parameters = np.zeros((tracks, 5))
    if not tracks:
        return parameters
    parameters[:, 1] = _median_height(hits, detector)
    for tolerance in _TOLERANCES_MM:
        crossings = cross(parameters, hits, detector)
        residual = hits.position - crossings.u
        weight = _PEAK / (tolerance**2 * (1.0 + (residual / tolerance) ** 2) ** 2)
        parameters = step(parameters, crossings, hits, weight, _PRIOR)
        parameters[:, 2:] = np.clip(parameters[:, 2:], -_LIMIT, _LIMIT)
    return parameters


def _median_height(hits: Hits, detector: Detector) -> Array:
    """Return the median global y of each track's clusters."""
    centre, axes = detector.centre[hits.sensor], detector.axes[hits.sensor]
    height = centre[:, 1] + hits.position * axes[:, 1, 0]
    return _medians(height, hits.track)


def _nearest(tracks: Array, hits: Hits, detector: Detector) -> Hits:
    """Return each track's nearest cluster in every plane, if there is one on the road."""
    if not len(hits.track):
        return hits
    crossings = cross(tracks, hits, detector)
    distance = np.abs(hits.position - crossings.u)
    distance[np.abs(crossings.v) > HALF_LENGTH_MM + 2 * ROAD_MM / HALF_STEREO_RAD / 10] = np.inf
    cell = hits.track * PLANES + plane_of(hits.sensor)
    order = np.lexsort((distance, cell))
    best = order[np.flatnonzero(np.diff(cell[order], prepend=-1))]
    return hits.keep(np.sort(best[distance[best] < ROAD_MM]))


def _refit(tracks: Array, hits: Hits, detector: Detector) -> Found:
    """Fit, drop clusters that stand out among their track's, and fit the rest again."""
    for _ in range(_OUTLIER_PASSES):
        tracks, hits = _complete(tracks, hits)
        if not len(tracks):
            return Found(tracks, hits)
        tracks = fit_tracks(tracks, hits, detector)
        residual = np.abs(hits.position - cross(tracks, hits, detector).u)
        usual = _medians(residual, hits.track)[hits.track] / _MEDIAN_OF_NORMAL
        hits = hits.keep(residual < _OUTLIER * np.hypot(hits.error, usual))
    tracks, hits = _complete(tracks, hits)
    if len(tracks):
        tracks = fit_tracks(tracks, hits, detector)
    sane = np.all(np.isfinite(tracks), axis=1) & np.all(np.abs(tracks[:, 2:]) < _LIMIT, axis=1)
    kept = np.flatnonzero(sane)
    return Found(tracks[kept], _renumbered(hits, kept))


def _medians(values: Array, track: Index) -> Array:
    """Return the (upper) median of each track's values; every track has one."""
    order = np.lexsort((values, track))
    counts = np.bincount(track)
    return np.asarray(values[order][np.cumsum(counts) - counts + counts // 2])


def _complete(tracks: Array, hits: Hits) -> tuple[Array, Hits]:
    """Keep the tracks that have enough hits."""
    kept = np.flatnonzero(np.bincount(hits.track, minlength=len(tracks)) >= MIN_HITS)
    return tracks[kept], _renumbered(hits, kept)
