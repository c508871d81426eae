"""What a conversion kept and dropped, and how residuals are spread. Sums only: they add up."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from auto_iter.detector.labels import (
    LAYERS,
    MODULES,
    SIDES,
    STATIONS,
    Component,
    align_id_component,
)
from auto_iter.millepede.conversion.curvature import Curvature
from auto_iter.millepede.mille.records import Bools, Floats, Indices

TRACK_PARAMETERS = 5


class Spread(BaseModel):
    """Sums over residuals: number, Σr (mm), Σr² (mm²)."""

    model_config = ConfigDict(extra="forbid")

    hits: int = 0
    sum_mm: float = 0.0
    sum_mm2: float = 0.0

    @property
    def mean_um(self) -> float:
        """The mean of the residuals in µm; 0 without hits."""
        return 1e3 * self.sum_mm / self.hits if self.hits else 0.0

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

    def __add__(self, other: LayerResiduals) -> LayerResiduals:
        return LayerResiduals(before=self.before + other.before, after=self.after + other.after)


Summed = TypeVar("Summed", Spread, LayerResiduals, Curvature)


class Statistics(BaseModel):
    """Counts and sums of one file, or of several added up.

    `dropped_tracks`, `dropped_hits`: by the first reason that applied. `chi2`, `ndf`: of all
    tracks as fitted; `chi2_kept`, `ndf_kept`: of those that passed the track cuts. `layers`: keyed
    by the layer's component number (station from 1); "before" leaves out what is beyond RANGE_MM.
    `sides`: hits after all cuts by the side's component number; `modules`: their residuals by the
    module's; `tracks_on`: how many tracks they belong to, by the number of the side, module, layer
    and station - None: not counted (by earlier versions). `histograms`: by layer, how many of
    the hits "before" are between any two `EDGES_UM`.
    `curvatures`: |q/p| of the kept tracks by charge, "+" and "-"; empty where no charge is told.
    `matching`: of the kept tracks in the interface tracker, see there.
    """

    model_config = ConfigDict(extra="forbid")
    RANGE_MM: ClassVar[float] = 1.0
    EDGES_UM: ClassVar[tuple[int, ...]] = (
        *range(-1000, -500, 100),
        *range(-500, -100, 25),
        *range(-100, 100, 5),
        *range(100, 500, 25),
        *range(500, 1001, 100),
    )
    """Fine where an aligned detector's residuals are, coarse as far as a misaligned one's reach."""

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
    modules: dict[str, Spread] = Field(default_factory=dict)
    tracks_on: Counter[str] | None = None
    histograms: dict[str, list[int]] = Field(default_factory=dict)
    curvatures: dict[str, Curvature] = Field(default_factory=dict)
    matching: Spread = Field(default_factory=Spread)

    @property
    def stations(self) -> set[int]:
        """The stations that have hits, counted from 0."""
        return {int(number[0]) - 1 for number in self.layers}

    @property
    def parts(self) -> list[str]:
        """The component numbers of layers and modules that have hits after all cuts, in order."""
        layers = (number for number, each in self.layers.items() if each.after.hits)
        return sorted({*layers, *self.modules})

    def part(self, number: str) -> Spread:
        """Return the residuals, after all cuts, of a layer or module."""
        layer = self.layers.get(number)
        return layer.after if layer is not None else self.modules.get(number, Spread())

    def add_tracks(self, chi2: Floats, hits: Indices, kept: Bools) -> None:
        """Add tracks: their chi2, numbers of hits, and which passed the cuts."""
        ndf = np.maximum(hits - TRACK_PARAMETERS, 0)
        self.tracks += len(chi2)
        self.tracks_kept += int(np.count_nonzero(kept))
        self.chi2 += float(chi2.sum())
        self.ndf += int(ndf.sum())
        self.chi2_kept += float(chi2[kept].sum())
        self.ndf_kept += int(ndf[kept].sum())

    def add_curvatures(self, charge: Floats, pz_gev: Floats) -> None:
        """Add |q/p| of tracks that passed the cuts, with these charges and momenta (GeV)."""
        for sign, chosen in (("+", charge > 0), ("-", charge < 0)):
            if chosen.any():
                before = self.curvatures.get(sign, Curvature())
                self.curvatures[sign] = before + Curvature.of(pz_gev[chosen])

    def add_sides(self, align_ids: Indices, residual_mm: Floats) -> None:
        """Add hits after all cuts by the side, and their residuals by the module, they are on."""
        for align_id, added in _spreads(align_ids, residual_mm):
            number = _side_number(align_id)
            module = number[:-1]
            self.sides[number] += added.hits
            self.modules[module] = self.modules.get(module, Spread()) + added

    def add_tracks_on(self, track: Indices, align_ids: Indices, tracks: int) -> None:
        """Add hits after all cuts: which of `tracks` tracks each is on, from 0, and its side."""
        shape = (tracks, STATIONS, LAYERS, MODULES, SIDES)
        crossed: Bools = np.zeros(shape, dtype=np.bool_)
        digits = (align_ids // 1000, align_ids // 100 % 10, align_ids // 10 % 10, align_ids % 10)
        crossed[(track, *digits)] = True
        counted = Counter() if self.tracks_on is None else self.tracks_on
        while crossed.ndim > 1:
            counts = crossed.sum(axis=0)
            for place in np.argwhere(counts).tolist():
                counted[Component(*place).number] += int(counts[tuple(place)])
            crossed = np.asarray(crossed.any(axis=-1))
        self.tracks_on = counted

    def add_distribution(self, layer: Indices, residual_mm: Floats) -> None:
        """Count hits on layers (station·3 + layer) by their residual; those beyond are left out."""
        bins = len(self.EDGES_UM) - 1
        place = np.searchsorted(self.EDGES_UM, 1e3 * residual_mm, side="right") - 1
        inside = (place >= 0) & (place < bins)
        counts = np.bincount(
            layer[inside] * bins + place[inside], minlength=STATIONS * LAYERS * bins
        ).reshape(-1, bins)
        for index in np.flatnonzero(counts.sum(axis=1)).tolist():
            number = Component(*divmod(index, LAYERS)).number
            self.histograms[number] = _added(self.histograms.get(number), counts[index].tolist())

    def add_residuals(
        self,
        stage: Literal["before", "after"],
        layer: Indices,
        residual_mm: Floats,
        counted: Bools,
    ) -> None:
        """Add residuals of hits on layers (station·3 + layer) where `counted`."""
        if stage == "before":
            self.hits += len(layer)
        else:
            self.hits_kept += int(np.count_nonzero(counted))
        for index, added in _spreads(layer[counted], residual_mm[counted]):
            number = Component(*divmod(index, LAYERS)).number
            entry = self.layers.setdefault(number, LayerResiduals())
            setattr(entry, stage, getattr(entry, stage) + added)

    def __add__(self, other: Statistics) -> Statistics:
        merged: dict[str, Any] = {
            name: getattr(self, name) + getattr(other, name)
            for name, value in self
            if isinstance(value, int | float)
        }
        return Statistics(
            **merged,
            dropped_tracks=_sum(self.dropped_tracks, other.dropped_tracks),
            dropped_hits=_sum(self.dropped_hits, other.dropped_hits),
            layers=_merged(self.layers, other.layers, LayerResiduals()),
            sides=_sum(self.sides, other.sides),
            tracks_on=_sum_of_known(self, other),
            modules=_merged(self.modules, other.modules, Spread()),
            histograms={
                number: _added(self.histograms.get(number), other.histograms.get(number))
                for number in sorted(self.histograms.keys() | other.histograms.keys())
            },
            curvatures=_merged(self.curvatures, other.curvatures, Curvature()),
            matching=self.matching + other.matching,
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


def _spreads(where: Indices, residual_mm: Floats) -> Iterator[tuple[int, Spread]]:
    """Yield the residuals of hits by where they are (counted from 0), as far as any are there."""
    hits = np.bincount(where)
    sums = np.bincount(where, weights=residual_mm)
    squares = np.bincount(where, weights=residual_mm * residual_mm)
    for at in np.flatnonzero(hits).tolist():
        yield at, Spread(hits=int(hits[at]), sum_mm=float(sums[at]), sum_mm2=float(squares[at]))


def _merged(
    one: Mapping[str, Summed], other: Mapping[str, Summed], nothing: Summed
) -> dict[str, Summed]:
    """Return the sums of two mappings, key by key, in the order of the keys."""
    keys = sorted(one.keys() | other.keys())
    return {key: one.get(key, nothing) + other.get(key, nothing) for key in keys}


def _sum(one: Counter[str], other: Counter[str]) -> Counter[str]:
    """Return what `one + other` would, but with the zeros: a reason that never applied is told."""
    merged = one.copy()
    merged.update(other)
    return merged


def _sum_of_known(one: Statistics, other: Statistics) -> Counter[str] | None:
    """Return the sum of `tracks_on`: None where either has tracks that were not counted."""
    if any(each.tracks_on is None and each.tracks_kept for each in (one, other)):
        return None
    known = [each.tracks_on for each in (one, other) if each.tracks_on is not None]
    return _sum(*known) if len(known) == 2 else next(iter(known), None)


def _added(one: list[int] | None, other: list[int] | None) -> list[int]:
    """Return the sum of two histograms, of which either may not be there."""
    if not one or not other:
        return one or other or []
    return [a + b for a, b in zip(one, other, strict=True)]
