"""The reconstruction of one raw file: constants in, fitted tracks out. It knows no truth."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from auto_iter.detector.geometry import SENSORS_PER_STATION, Constants, build_detector
from auto_iter.simulation.pattern import find_tracks
from auto_iter.simulation.rawfile import SimulatedRaw, read_raw
from auto_iter.simulation.rootfile import branches, write_tree

ALL = slice(None)
"""All events of a raw file."""


def reconstruct(  # noqa: PLR0913 - what the real one is told on its command line
    raw_file: Path,
    constants: Constants,
    output: Path,
    *,
    with_ift: bool = True,
    flipped: str | None = None,
    events: slice = ALL,
) -> int:
    """Fit the muons of `raw_file` under `constants`, write them to `output`, return their number.

    `events` are those to look at, counted from the beginning of the file.

    `flipped` turns the sign of one derivative branch, e.g. `align_local_derivation_x_rz`: a test's
    way to break an alignment. Raises InputError when the raw file cannot be used.
    """
    detector = build_detector(constants)
    in_use = _in_use(read_raw(raw_file), with_ift=with_ift, events=events)
    found = find_tracks(in_use, detector)
    hits_per_track = np.asarray(
        np.bincount(found.hits.track, minlength=len(found.tracks)), np.int64
    )
    write_tree(output, branches(found, detector, flipped), hits_per_track)
    return len(found.tracks)


def _in_use(raw: SimulatedRaw, *, with_ift: bool, events: slice) -> SimulatedRaw:
    first, stop = events.start or 0, events.stop
    kept = raw.event >= first
    if stop is not None:
        kept &= raw.event < stop
    if not with_ift:
        kept &= raw.sensor >= SENSORS_PER_STATION
    return raw.keep(kept)
