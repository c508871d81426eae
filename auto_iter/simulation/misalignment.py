"""A misaligned detector: the constants that a perfect alignment would find.

Alignment data leave some combinations of constants free, because moving the detector so is the same
as moving the tracks. The true constants are drawn in the gauge that the alignment ends in:

- the frame: the middle layers of the first and last spectrometer station have no layer constants;
- in each layer, module x sum to zero, and module rz too (pede's constraints);
- a layer's shift along x and the mean of its modules' y are the same motion: the first in the
  interface tracker, the second, with offset and slope along z removed, in the spectrometer;
- a common bias of q/p of all muons moves layers in proportion to the bending at their z: that
  pattern (the sagitta mode) is removed from y, rx, ry and rz of the spectrometer's layers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from auto_iter.simulation.field import bend_lever
from auto_iter.simulation.geometry import LAYERS, MODULES, Array, layer_centre

REFERENCE_LAYERS = ("11", "31")
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
    _fix_gauge(layers, modules)
    drawn: Drawn = {}
    for key in sorted(layers):
        if stations == 3 and key.startswith("0"):
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


def _fix_gauge(layers: dict[str, Array], modules: dict[str, Array]) -> None:
    spectrometer = [key for key in sorted(layers) if not key.startswith("0")]
    z = np.array([layer_centre(int(key[0]), int(key[1]))[2] for key in spectrometer])
    x = np.array([layers[key][0] for key in spectrometer])
    x -= np.polyval(np.polyfit(z, x, 1), z)
    for key, shift in zip(spectrometer, x, strict=True):
        layers[key][0] = 0.0
        # a module's y' points along −x
        modules[key][:, 1] -= shift
    for key in REFERENCE_LAYERS:
        layers[key][:] = 0.0
    sagitta = _sagitta(spectrometer, z)
    for component in (1, 3, 4, 5):
        values = np.array([layers[key][component] for key in spectrometer])
        values -= sagitta * (sagitta @ values) / (sagitta @ sagitta)
        for key, value in zip(spectrometer, values, strict=True):
            layers[key][component] = value


def _sagitta(keys: list[str], z: Array) -> Array:
    """Return the pattern of y that a q/p bias makes: bending, less the line through the frame."""
    bending = bend_lever(z)
    frame = [keys.index(key) for key in REFERENCE_LAYERS]
    line = np.polyfit(z[frame], bending[frame], 1)
    pattern = bending - np.polyval(line, z)
    pattern[frame] = 0.0
    return np.asarray(pattern)


def _numbers(values: Array) -> list[float]:
    return [float(f"{value:.6g}") for value in values]
