"""Labels: which number stands for which parameter of which station, layer, module or side.

A side's `align_id` is station·1000 + layer·100 + module·10 + side with stations counted from 0; in
labels the station digit counts from 1 and one more digit tells the parameter. Keys of the constants
are the digits without the parameter, stations from 0 again. All of it is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import permutations
from typing import Literal

from auto_iter.detector.stations import station_name
from auto_iter.errors import InputError

PARAMETERS = ("x", "y", "z", "rx", "ry", "rz")
TRANSLATIONS = frozenset({"x", "y", "z"})
STATIONS, LAYERS, MODULES, SIDES = 4, 3, 8, 2
POSITIVE_STEREO = frozenset({0, 2, 5, 7})
"""Modules of the one orientation; 1, 3, 4 and 6 have the other."""
HALF_STEREO_RAD = 0.020

Modules = Literal["x_rz", "all", "off"]

FIRST_MODULE_LABEL = 10_000
"""Labels of modules and sides begin here; below are layers and stations."""


@dataclass(frozen=True)
class Scheme:
    """Which parameters have labels. The default is FASER's: layers, x per side, rz per module."""

    modules: Modules = "x_rz"
    layers: bool = True
    layer_z: bool = False
    stations: bool = False

    @property
    def layer_parameters(self) -> tuple[str, ...]:
        """A layer's parameters in the order of their label digits, from 1."""
        return PARAMETERS if self.layer_z else ("x", "y", "rx", "ry", "rz")


@dataclass(frozen=True, order=True)
class Component:
    """A station, layer, module or side. All numbers count from 0; -1: not that deep."""

    station: int
    layer: int = -1
    module: int = -1
    side: int = -1

    @property
    def depth(self) -> str:
        """`station`, `layer`, `module` or `side`."""
        if self.layer < 0:
            return "station"
        if self.module < 0:
            return "layer"
        return "module" if self.side < 0 else "side"

    @property
    def key(self) -> str:
        """The key of the constants: digits, stations from 0. A side has its module's key."""
        digits = (self.station, self.layer, self.module)
        return "".join(str(digit) for digit in digits if digit >= 0)

    @property
    def number(self) -> str:
        """The component number of strategies and labels: digits, stations from 1."""
        digits = (self.station + 1, self.layer, self.module, self.side)
        return "".join(str(digit) for digit in digits if digit >= 0)

    @property
    def name(self) -> str:
        """In words, e.g. `station 1 layer 0 module 3 side 1`, or `IFT layer 2`."""
        words = [station_name(self.station)]
        named = (("layer", self.layer), ("module", self.module), ("side", self.side))
        words += [f"{word} {digit}" for word, digit in named if digit >= 0]
        return " ".join(words)

    @property
    def stereo(self) -> float:
        """Which way a side is turned about its module's z', times 20 mrad: 1 or −1."""
        return 1.0 if (self.module in POSITIVE_STEREO) == (self.side == 1) else -1.0

    def contains(self, other: Component) -> bool:
        """Tell whether `other` is this component or lies within it."""
        return other.number.startswith(self.number)


@dataclass(frozen=True, order=True)
class Place:
    """What a label stands for: one parameter (`x` … `rz`) of one component."""

    component: Component
    parameter: str

    @property
    def name(self) -> str:
        """In words, e.g. `station 1 layer 0 rz`."""
        return f"{self.component.name} {self.parameter}"

    @property
    def kind(self) -> str:
        """What it shares with others of its depth, e.g. `layer rz`."""
        return f"{self.component.depth} {self.parameter}"

    @property
    def is_shift(self) -> bool:
        """A translation (mm) rather than a rotation (rad)."""
        return self.parameter in TRANSLATIONS


def component_of_number(number: str) -> Component:
    """Return the component of digits with the station counted from 1, e.g. `21`, `203`, `2031`.

    Raises InputError when no such component exists.
    """
    return _component(number, first_station=1)


def component_of_key(key: str) -> Component:
    """Return the component of a constants key: 1 to 3 digits, stations from 0."""
    if len(key) > 3:
        raise InputError(f"{key!r} is no station, layer or module (1 to 3 digits)")
    return _component(key, first_station=0)


def _component(digits: str, first_station: int) -> Component:
    counts = (STATIONS, LAYERS, MODULES, SIDES)
    if not (digits.isascii() and digits.isdigit() and len(digits) <= len(counts)):
        raise InputError(f"{digits!r} is no component number (1 to {len(counts)} digits)")
    numbers = [int(digit) for digit in digits]
    numbers[0] -= first_station
    if any(not 0 <= number < count for number, count in zip(numbers, counts, strict=False)):
        span = f"{first_station}-{first_station + STATIONS - 1}"
        raise InputError(
            f"there is no component {digits}: station {span}, layer 0-2, module 0-7, side 0-1"
        )
    return Component(*numbers)


def align_id_component(align_id: int) -> Component:
    """Return the side of an `align_id`. Raises InputError when there is none such."""
    return _component(f"{align_id:04d}", first_station=0)


def label_of(place: Place, scheme: Scheme) -> int:
    """Return the label of `place`. Raises InputError when the scheme has no label for it."""
    for label, labelled in component_labels(place.component, scheme):
        if labelled == place:
            return label
    raise InputError(f"{place.name} has no label in this strategy")


@cache  # for it is asked a thousand times
def place_of(label: int, scheme: Scheme) -> Place:
    """Return what `label` stands for. Raises InputError when the scheme has no such label."""
    digits = str(label)
    if len(digits) in (2, 3, 5):
        try:
            component = component_of_number(digits[:-1])
        except InputError as error:
            raise InputError(f"label {label}: {error}") from error
        candidates = component_labels(component, scheme)
        if component.depth == "side" and scheme.modules == "x_rz":
            module = Component(component.station, component.layer, component.module)
            candidates = [*candidates, *component_labels(module, scheme)]
        for candidate, place in candidates:
            if candidate == label:
                return place
    raise InputError(f"label {label} stands for nothing (2 digits: station, 3: layer, 5: module)")


def component_labels(component: Component, scheme: Scheme) -> list[tuple[int, Place]]:
    """Return the labels of `component` itself (not of what lies within it), in digit order."""
    names: tuple[str, ...] = ()
    number = int(component.number)
    first = 1
    if component.depth == "station":
        names = PARAMETERS if scheme.stations else ()
    elif component.depth == "layer":
        names = scheme.layer_parameters if scheme.layers else ()
    elif component.depth == "module":
        # a module's rz is labelled through its side 0, parameter 2
        number, first = number * 10, 2
        names = ("rz",) if scheme.modules == "x_rz" else ()
    else:
        names = {"x_rz": ("x",), "all": PARAMETERS, "off": ()}[scheme.modules]
    return [
        (number * 10 + digit, Place(component, name)) for digit, name in enumerate(names, first)
    ]


def components(stations: Iterable[int]) -> Iterator[Component]:
    """Walk all components: stations, then layers, then module by module (sides, then itself)."""
    numbers = tuple(stations)
    layers = [(station, layer) for station in numbers for layer in range(LAYERS)]
    yield from (Component(station) for station in numbers)
    yield from (Component(*layer) for layer in layers)
    for layer in layers:
        for module in range(MODULES):
            yield from (Component(*layer, module, side) for side in range(SIDES))
            yield Component(*layer, module)


def places(stations: Iterable[int], scheme: Scheme) -> dict[int, Place]:
    """Return every label of `stations` (from 0) with its place, in the parameter file's order."""
    return {
        label: place
        for component in components(stations)
        for label, place in component_labels(component, scheme)
    }


def side_labels(align_id: int, scheme: Scheme) -> tuple[int, ...]:
    """Return the labels of a hit on the side `align_id`, in the order module, layer, station."""
    side = align_id_component(align_id)
    order = (
        side,
        Component(side.station, side.layer, side.module),
        Component(side.station, side.layer),
        Component(side.station),
    )
    return tuple(label for part in order for label, _ in component_labels(part, scheme))


def pairs_within_modules(labels: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the positions of each two different `labels` of one module (its first three digits)."""
    members: dict[int, list[int]] = {}
    for position, label in enumerate(labels):
        if label >= FIRST_MODULE_LABEL:
            members.setdefault(label // 100, []).append(position)
    for positions in members.values():
        yield from permutations(positions, 2)


@dataclass(frozen=True)
class Parameter:
    """One parameter, as a line of `millepede.res` tells it.

    `presigma` < 0 means fixed. `change` is the difference to the start value, `sigma` the
    uncertainty; both None where pede does not print them. `follows`: a fixed one that goes with the
    one of that label, as a side without hits goes with its module's other side.
    """

    label: int
    value: float
    presigma: float = 0.0
    change: float | None = None
    sigma: float | None = None
    follows: int | None = None

    @property
    def is_free(self) -> bool:
        """Whether pede could move it."""
        return self.presigma >= 0

    @property
    def is_without_uncertainty(self) -> bool:
        """Whether pede moved it without knowing how well it is determined.

        What has too few entries is not moved at all: there pede prints no difference.
        """
        return self.is_free and self.change is not None and not self.sigma
