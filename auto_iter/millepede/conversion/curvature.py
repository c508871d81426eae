"""|q/p| of tracks of one charge, as sums: they add up."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict

GEV_PER_TEV = 1000.0


class Curvature(BaseModel):
    """Sums over tracks of one charge: number, Σ|q/p| (1/TeV), Σ|q/p|² (1/TeV²)."""

    model_config = ConfigDict(extra="forbid")

    tracks: int = 0
    sum_per_tev: float = 0.0
    sum_per_tev2: float = 0.0

    @classmethod
    def of(cls, pz_gev: npt.NDArray[np.float64]) -> Curvature:
        """Return the sums of tracks with these momenta along the beam.

        That is p: tracks are within some mrad of the beam.
        """
        qop = GEV_PER_TEV / pz_gev
        return cls(
            tracks=len(qop), sum_per_tev=float(qop.sum()), sum_per_tev2=float((qop * qop).sum())
        )

    @property
    def mean_per_tev(self) -> float:
        """The mean of |q/p| (1/TeV); 0 without tracks."""
        return self.sum_per_tev / self.tracks if self.tracks else 0.0

    @property
    def error_per_tev(self) -> float:
        """The statistical error of the mean (1/TeV); infinite with fewer than two tracks."""
        if self.tracks < 2:
            return math.inf
        variance = max(self.sum_per_tev2 / self.tracks - self.mean_per_tev**2, 0.0)
        return math.sqrt(variance / (self.tracks - 1))

    def __add__(self, other: Curvature) -> Curvature:
        return Curvature(
            tracks=self.tracks + other.tracks,
            sum_per_tev=self.sum_per_tev + other.sum_per_tev,
            sum_per_tev2=self.sum_per_tev2 + other.sum_per_tev2,
        )
