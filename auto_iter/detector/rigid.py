"""A module is rigid: a side that cannot be fitted by itself goes with the other one.

Were it to stay while the other side moves by d, the module would seem to move by d/2 in x and by
d/(2·20 mrad) in y, and by the sums over its layer the other modules would, too.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace

from auto_iter.detector.labels import Parameter, Place


def led_by(short: Collection[Place]) -> dict[Place, Place]:
    """Return which places of sides that are `short` go with which: the same of the other side."""
    sides = [place for place in sorted(short) if place.component.depth == "side"]
    others = {place: _other_side(place) for place in sides}
    return {place: other for place, other in others.items() if other not in short}


def _other_side(place: Place) -> Place:
    return replace(place, component=replace(place.component, side=1 - place.component.side))


def folded(weights: Mapping[Parameter, float]) -> dict[Parameter, float]:
    """Return a combination of parameters as one of those that lead; none of them has weight 0."""
    leaders = {parameter.label: parameter for parameter in weights}
    found: dict[Parameter, float] = {}
    for parameter, weight in weights.items():
        leader = parameter if parameter.follows is None else leaders[parameter.follows]
        found[leader] = found.get(leader, 0.0) + weight
    return {parameter: weight for parameter, weight in found.items() if weight}
