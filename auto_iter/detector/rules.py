"""Rules: which parameters a step of a strategy fixes, in the field's words.

A rule is a component (`tracker`, `IFT`, `3ST` or a component number such as `21` = layer 1 of the
station whose label digit is 2), a depth (`station`, `layer`, `module` = `side`; also `global` =
layers and stations, `local` = modules and sides), or both: `3ST_layer`, `21_side`. A parameter may
follow: `IFT_layer.rz`. Named components and stations mean all that lies within them; a layer,
module or side number means that component itself.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass

from auto_iter.detector.labels import (
    PARAMETERS,
    STATIONS,
    Component,
    Place,
    component_of_number,
)
from auto_iter.detector.stations import IFT
from auto_iter.errors import InputError

NAMED = {
    "tracker": tuple(range(STATIONS)),
    "IFT": (IFT,),
    "3ST": tuple(station for station in range(STATIONS) if station != IFT),
}
"""Named components: their stations, counted from 0."""
DEPTHS = {
    "station": frozenset({"station"}),
    "layer": frozenset({"layer"}),
    "module": frozenset({"module", "side"}),
    "side": frozenset({"module", "side"}),
    "global": frozenset({"station", "layer"}),
    "local": frozenset({"module", "side"}),
}
_RULE = re.compile(r"(?P<scope>[0-9A-Za-z]+)(?:_(?P<depth>[A-Za-z]+))?(?:\.(?P<parameter>\w+))?")


@dataclass(frozen=True)
class Rule:
    """Where a rule applies; None: no restriction."""

    text: str
    stations: tuple[int, ...] | None = None
    component: Component | None = None
    depths: frozenset[str] | None = None
    parameter: str | None = None

    def covers(self, place: Place) -> bool:
        """Tell whether the rule applies to the parameter at `place`."""
        component = place.component
        if self.stations is not None and component.station not in self.stations:
            return False
        if self.component is not None and not self._lies_in(component, self.component):
            return False
        if self.depths is not None and component.depth not in self.depths:
            return False
        return self.parameter in (None, place.parameter)

    def _lies_in(self, component: Component, named: Component) -> bool:
        if self.depths is not None or named.depth in ("station", "module"):
            return named.contains(component)
        return component == named


def parse_rule(text: str) -> Rule:
    """Return the rule that `text` says. Raises InputError, with what may have been meant."""
    match = _RULE.fullmatch(text.strip())
    if match is None:
        raise InputError(f"rule {text!r} is not of the form <component>[_<depth>][.<parameter>]")
    scope, depth, parameter = match["scope"], match["depth"], match["parameter"]
    if depth is not None and depth not in DEPTHS:
        raise InputError(f"rule {text!r}: no depth {depth!r}{_suggest(depth, DEPTHS)}")
    if parameter is not None and parameter not in PARAMETERS:
        raise InputError(f"rule {text!r}: no parameter {parameter!r}; it is one of x y z rx ry rz")
    depths = DEPTHS[depth] if depth is not None else None
    if scope in NAMED:
        return Rule(text, NAMED[scope], None, depths, parameter)
    if scope in DEPTHS and depth is None:
        return Rule(text, None, None, DEPTHS[scope], parameter)
    if not scope.isdigit():
        raise InputError(
            f"rule {text!r}: no component {scope!r}{_suggest(scope, [*NAMED, *DEPTHS])}"
        )
    try:
        component = component_of_number(scope)
    except InputError as error:
        raise InputError(f"rule {text!r}: {error}") from error
    return Rule(text, None, component, depths, parameter)


def stations_of(names: tuple[str, ...]) -> tuple[int, ...]:
    """Return the stations (from 0) of names like `3ST`, `IFT`, `tracker`. Raises InputError."""
    stations: set[int] = set()
    for name in names:
        if name not in NAMED:
            raise InputError(f"no station {name!r}{_suggest(name, NAMED)}")
        stations.update(NAMED[name])
    return tuple(sorted(stations))


def _suggest(word: str, known: Iterable[str]) -> str:
    folded = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), folded, n=1)
    if close:
        return f"; did you mean {folded[close[0]]!r}?"
    return f"; it is one of {', '.join(folded.values())}"
