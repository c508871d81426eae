"""How constants are shown: µm and mrad, in words."""

from __future__ import annotations

from collections.abc import Iterable

from auto_iter.detector.labels import TRANSLATIONS, component_of_key

SCALE = 1000.0
"""From mm to µm, and from rad to mrad."""


def unit_of(parameter: str) -> str:
    """Return the unit in which a parameter is shown."""
    return "µm" if parameter in TRANSLATIONS else "mrad"


def kind_of(key: str, parameter: str) -> str:
    """Return what a constant belongs to in plots, e.g. `layer x`, `module rz`, `station y`."""
    return f"{component_of_key(key).depth} {parameter}"


def by_kind(names: Iterable[tuple[str, str]]) -> dict[str, list[tuple[str, str]]]:
    """Return constants (keys and parameters) by what they belong to, in the order given."""
    kinds: dict[str, list[tuple[str, str]]] = {}
    for name in names:
        kinds.setdefault(kind_of(*name), []).append(name)
    return kinds


def constant_name(key: str, parameter: str) -> str:
    """Return a constant's name in words, e.g. `station 1 layer 0 rz`."""
    return f"{component_of_key(key).name} {parameter}"
