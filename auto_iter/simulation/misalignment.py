"""A misaligned detector: the constants that a perfect alignment would find.

Layers are drawn as they may be, the whole detector's shift, shear and twist and what a bias of q/p
does included: the data leave these open, and an alignment has to know it. Only what two constants
say of the same motion is said once: in each layer, module x, y and rz sum to zero, which is the
gauge of pede's constraints.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.detector.geometry import Array
from auto_iter.detector.labels import LAYERS, MODULES
from auto_iter.detector.stations import IFT, WITHOUT_IFT

Drawn = dict[str, list[float]]


@dataclass(frozen=True)
class Sizes:
    """Standard deviations of the misalignments (mm, rad); draws end at two of them."""

    layer_shift_mm: float = 0.1
    layer_rotation_rad: float = 0.001
    module_shift_mm: float = 0.1
    module_rotation_rad: float = 0.001


def draw_constants(random: np.random.Generator, stations: int, sizes: Sizes) -> Drawn:
    """Return true constants by key for a detector of 3 (stations 1-3) or 4 stations (0-3)."""
    layers = {
        f"{station}{layer}": _draw_layer(random, sizes)
        for station in range(4)
        for layer in range(LAYERS)
    }
    modules = {key: _draw_modules(random, sizes) for key in layers}
    drawn: Drawn = {}
    for key in sorted(layers):
        if stations == WITHOUT_IFT and key.startswith(str(IFT)):
            continue
        drawn[key] = _numbers(layers[key])
        drawn |= {f"{key}{m}": _numbers(modules[key][m]) for m in range(MODULES)}
    return drawn


def _draw_layer(random: np.random.Generator, sizes: Sizes) -> Array:
    drawn = np.clip(random.normal(size=6), -2.0, 2.0)
    drawn[:3] *= sizes.layer_shift_mm
    drawn[3:] *= sizes.layer_rotation_rad
    drawn[2] = 0.0
    return np.asarray(drawn)


def _draw_modules(random: np.random.Generator, sizes: Sizes) -> Array:
    """Return (8, 6); only x, y and rz are measurable well enough to be drawn."""
    drawn = np.clip(random.normal(size=(MODULES, 3)), -2.0, 2.0)
    modules = np.zeros((MODULES, 6))
    modules[:, :2] = sizes.module_shift_mm * (drawn[:, :2] - drawn[:, :2].mean(axis=0))
    modules[:, 5] = sizes.module_rotation_rad * (drawn[:, 2] - drawn[:, 2].mean())
    return modules


def _numbers(values: Array) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
