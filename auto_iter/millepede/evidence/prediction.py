"""What a solution predicts of the tracks, before its constants are applied and after."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from auto_iter.alignment.judges.arrival import Look
from auto_iter.detector.labels import Scheme
from auto_iter.files import digest
from auto_iter.millepede.conversion import kfalignment as kf
from auto_iter.millepede.conversion.convert import TRACK_PARAMETERS, Converter
from auto_iter.millepede.evidence.amplitude import look_at
from auto_iter.millepede.mille.file import read_blocks, records_in
from auto_iter.millepede.mille.records import Measurements
from auto_iter.millepede.results import ConversionRecord, Prediction, SolutionRecord
from auto_iter.millepede.solver.local_fit import fit


def predict(
    change: Mapping[int, float],
    constants: str,
    labels: Scheme,
    records: Sequence[ConversionRecord],
    binaries: Sequence[Path],
) -> Prediction | None:
    """Return what the Mille `binaries` show of `change`, which leads to `constants` (their text).

    `change`: by label, in mm and rad, to be added to the constants. `records`: of their
    conversions, in the same order, with the same cuts. None without any. Formulas: `amplitude`.
    Raises MilleError when a binary is damaged.
    """
    sound = [(r, b) for r, b in zip(records, binaries, strict=True) if r.error is None]
    if not sound:
        return None
    cuts = sound[0][0].cuts
    stations = sorted({int(number[0]) - 1 for r, _ in sound for number in r.statistics.layers})
    parts = [sorted(change.items()), cuts.model_dump(), asdict(labels), stations]
    return Prediction(
        key=digest(json.dumps(parts).encode()),
        constants=digest(constants.encode()),
        cuts=cuts,
        labels=labels,
        stations=tuple(stations),
        files={r.number: look_at(_records(b), change, r.statistics) for r, b in sound},
    )


def look_again(source: Path, solution: SolutionRecord) -> Look:
    """Return what the tracks of the ROOT file `source` show of the change of `solution`.

    They are cut as when it was predicted (a narrower cut would hold the change back); hits on
    further stations are left out. An empty Look, which says nothing, when there is no prediction or
    one of its stations is not there any more. Raises InputError when `source` is not whole.
    """
    prediction = solution.prediction
    if prediction is None:
        return Look()
    converter = Converter(prediction.labels, prediction.cuts)
    change = {each.label: each.value for each in solution.parameters}
    tracks = kf.TrackFile(source, converter.branches)
    chunks = (_on_stations(chunk, prediction.stations) for chunk in tracks.chunks())
    records = (record for chunk in chunks for record in records_in(converter.convert(chunk)))
    look = look_at(records, change, converter.statistics)
    seen = {int(number[0]) - 1 for number in converter.statistics.layers}
    return look if seen.issuperset(prediction.stations) else Look()


def _records(binary: Path) -> Iterator[Measurements]:
    return (block.measurements(binary) for block in read_blocks(binary, fortran=False))


def _on_stations(chunk: kf.Chunk, stations: Collection[int]) -> kf.Chunk:
    """Return the tracks as if they had been reconstructed on `stations` only.

    The cuts are on residuals and chi2 of a fit to these hits; without the others it is repeated,
    linearly: the track moves by the fit to what is left of its residuals. Tracks without a hit left
    are gone.
    """
    station = chunk.hits[kf.ALIGN_ID] // 1000
    used = np.isin(station, list(stations))
    if used.all():
        return chunk
    track = np.repeat(np.arange(len(chunk.ends) - 1), np.diff(chunk.ends))[used]
    filled, record, count = np.unique(track, return_inverse=True, return_counts=True)
    ends = np.concatenate(([0], np.cumsum(count)))
    hits = {name: values[used] for name, values in chunk.hits.items()}
    tracks = {name: values[filled] for name, values in chunk.tracks.items()}
    if len(filled):
        rows = np.array([hits[kf.track_derivative(name)] for name in TRACK_PARAMETERS])
        with np.errstate(all="ignore"):
            weight = hits[kf.UNCERTAINTY] ** -2.0
            again = fit(rows, hits[kf.RESIDUAL], weight, ends, record)
        residual = hits[kf.RESIDUAL] - again.fitted
        hits[kf.RESIDUAL] = residual
        tracks[kf.CHI2] = np.add.reduceat(weight * residual**2, ends[:-1])
    return replace(chunk, tracks=tracks, hits=hits, ends=ends)
