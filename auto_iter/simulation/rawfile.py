"""The raw-file format of the simulation: clusters of strips, event by event.

Little-endian: a header of 40 bytes (magic `FASERSIM`, version, run, file, events, clusters, CRC-32
of all that follows), the number of clusters of each event (uint16), then the clusters: sensor
(uint16), position in 1/64 strip (uint16), number of strips (uint8).
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from auto_iter.detector.geometry import HALF_WIDTH_MM, PITCH_MM, SENSORS, STRIPS, Array, Index
from auto_iter.errors import InputError
from auto_iter.files import write_atomically

MAGIC, VERSION = b"FASERSIM", 1
STEPS_PER_STRIP = 64
_HEADER = struct.Struct("<8sIIIIII8x")
_CLUSTER = np.dtype([("sensor", "<u2"), ("position", "<u2"), ("strips", "u1")])


@dataclass(frozen=True)
class SimulatedRaw:
    """Clusters of one raw file, sorted by event.

    `event`, `sensor`, `strips` (n,) and `position` (n,), the last in mm from the sensor's centre
    along its measuring direction. An event may have no cluster at all.
    """

    run: int
    number: int
    events: int
    event: Index
    sensor: Index
    position: Array
    strips: Index

    def keep(self, wanted: Index | npt.NDArray[np.bool_]) -> SimulatedRaw:
        """Return it with the clusters that a mask or an index selects."""
        columns = ("event", "sensor", "position", "strips")
        return replace(self, **{name: getattr(self, name)[wanted] for name in columns})


def quantised(position: Array) -> npt.NDArray[np.uint16]:
    """Return positions (mm) in the file's unit, clipped to the sensor."""
    steps = np.rint((position + HALF_WIDTH_MM) / PITCH_MM * STEPS_PER_STRIP)
    return np.clip(steps, 0, STRIPS * STEPS_PER_STRIP).astype(np.uint16)


def write_raw(path: Path, raw: SimulatedRaw) -> None:
    """Write `raw` to `path`, whole or not at all; the directory must be there."""
    clusters = np.zeros(len(raw.sensor), dtype=_CLUSTER)
    clusters["sensor"] = raw.sensor
    clusters["position"] = quantised(raw.position)
    clusters["strips"] = raw.strips
    counts = np.bincount(raw.event, minlength=raw.events).astype("<u2")
    body = counts.tobytes() + clusters.tobytes()
    header = _HEADER.pack(
        MAGIC, VERSION, raw.run, raw.number, raw.events, len(clusters), zlib.crc32(body)
    )
    write_atomically(path, header + body)


def read_raw(path: Path) -> SimulatedRaw:
    """Read a raw file. Raises InputError, which names it, when it is unreadable or corrupt."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read raw file {path}: {error.strerror}") from error
    if len(content) < _HEADER.size or content[:8] != MAGIC:
        raise InputError(f"{path} is not a raw file", "generate or fetch it again")
    _, version, run, number, events, clusters, checksum = _HEADER.unpack_from(content)
    if version != VERSION:
        raise InputError(f"raw file {path} has version {version}, only {VERSION} is known")
    body = content[_HEADER.size :]
    if len(body) != 2 * events + _CLUSTER.itemsize * clusters or zlib.crc32(body) != checksum:
        raise InputError(f"raw file {path} is truncated or corrupt", "generate or fetch it again")
    counts = np.frombuffer(body, "<u2", events).astype(np.int64)
    table = np.frombuffer(body, _CLUSTER, clusters, 2 * events)
    sensor = table["sensor"].astype(np.int64)
    if counts.sum() != clusters or np.any(sensor >= SENSORS):
        raise InputError(f"raw file {path} contradicts itself", "generate or fetch it again")
    return SimulatedRaw(
        run,
        number,
        events,
        np.repeat(np.arange(events), counts),
        sensor,
        table["position"] * (PITCH_MM / STEPS_PER_STRIP) - HALF_WIDTH_MM,
        table["strips"].astype(np.int64),
    )
