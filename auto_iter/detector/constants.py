"""Alignment constants: `inputforalign.txt`, and how a result of pede adds to them.

The file is one line, `"<key>": [x, y, z, rx, ry, rz],"<key>": […]` in mm and rad, without braces;
an empty file means no constants. Keys: station (from 0), layer, module digits. This is the only
reader of it; the daemon uses it, so nothing heavy is imported here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from auto_iter.detector.labels import (
    HALF_STEREO_RAD,
    PARAMETERS,
    POSITIVE_STEREO,
    TRANSLATIONS,
    Parameter,
    Place,
    Scheme,
    component_of_key,
    place_of,
)
from auto_iter.detector.rigid import folded
from auto_iter.errors import InputError, PhysicsError, raise_what_passes

Values = tuple[float, ...]
Constants = dict[str, Values]
Covariance = Mapping[tuple[int, int], float]
ZERO: Values = (0.0,) * len(PARAMETERS)
EXAMPLE = '"10": [0.012, -0.034, 0, 0, 0, 0.0005],"103": [0.002, 0.05, 0, 0, 0, -0.0012]'
"""What error messages show: layer 0 and its module 3 of station 1, in mm and rad."""
_FORM = f"it reads {EXAMPLE} (x, y, z in mm, rx, ry, rz in rad); an empty file means no constants"


@dataclass(frozen=True)
class Change:
    """What one constant moves by: `key` and `parameter`, value and uncertainty in mm or rad."""

    key: str
    parameter: str
    value: float
    sigma: float | None
    is_free: bool

    @property
    def is_shift(self) -> bool:
        """A translation (mm) rather than a rotation (rad)."""
        return self.parameter in TRANSLATIONS

    @property
    def name(self) -> str:
        """In words, e.g. `station 1 layer 0 rz`."""
        return f"{component_of_key(self.key).name} {self.parameter}"

    @property
    def pull(self) -> float | None:
        """|change| in uncertainties; None when fixed or without uncertainty."""
        return abs(self.value) / self.sigma if self.is_free and self.sigma else None


def read_constants(path: Path) -> Constants:
    """Return the constants of an `inputforalign.txt`; of an empty file: none.

    Raises InputError naming file and key.
    """
    return parse_constants(_read(path), str(path))


def read_text(path: Path) -> str:
    """Return what `read_constants` accepts as jobs put it between braces: unchanged, but bare.

    Raises InputError like `read_constants`.
    """
    text = _read(path)
    parse_constants(text, str(path))
    bare = _bare(text)
    return text if bare == text.strip() else bare


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: no such file", "to start without constants, make it an empty file"
        ) from error
    except OSError as error:
        raise_what_passes(error, path)
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: no constants, but something that is no text", _FORM) from error


def _bare(text: str) -> str:
    """Return `text` without braces around it, and without a comma at its end."""
    body = text.strip()
    if body.startswith("{") and body.endswith("}"):
        body = body[1:-1].strip()
    return body.removesuffix(",")


def parse_constants(text: str, where: str = "constants") -> Constants:
    """Return the constants in `text`; `where` names it in errors (InputError)."""
    try:
        content = "{" + _bare(text) + "}"
        # integers as floats: one of 400 digits is infinite, not an error of its own
        pairs = json.loads(content, object_pairs_hook=list, parse_int=float)
    except json.JSONDecodeError as error:
        raise InputError(
            f"{where}: column {max(error.colno - 1, 1)}: no alignment constants ({error.msg})",
            _FORM,
        ) from error
    except RecursionError as error:
        raise InputError(f"{where}: no alignment constants", _FORM) from error
    constants: Constants = {}
    for key, values in pairs:
        if key in constants:
            raise InputError(f"{where}: key {key!r} comes twice", "remove one of the two")
        constants[key] = checked_values(key, values, where)
    return constants


def checked_values(key: str, values: object, where: str) -> Values:
    """Return what a key stands for; `where` names its file in errors (InputError)."""
    try:
        component_of_key(key)
    except InputError as error:
        raise InputError(f"{where}: key {key!r}: {error}") from error
    if not isinstance(values, list) or len(values) != len(PARAMETERS):
        raise InputError(f"{where}: key {key!r} needs {len(PARAMETERS)} numbers", _FORM)
    for parameter, value in zip(PARAMETERS, values, strict=True):
        if not isinstance(value, float) or not math.isfinite(value):
            raise InputError(
                f"{where}: key {key!r}: {parameter} is {value!r}, not a finite number",
                "look at what made these constants",
            )
    return tuple(values)


def value_of(constants: Mapping[str, Values], key: str, parameter: str) -> float:
    """Return one of `constants` (mm, rad); what is absent is zero."""
    return constants.get(key, ZERO)[PARAMETERS.index(parameter)]


def format_constants(constants: Mapping[str, Values]) -> str:
    """Return the content of an `inputforalign.txt`: keys sorted, 6 significant digits."""
    # adding 0 turns −0 into 0
    return ",".join(
        f'"{key}": [' + ", ".join(f"{value + 0.0:.6g}" for value in constants[key]) + "]"
        for key in sorted(constants)
    )


def changes(
    result: Iterable[Parameter], scheme: Scheme, covariance: Covariance | None = None
) -> list[Change]:
    """Return what `result` moves each constant by, ordered by key, then parameter.

    `covariance` between labels sharpens the uncertainties of constants made of two sides; without
    it they count as independent. Raises InputError for labels that the scheme does not know.
    """
    placed = {place_of(parameter.label, scheme): parameter for parameter in result}
    found: list[Change] = []
    for (key, name), combination in combinations(placed, scheme).items():
        weights = folded({placed[place]: weight for place, weight in combination.items()})
        value = _value({place: placed[place].value for place in combination}, name, scheme)
        free = any(parameter.is_free for parameter in weights)
        found.append(Change(key, name, value, _sigma(weights, covariance), free))
    return found


def combinations(of: Iterable[Place], scheme: Scheme) -> dict[tuple[str, str], dict[Place, float]]:
    """Return each constant, (key, parameter), as a combination of labels: d constant / d label.

    A module's x is the mean of its sides', its y ±(x₁ − x₀)/(2·20 mrad), so along the strips the
    uncertainty is that of a side times 35. Ordered by key, then parameter.
    """
    grouped: dict[tuple[str, str], dict[Place, float]] = {}
    for place in of:
        for name in _moved(place, scheme):
            weights = grouped.setdefault((place.component.key, name), {})
            weights[place] = _weight(place, name, scheme)
    rank = {name: number for number, name in enumerate(PARAMETERS)}
    return dict(sorted(grouped.items(), key=lambda item: (item[0][0], rank[item[0][1]])))


def _moved(place: Place, scheme: Scheme) -> tuple[str, ...]:
    """Return which constants of its key a label moves: x per side gives the module's x and y."""
    if place.component.depth == "side" and scheme.modules == "x_rz":
        return ("x", "y")
    return (place.parameter,)


def _weight(place: Place, name: str, scheme: Scheme) -> float:
    """Return d constant / d label."""
    if place.component.depth != "side":
        return 1.0
    if scheme.modules == "x_rz" and name == "y":
        return place.component.stereo / (2 * HALF_STEREO_RAD)
    return 0.5


def _value(values: Mapping[Place, float], name: str, scheme: Scheme) -> float:
    """Return Σ weight · value, rounded as the field's own tool does: divide after the sum."""
    by_side = {place.component.side: value for place, value in values.items()}
    place = next(iter(values))
    if place.component.depth != "side":
        return by_side[-1]
    first, second = by_side.get(0, 0.0), by_side.get(1, 0.0)
    if scheme.modules == "x_rz" and name == "y":
        difference = (second - first) / (2 * HALF_STEREO_RAD)
        return difference if place.component.module in POSITIVE_STEREO else -difference
    return (first + second) / 2


def _sigma(weights: Mapping[Parameter, float], covariance: Covariance | None) -> float | None:
    free = {parameter: weight for parameter, weight in weights.items() if parameter.is_free}
    if not free or any(parameter.sigma is None for parameter in free):
        return None
    variance = sum((weight * (one.sigma or 0.0)) ** 2 for one, weight in free.items())
    if covariance is not None:
        variance += sum(
            weight * other_weight * covariance.get((one.label, other.label), 0.0)
            for one, weight in free.items()
            for other, other_weight in free.items()
            if one != other
        )
    return math.sqrt(max(variance, 0.0))


def accumulate(previous: Mapping[str, Values], moved: Iterable[Change]) -> Constants:
    """Return `previous` plus `moved`, key by key, component by component; keys sorted.

    The field's tool writes the changes to a file, with 6 digits, and adds what it reads from there.
    """
    total = {key: list(values) for key, values in previous.items()}
    for change in moved:
        values = total.setdefault(change.key, list(ZERO))
        values[PARAMETERS.index(change.parameter)] += float(f"{change.value:.6g}")
    return {key: tuple(total[key]) for key in sorted(total)}


def check_limits(
    constants: Mapping[str, Values],
    moved: Iterable[Change],
    max_shift_mm: float,
    max_rotation_rad: float,
) -> None:
    """Raise PhysicsError when a constant is not finite or moved by more than is credible."""
    for key, values in constants.items():
        if not all(math.isfinite(value) for value in values):
            raise PhysicsError(f"constants of {component_of_key(key).name} ({key}) are not finite")
    beyond = [
        change
        for change in moved
        if not abs(change.value) <= (max_shift_mm if change.is_shift else max_rotation_rad)
    ]
    if beyond:
        worst = max(beyond, key=lambda change: abs(change.value))
        unit, limit, setting = (
            ("mm", max_shift_mm, "max_shift_mm")
            if worst.is_shift
            else ("rad", max_rotation_rad, "max_rotation_rad")
        )
        raise PhysicsError(
            f"{worst.name} moved by {worst.value:.4g} {unit}, more than {limit:g} {unit} "
            f"({len(beyond)} constants beyond their limit)",
            f"look at the residuals, or raise millepede.{setting}",
        )
