"""Raw files of muons through a detector: resolution, noise and inefficiency included.

Every event has one muon, spread over the tracker's face, a few mrad around the beam, with a
momentum between 90 GeV and 5.5 TeV (flat in its logarithm). Clusters are smeared by a Gaussian of
the uncertainty that reconstruction assumes, and muons do not scatter: chi2/ndf of a perfectly
aligned detector is 1.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.detector.field import fly
from auto_iter.detector.geometry import (
    HALF_LENGTH_MM,
    HALF_WIDTH_MM,
    SENSORS,
    SENSORS_PER_STATION,
    STATION_Z_MM,
    Array,
    Detector,
    Index,
    build_detector,
    plane_of,
    plane_z,
)
from auto_iter.simulation.fit import Hits, cross
from auto_iter.simulation.pattern import ERRORS_MM
from auto_iter.simulation.rawfile import SimulatedRaw

FACE_MM = (118.0, 112.0)
MOMENTUM_GEV = (90.0, 5500.0)


@dataclass(frozen=True)
class Beam:
    """What comes in, and how the detector answers.

    `stations` 3 (no interface tracker) or 4, `events` in a file. `angle_rad`: standard deviation
    of each slope; `noise_hits`: mean number of noise clusters an event; `inefficiency`:
    probability that a crossed sensor stays silent; `smear`: False switches the resolution off.
    """

    stations: int = 3
    events: int = 2000
    angle_rad: float = 0.004
    noise_hits: float = 3.0
    inefficiency: float = 0.02
    smear: bool = True


def generate(
    random: np.random.Generator,
    detector: Detector,
    beam: Beam,
    run: int,
    number: int,
) -> SimulatedRaw:
    """Return a raw file; `random` decides everything in it."""
    first, events = SENSORS - beam.stations * SENSORS_PER_STATION, beam.events
    tracks = draw_tracks(random, beam, events)
    event, sensor, position = _crossed(tracks, detector, first)
    alive = random.random(len(event)) >= beam.inefficiency
    event, sensor, position = event[alive], sensor[alive], position[alive]
    strips = 1 + (random.random(len(event)) < 0.5).astype(np.int64)
    smearing = random.normal(size=len(event)) * ERRORS_MM[strips - 1]
    position = position + smearing if beam.smear else position
    noise = _noise(random, beam, first)
    event, sensor = np.append(event, noise[0]), np.append(sensor, noise[1])
    position, strips = np.append(position, noise[2]), np.append(strips, noise[3])
    order = np.lexsort((sensor, event))
    return SimulatedRaw(run, number, events, event, sensor, position, strips).keep(order)


def draw_tracks(random: np.random.Generator, beam: Beam, count: int) -> Array:
    """Return `count` muons (x, y, dx/dz, dy/dz, q/p at z = 0) that cross the spectrometer."""
    accepted = np.zeros((0, 5))
    while len(accepted) < count:
        size = 2 * count + 16
        at_first = random.uniform(-1, 1, (size, 2)) * FACE_MM
        slopes = random.normal(size=(size, 2)) * beam.angle_rad
        low, high = MOMENTUM_GEV
        momentum = low * (high / low) ** random.random(size)
        qop = np.where(random.random(size) < 0.5, -1.0, 1.0) / momentum
        tracks = np.column_stack([at_first - slopes * STATION_Z_MM[1], slopes, qop])
        last = fly(tracks, np.array([STATION_Z_MM[3]]), with_jacobian=False).state[:, 0, :2]
        inside = np.all(np.abs(last) < FACE_MM, axis=1)
        accepted = np.concatenate([accepted, tracks[inside]])
    return accepted[:count]


def _crossed(tracks: Array, detector: Detector, first: int) -> tuple[Index, Index, Array]:
    """Return event, sensor and true position of every crossing of a sensitive area."""
    owner, sensor = _nearby(tracks, first)
    blank = np.zeros(len(owner))
    crossings = cross(tracks, Hits(owner, sensor, blank, blank), detector)
    crossed = (np.abs(crossings.u) < HALF_WIDTH_MM) & (np.abs(crossings.v) < HALF_LENGTH_MM)
    return owner[crossed], sensor[crossed], crossings.u[crossed]


def _nearby(tracks: Array, first: int) -> tuple[Index, Index]:
    """Return the pairs of track and sensor (from `first` on) that may have met."""
    ideal = build_detector({}).centre[first:]
    planes = plane_of(np.arange(first, SENSORS))
    state = fly(tracks, plane_z(), with_jacobian=False).state
    offset = np.abs(state[:, planes, :2] - ideal[:, :2])
    owner, sensor = np.nonzero(np.all(offset < (HALF_LENGTH_MM + 5, HALF_WIDTH_MM + 5), axis=2))
    return owner, sensor + first


def _noise(
    random: np.random.Generator, beam: Beam, first: int
) -> tuple[Index, Index, Array, Index]:
    """Return event, sensor, position and width of clusters that no muon made."""
    event = np.repeat(np.arange(beam.events), random.poisson(beam.noise_hits, beam.events))
    sensor = random.integers(first, SENSORS, len(event))
    position = random.uniform(-HALF_WIDTH_MM, HALF_WIDTH_MM, len(event))
    return event, sensor, position, np.ones(len(event), dtype=np.int64)
