"""What a conversion kept and dropped, and how wide the residuals are. Sums only: they add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any, ClassVar, Literal

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field

from auto_iter.detector.labels import LAYERS, STATIONS, Component, align_id_component

TRACK_PARAMETERS = 5


class Spread(BaseModel):
    """Sums over residuals: number, Σr (mm), Σr² (mm²)."""

    model_config = ConfigDict(extra="forbid")

    hits: int = 0
    sum_mm: float = 0.0
    sum_mm2: float = 0.0

    @property
    def width_um(self) -> float:
        """The standard deviation of the residuals in µm; 0 without hits."""
        if not self.hits:
            return 0.0
        mean = self.sum_mm / self.hits
        return float(1e3 * np.sqrt(max(self.sum_mm2 / self.hits - mean**2, 0.0)))

    @property
    def rms_um(self) -> float:
        """The root of the mean square in µm, about zero; 0 without hits."""
        return float(1e3 * np.sqrt(self.sum_mm2 / self.hits)) if self.hits else 0.0

    def __add__(self, other: Spread) -> Spread:
        return Spread(
            hits=self.hits + other.hits,
            sum_mm=self.sum_mm + other.sum_mm,
            sum_mm2=self.sum_mm2 + other.sum_mm2,
        )


class LayerResiduals(BaseModel):
    """The residuals of one layer before and after all cuts."""

    model_config = ConfigDict(extra="forbid")

    before: Spread = Field(default_factory=Spread)
    after: Spread = Field(default_factory=Spread)


class Statistics(BaseModel):
    """Counts and sums of one file, or of several added up.

    `dropped_tracks`, `dropped_hits`: by the first reason that applied. `chi2`, `ndf`: of all
    tracks as fitted; `chi2_kept`, `ndf_kept`: of those that passed the track cuts. `layers`: keyed
    by the layer's component number (station from 1); "before" leaves out what is beyond RANGE_MM.
    `sides`: hits after all cuts by the side's component number.
    """

    model_config = ConfigDict(extra="forbid")
    RANGE_MM: ClassVar[float] = 1.0

    tracks: int = 0
    tracks_kept: int = 0
    records: int = 0
    hits: int = 0
    hits_kept: int = 0
    chi2: float = 0.0
    ndf: int = 0
    chi2_kept: float = 0.0
    ndf_kept: int = 0
    dropped_tracks: Counter[str] = Field(default_factory=Counter)
    dropped_hits: Counter[str] = Field(default_factory=Counter)
    layers: dict[str, LayerResiduals] = Field(default_factory=dict)
    sides: Counter[str] = Field(default_factory=Counter)

    def add_tracks(
        self,
        chi2: npt.NDArray[np.float64],
        hits: npt.NDArray[np.int64],
        kept: npt.NDArray[np.bool_],
    ) -> None:
        """Add tracks: their chi2, numbers of hits, and which passed the cuts."""
        ndf = np.maximum(hits - TRACK_PARAMETERS, 0)
        self.tracks += len(chi2)
        self.tracks_kept += int(np.count_nonzero(kept))
        self.chi2 += float(chi2.sum())
        self.ndf += int(ndf.sum())
        self.chi2_kept += float(chi2[kept].sum())
        self.ndf_kept += int(ndf[kept].sum())

    def add_sides(self, align_ids: npt.NDArray[np.int64]) -> None:
        """Count hits after all cuts by the side that they are on."""
        counts = np.bincount(align_ids)
        for align_id in np.flatnonzero(counts).tolist():
            self.sides[_side_number(align_id)] += int(counts[align_id])

    def add_residuals(
        self,
        stage: Literal["before", "after"],
        layer: npt.NDArray[np.int64],
        residual_mm: npt.NDArray[np.float64],
        counted: npt.NDArray[np.bool_],
    ) -> None:
        """Add residuals of hits on layers (station·3 + layer) where `counted`."""
        if stage == "before":
            self.hits += len(layer)
        else:
            self.hits_kept += int(np.count_nonzero(counted))
        chosen, where = residual_mm[counted], layer[counted]
        size = STATIONS * LAYERS
        hits = np.bincount(where, minlength=size)
        sums = np.bincount(where, weights=chosen, minlength=size)
        squares = np.bincount(where, weights=chosen * chosen, minlength=size)
        for index in np.flatnonzero(hits):
            number = Component(*divmod(int(index), LAYERS)).number
            entry = self.layers.setdefault(number, LayerResiduals())
            added = Spread(
                hits=int(hits[index]), sum_mm=float(sums[index]), sum_mm2=float(squares[index])
            )
            setattr(entry, stage, getattr(entry, stage) + added)

    def __add__(self, other: Statistics) -> Statistics:
        merged: dict[str, Any] = {
            name: getattr(self, name) + getattr(other, name)
            for name, value in self
            if isinstance(value, int | float)
        }
        layers = {
            number: LayerResiduals(
                before=_layer(self, number).before + _layer(other, number).before,
                after=_layer(self, number).after + _layer(other, number).after,
            )
            for number in sorted(self.layers.keys() | other.layers.keys())
        }
        return Statistics(
            **merged,
            dropped_tracks=_sum(self.dropped_tracks, other.dropped_tracks),
            dropped_hits=_sum(self.dropped_hits, other.dropped_hits),
            layers=layers,
            sides=_sum(self.sides, other.sides),
        )


@cache
def _side_number(align_id: int) -> str:
    return align_id_component(align_id).number


def total(parts: Iterable[Statistics]) -> Statistics:
    """Return the sum of statistics; of none: all zero."""
    result: Statistics | None = None
    for part in parts:
        result = part if result is None else result + part
    return result or Statistics()


def _layer(statistics: Statistics, number: str) -> LayerResiduals:
    return statistics.layers.get(number, LayerResiduals())


def _sum(one: Counter[str], other: Counter[str]) -> Counter[str]:
    """Return what `one + other` would, but with the zeros: a reason that never applied is told."""
    merged = one.copy()
    merged.update(other)
    return merged
