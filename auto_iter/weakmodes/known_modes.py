"""Movements of the detector that tracks can hardly see, to give weak modes their names.

Each is written as constants; what of it the free parameters can follow is for `modes` to find out.
Approximate geometry is good enough: a template has to resemble a mode, not to equal it. So sizes do
not matter either: shifts of 1 mm, rotations of 1 rad, to be compared by direction only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auto_iter.detector.constants import Constants
from auto_iter.detector.field import bend_lever
from auto_iter.detector.geometry import layer_centre, module_offset
from auto_iter.detector.labels import LAYERS, MODULES, PARAMETERS, Component
from auto_iter.weakmodes.label_space import Floats


@dataclass(frozen=True)
class Family:
    """Movements of one kind, e.g. the same one for each layer; each as constants (mm, rad)."""

    name: str
    members: tuple[Constants, ...]


def families(stations: Sequence[int]) -> list[Family]:
    """Return known movements of `stations` (from 0), first those that move no sensor."""
    layers = [Component(station, layer) for station in stations for layer in range(LAYERS)]
    return [*_between_depths(layers), *_of_the_frame(layers), *_of_towers(layers)]


def _of_the_frame(layers: Sequence[Component]) -> list[Family]:
    """Rigid movements, shears and what a common bias of q/p does."""
    one, along_z, bending = _profiles(layers)
    found = [
        _one("shift of everything in x", layers, one, x=1.0),
        _one("shift of everything in y", layers, one, y=1.0),
        _one("shear of x along z", layers, along_z, x=1.0),
        _one("shear of y along z", layers, along_z, y=1.0),
        _one("bending of y as by a common q/p bias", layers, bending, y=1.0),
        _rotation_about_z("rotation of everything about z", layers, one),
        _rotation_about_z("twist: rz growing along z", layers, along_z),
        _rotation_about_z("rz as by a q/p bias that depends on x", layers, bending),
        _one("common rx of all layers", layers, one, rx=1.0),
        _one("common ry of all layers", layers, one, ry=1.0),
    ]
    for angle in ("rx", "ry"):
        found.append(_one(f"{angle} growing along z", layers, along_z, **{angle: 1.0}))
        found.append(_one(f"{angle} in proportion to the bending", layers, bending, **{angle: 1.0}))
    return found


def _profiles(layers: Sequence[Component]) -> tuple[Floats, Floats, Floats]:
    """Return along the layers: 1, z in m from the middle, and the bending without its line in z.

    A track's own position and slope take up what is constant and linear; what they leave of the
    bending is what a bias of q/p looks like.
    """
    z = np.array([layer_centre(each.station, each.layer)[2] for each in layers])
    lever = bend_lever(z)
    line = np.polyfit(z, lever, 1)
    return (
        np.ones_like(z),
        (z - z.mean()) / 1000.0,
        (lever - np.polyval(line, z)) / max(float(np.ptp(lever)), 1e-9),
    )


def _one(name: str, layers: Sequence[Component], profile: Floats, **direction: float) -> Family:
    return _frame_family(name, layers, profile, lambda _: direction)


def _rotation_about_z(name: str, layers: Sequence[Component], profile: Floats) -> Family:
    """About the z axis, not about each layer's own centre: those are staggered in y."""

    def direction(layer: Component) -> Mapping[str, float]:
        x, y, _ = layer_centre(layer.station, layer.layer)
        return {"x": -y, "y": x, "rz": 1.0}

    return _frame_family(name, layers, profile, direction)


def _frame_family(
    name: str,
    layers: Sequence[Component],
    profile: Floats,
    direction: Callable[[Component], Mapping[str, float]],
) -> Family:
    """Return a movement by `profile` along `direction`: as layers, and as their modules make it."""
    by_layers: Constants = {}
    by_modules: Constants = {}
    for layer, size in zip(layers, profile, strict=True):
        movement = {name: float(size * value) for name, value in direction(layer).items()}
        by_layers[layer.key] = _six(**movement)
        by_modules |= _carried(layer.key, by_layers[layer.key])
    return Family(name, (by_layers, by_modules))


def _carried(layer: str, movement: Sequence[float], sign: float = 1.0) -> Constants:
    """Return how modules move when their layer does, times `sign`; rx and ry they cannot follow.

    A module's x' points along y, its y' along −x.
    """
    x, y, rz = movement[0], movement[1], movement[5]
    offsets = map(module_offset, range(MODULES))
    return {
        f"{layer}{module}": _six(
            x=sign * float(y + rz * offset[0]), y=sign * float(rz * offset[1] - x), rz=sign * rz
        )
        for module, offset in enumerate(offsets)
    }


def _between_depths(layers: Sequence[Component]) -> list[Family]:
    """Move a component one way and all that it holds the other way: nothing moves."""
    keys = [layer.key for layer in layers]
    stations = {key[0]: [other for other in keys if other[0] == key[0]] for key in keys}
    found = [
        Family(
            f"station {parameter} against its layers'",
            tuple(
                {station: _six(**{parameter: 1.0})}
                | {key: _six(**{parameter: -1.0}) for key in its}
                for station, its in stations.items()
            ),
        )
        for parameter in PARAMETERS
    ]
    return [
        *found,
        _against_modules("layer x against its modules' y", layers, _six(x=1.0)),
        _against_modules("layer y against its modules' x", layers, _six(y=1.0)),
        _against_modules("layer rz against its modules' x, y and rz", layers, _six(rz=1.0)),
    ]


def _against_modules(name: str, layers: Sequence[Component], movement: Sequence[float]) -> Family:
    return Family(
        name,
        tuple(
            {layer.key: tuple(movement)} | _carried(layer.key, movement, -1.0) for layer in layers
        ),
    )


def _of_towers(layers: Sequence[Component]) -> list[Family]:
    """Muons fly nearly along z: modules behind one another are a small detector of their own."""
    one, along_z, bending = _profiles(layers)
    kinds = (
        ("shift in y of a tower of modules", one, "x"),
        ("shear of y along z of a tower of modules", along_z, "x"),
        ("bending of y of a tower of modules, as by a q/p bias", bending, "x"),
        ("shift in x of a tower of modules", one, "y"),
        ("shear of x along z of a tower of modules", along_z, "y"),
        ("bow of x of a tower of modules", bending, "y"),
        ("rotation about z of a tower of modules", one, "rz"),
        ("twist of a tower of modules", along_z, "rz"),
        ("rz in proportion to the bending of a tower of modules", bending, "rz"),
    )
    return [
        Family(
            name,
            tuple(
                {
                    f"{layer.key}{module}": _six(**{parameter: float(size)})
                    for layer, size in zip(layers, profile, strict=True)
                }
                for module in range(MODULES)
            ),
        )
        for name, profile, parameter in kinds
    ]


def _six(**values: float) -> tuple[float, ...]:
    return tuple(values.get(parameter, 0.0) for parameter in PARAMETERS)
