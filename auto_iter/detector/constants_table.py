"""Constants as tables on a terminal: µm and mrad, one line for each component."""

from __future__ import annotations

from collections.abc import Mapping

from auto_iter.detector.constants import ZERO, Constants, Values
from auto_iter.detector.labels import PARAMETERS, TRANSLATIONS, component_of_key

_UNITS = tuple("µm" if name in TRANSLATIONS else "mrad" for name in PARAMETERS)


def format_table(constants: Mapping[str, Values]) -> str:
    """Return a table of the constants in µm and mrad (both 1000 × what the file has)."""
    if not constants:
        return "no constants (an empty file: nothing is shifted)"
    names = {key: component_of_key(key).name for key in sorted(constants)}
    width = max(map(len, names.values()))
    titles = (f"{name}/{unit}" for name, unit in zip(PARAMETERS, _UNITS, strict=True))
    header = f"{'key':>4} {'component':<{width}}" + "".join(f"{title:>11}" for title in titles)
    rows = [
        f"{key:>4} {name:<{width}}" + "".join(_cell(value) for value in constants[key])
        for key, name in names.items()
    ]
    return "\n".join([header, *rows])


def difference(one: Mapping[str, Values], other: Mapping[str, Values]) -> Constants:
    """Return other − one for the keys where they differ; a missing key counts as zeros."""
    result: Constants = {}
    for key in sorted({*one, *other}):
        pairs = zip(one.get(key, ZERO), other.get(key, ZERO), strict=True)
        values = tuple(theirs - ours for ours, theirs in pairs)
        if any(values):
            result[key] = values
    return result


def format_difference(differences: Mapping[str, Values]) -> str:
    """Return a table of differences, with the largest ones below."""
    if not differences:
        return "no difference"
    largest = [
        max((abs(v[i]), key) for key, v in differences.items()) for i in range(len(PARAMETERS))
    ]
    summary = [
        f"largest {name}: {1e3 * value:.3f} {unit} ({component_of_key(key).name})"
        for name, unit, (value, key) in zip(PARAMETERS, _UNITS, largest, strict=True)
        if value > 0
    ]
    return "\n".join([format_table(differences), "", *summary])


def _cell(value: float) -> str:
    return f"{1e3 * value:11.3f}" if value else f"{'·':>11}"
