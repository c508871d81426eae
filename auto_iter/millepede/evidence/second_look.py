"""What the tracks show of a solution's change once its constants have been applied."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import numpy as np

from auto_iter.alignment.judges.arrival import Look
from auto_iter.millepede.conversion import kfalignment as kf
from auto_iter.millepede.conversion.convert import Converter
from auto_iter.millepede.evidence.amplitude import look_at
from auto_iter.millepede.mille.file import records_in
from auto_iter.millepede.mille.records import edges_of
from auto_iter.millepede.results import SolutionRecord
from auto_iter.millepede.solver.local_fit import fit


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
    seen = converter.statistics.stations
    return look if seen.issuperset(prediction.stations) else Look()


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
    track = chunk.track[used]
    filled, record, count = np.unique(track, return_inverse=True, return_counts=True)
    ends = edges_of(count)
    hits = {name: values[used] for name, values in chunk.hits.items()}
    tracks = {name: values[filled] for name, values in chunk.tracks.items()}
    if len(filled):
        rows = np.array([hits[name] for name in kf.TRACK_DERIVATIVES])
        with np.errstate(all="ignore"):
            weight = hits[kf.UNCERTAINTY] ** -2.0
            again = fit(rows, hits[kf.RESIDUAL], weight, ends, record)
        residual = hits[kf.RESIDUAL] - again.fitted
        hits[kf.RESIDUAL] = residual
        tracks[kf.CHI2] = np.add.reduceat(weight * residual**2, ends[:-1])
    return replace(chunk, tracks=tracks, hits=hits, ends=ends)
