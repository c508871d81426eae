"""From fitted tracks to Mille records: FASER's cuts, labels and order, whole chunks at a time.

Record format: Mille's C flavour with float values (Mille.cc of Millepede II). Per hit: residual,
non-zero local derivatives, uncertainty, non-zero global derivatives.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.labels import (
    LAYERS,
    MODULES,
    PARAMETERS,
    SIDES,
    STATIONS,
    Scheme,
    side_labels,
)
from auto_iter.errors import InputError
from auto_iter.millepede.conversion import kfalignment as kf
from auto_iter.millepede.conversion.matching import matching
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.mille.records import Bools, Indices, Integers, edges_of
from auto_iter.millepede.solver.local_fit import independence
from auto_iter.workspace.hashes import new_hash

NOT_COMPUTED = -9000.0
"""Derivatives below were not computed."""
MAX_GLOBAL_ROTATION = 2.0
"""|d residual / d rx|, |d residual / d ry| above are nonsense (applies to layers)."""

Singles = npt.NDArray[np.float32]

_UNCERTAINTY = 1 + len(kf.TRACK_DERIVATIVES)
"""The column of a hit's values behind its residual and the track derivatives."""


def global_columns(scheme: Scheme) -> tuple[str, ...]:
    """Return the branches of a hit's global derivatives, in the order of `side_labels`."""
    columns: list[str] = []
    if scheme.modules == "x_rz":
        columns += [kf.local_derivative("x"), kf.local_derivative("rz")]
    elif scheme.modules == "all":
        columns += [kf.local_derivative(name) for name in PARAMETERS]
    if scheme.layers:
        columns += [kf.global_derivative(name) for name in scheme.layer_parameters]
    if scheme.stations:
        columns += [kf.global_derivative(name) for name in PARAMETERS]
    if not columns:
        raise InputError("no parameter has a label: switch on modules, layers or stations")
    return tuple(columns)


_GUARDED = (
    kf.local_derivative("x"),
    kf.local_derivative("rz"),
    *(kf.global_derivative(name) for name in PARAMETERS),
)


@dataclass
class Converter:
    """Converts chunks of one file and keeps the statistics.

    `judges`: those also have what tells good constants from bad ones without a fit, see
    `evidence.hold_out`. It takes a second fit to tracks, and only held-out files are asked for it.
    """

    scheme: Scheme = field(default_factory=Scheme)
    cuts: TrackCuts = field(default_factory=TrackCuts)
    judges: bool = False
    statistics: Statistics = field(default_factory=Statistics)

    def __post_init__(self) -> None:
        self._values = (
            kf.RESIDUAL,
            *kf.TRACK_DERIVATIVES,
            kf.UNCERTAINTY,
            *global_columns(self.scheme),
        )
        self._tracks = new_hash()
        self._labels = _label_table(self.scheme)
        # station·3 + layer by align_id, where there is a side
        numbers = np.arange(len(self._labels))
        self._layers = numbers // 1000 * LAYERS + numbers // 100 % 10

    @property
    def branches(self) -> tuple[str, ...]:
        """The hit branches that are needed."""
        return tuple(dict.fromkeys((*self._values, *_GUARDED)))

    @property
    def tracks(self) -> str:
        """What stands for the tracks so far: their momentum and chi2, however they are stored."""
        return self._tracks.hexdigest()

    def convert(self, chunk: kf.Chunk) -> Integers:
        """Return the records of `chunk` as 32-bit words, ready to be written."""
        both = np.column_stack((chunk.tracks[kf.CHI2], chunk.tracks[kf.PZ]))
        self._tracks.update(np.ascontiguousarray(both).data)
        kept = self._select_tracks(chunk)
        ids = self._align_ids(chunk)
        hits = self._select_hits(chunk, np.repeat(kept, chunk.sizes), ids)
        values = np.empty((len(ids), len(self._values)), dtype=np.float32)
        with np.errstate(over="ignore"):
            for column, name in enumerate(self._values):
                values[:, column] = chunk.hits[name]
        kept, hits = self._drop_degenerate(chunk, kept, hits, values)
        self.statistics.add_tracks(chunk.tracks[kf.CHI2], chunk.sizes, kept)
        if self.judges:
            self._add_to_judge_by(chunk, kept)
        self.statistics.add_residuals("after", self._layers[ids], chunk.hits[kf.RESIDUAL], hits)
        self.statistics.add_sides(ids[hits], chunk.hits[kf.RESIDUAL][hits])
        self.statistics.add_tracks_on(chunk.track[hits], ids[hits], len(chunk.sizes))
        used = values != 0
        used[:, 0] = used[:, _UNCERTAINTY] = True
        used &= hits[:, np.newaxis]
        return self._records(chunk, values, self._labels.take(ids, axis=0), used)

    def _add_to_judge_by(self, chunk: kf.Chunk, kept: Bools) -> None:
        """Add how curved the kept tracks are, by charge, and how they match in the IFT."""
        if kf.CHARGE in chunk.tracks:
            passed = kept & (chunk.tracks[kf.PZ] > 0)
            self.statistics.add_curvatures(
                chunk.tracks[kf.CHARGE][passed], chunk.tracks[kf.PZ][passed]
            )
        self.statistics.matching += matching(chunk, kept)

    def _select_tracks(self, chunk: kf.Chunk) -> Bools:
        chi2, pz, hits = chunk.tracks[kf.CHI2], chunk.tracks[kf.PZ], chunk.sizes
        reasons = {
            "chi2": chi2 > self.cuts.max_chi2,
            "pz_low": pz < self.cuts.min_pz_gev,
            "pz_high": pz > self.cuts.max_pz_gev,
            "hits": hits < self.cuts.min_hits,
        }
        kept = np.ones(len(chi2), dtype=np.bool_)
        for reason, dropped in reasons.items():
            self.statistics.dropped_tracks[reason] += int(np.count_nonzero(kept & dropped))
            kept &= ~dropped
        return kept

    def _align_ids(self, chunk: kf.Chunk) -> Indices:
        numbers = chunk.hits[kf.ALIGN_ID]
        clipped = np.clip(numbers, 0, len(self._labels) - 1)
        ids = clipped.astype(np.int64)
        if not np.array_equal(ids, numbers) or (self._labels[ids, 0] < 0).any():
            bad = numbers[(ids != numbers) | (self._labels[ids, 0] < 0)][0]
            raise InputError(f"branch {kf.ALIGN_ID!r} holds {bad:g}, which is no side of a module")
        return ids

    def _select_hits(self, chunk: kf.Chunk, kept: Bools, ids: Indices) -> Bools:
        residual = chunk.hits[kf.RESIDUAL]
        size = np.abs(residual)
        inside = size < Statistics.RANGE_MM
        self.statistics.add_residuals("before", self._layers[ids], residual, inside)
        self.statistics.add_distribution(self._layers[ids], residual)
        self.statistics.dropped_hits["track"] += len(kept) - int(np.count_nonzero(kept))
        kept = self._drop_hits("residual", kept, size > self.cuts.max_residual_mm)
        for name in _GUARDED:
            column = chunk.hits[name]
            if column.size and column.min() < NOT_COMPUTED:
                kept = self._drop_hits("not_computed", kept, column < NOT_COMPUTED)
        for name in ("rx", "ry") if self.scheme.layers else ():
            rotation = chunk.hits[kf.global_derivative(name)]
            if rotation.size and max(rotation.max(), -rotation.min()) > MAX_GLOBAL_ROTATION:
                kept = self._drop_hits("rotation", kept, np.abs(rotation) > MAX_GLOBAL_ROTATION)
        # Mille compares the float that it stores, not the double that it was given
        uncertainty = chunk.hits[kf.UNCERTAINTY].astype(np.float32)
        return self._drop_hits("uncertainty", kept, uncertainty <= 0)

    def _drop_degenerate(
        self, chunk: kf.Chunk, kept: Bools, hits: Bools, values: Singles
    ) -> tuple[Bools, Bools]:
        """Drop tracks whose parameters the hits that are left cannot tell apart.

        pede takes any local fit down to 16 roundings of double precision; what it gets from those
        near that limit is noise, in the solution as well as in its uncertainties. Judged by the
        numbers as Mille stores them.
        """
        first = edges_of(hits)[chunk.ends]
        tracks = np.flatnonzero(np.diff(first))
        if not len(tracks):
            return kept, hits
        stored = values[hits].T.astype(np.float64)
        rows, sigma = stored[1:_UNCERTAINTY], stored[_UNCERTAINTY]
        starts = np.append(first[tracks], first[-1])
        bad = tracks[independence(rows, sigma, starts) < self.cuts.min_independence]
        if len(bad):
            self.statistics.dropped_tracks["degenerate"] += len(bad)
            kept = kept.copy()
            kept[bad] = False
            hits = self._drop_hits("track", hits, ~np.repeat(kept, chunk.sizes))
        return kept, hits

    def _drop_hits(self, reason: str, kept: Bools, dropped: Bools) -> Bools:
        self.statistics.dropped_hits[reason] += int(np.count_nonzero(kept & dropped))
        remaining: Bools = kept & ~dropped
        return remaining

    def _records(self, chunk: kf.Chunk, values: Singles, labels: Integers, used: Bools) -> Integers:
        """Lay out records: length, then 0 and the values, then 0 and the labels."""
        entries = np.diff(edges_of(np.count_nonzero(used, axis=1))[chunk.ends])
        entries = entries[entries > 0]
        lengths = np.empty((len(entries), 4), dtype=np.int64)
        lengths[:] = [2, 0, 1, 0]
        lengths[:, 1] = lengths[:, 3] = entries
        kinds = np.tile(np.array([0, 1, 0, 2], dtype=np.int8), len(entries))
        layout = np.repeat(kinds, lengths.ravel())
        words = np.zeros(len(layout), dtype=np.int32)
        stored = values[used]
        if not np.isfinite(stored.sum()) and not np.isfinite(stored).all():
            raise InputError("a residual or derivative is too large for single precision")
        words.view(np.float32)[layout == 1] = stored
        words[layout == 2] = labels[used]
        sizes = 2 * (entries + 1)
        words[np.cumsum(sizes + 1) - sizes - 1] = sizes
        self.statistics.records += len(entries)
        return words


def _label_table(scheme: Scheme) -> Integers:
    """Return labels by align_id, in the columns of a hit's values; −1 where there is no side."""
    leading = [0, *range(1, _UNCERTAINTY), 0]
    width = len(leading) + len(global_columns(scheme))
    table = np.full((STATIONS * 1000, width), -1, dtype=np.int32)
    sides = itertools.product(range(STATIONS), range(LAYERS), range(MODULES), range(SIDES))
    for station, layer, module, side in sides:
        align_id = station * 1000 + layer * 100 + module * 10 + side
        table[align_id] = [*leading, *side_labels(align_id, scheme)]
    return table
