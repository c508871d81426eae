"""What the tracks of an iteration can say: which parameters have enough hits and tracks to move.

Known from the conversion's statistics, before anything is solved, so that every solver gets the
same question and a person reads the same answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.labels import Component, Place, component_of_number
from auto_iter.detector.rigid import led_by
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.evidence.losses import Losses
from auto_iter.millepede.strategy.parts import Phase
from auto_iter.millepede.strategy.whole import Strategy

NAMED = 8
"""So many components without hits are named one by one."""
EXAMPLES = 3


@dataclass(frozen=True)
class Evidence:
    """The hits of an iteration's tracks, after all cuts, and the cuts.

    `fewest_hits`: a parameter with fewer is not determined, and pede would not move it;
    `fewest_tracks`: likewise, because hits of the same track know little of each other.
    """

    statistics: Statistics = field(default_factory=Statistics)
    cuts: TrackCuts = field(default_factory=TrackCuts)
    fewest_hits: int = 25
    fewest_tracks: int = 0

    @cached_property
    def _hits(self) -> Counter[str]:
        """Hits by component number: of sides, and so of modules, layers and stations."""
        hits: Counter[str] = Counter()
        for number, count in self.statistics.sides.items():
            for digits in range(1, len(number) + 1):
                hits[number[:digits]] += count
        return hits

    def hits(self, component: Component) -> int:
        """Return how many hits `component` has."""
        return self._hits[component.number]

    def tracks(self, component: Component) -> int | None:
        """Return how many tracks have hits on `component`; None: not counted."""
        counted = self.statistics.tracks_on
        return None if counted is None else counted[component.number]

    @property
    def enough(self) -> str:
        """What a parameter needs, e.g. `25 hits on 10 tracks`."""
        tracks = f" on {self.fewest_tracks} tracks" if self.fewest_tracks else ""
        return f"{self.fewest_hits} hits{tracks}"

    def short(self, places: Collection[Place]) -> frozenset[Place]:
        """Return which of `places` have too few hits or tracks to be moved.

        None where the statistics do not count hits by side (those of an earlier version).
        """
        if not self.statistics.sides:
            return frozenset()
        return frozenset(place for place in places if self._is_short(place.component))

    def _is_short(self, component: Component) -> bool:
        tracks = self.tracks(component)
        is_on_few = tracks is not None and tracks < self.fewest_tracks
        return is_on_few or self.hits(component) < self.fewest_hits

    def held(self, strategy: Strategy, phase: Phase) -> frozenset[Place]:
        """Return what a step of `phase` would move, were it not short."""
        return self.short(_moved(strategy, phase))

    def remarks(self, strategy: Strategy, phase: Phase) -> tuple[str, ...]:
        """Return sentences on what lacks hits or tracks, of all that `phase` would move."""
        held = self.held(strategy, phase)
        led = led_by(held) if strategy.rigid else {}
        short = held - led.keys()
        remarks = list(self._going_along(led))
        if not short:
            return tuple(remarks)
        dead = self._dead(short)
        remarks += [f"{component.name}: no hits; stays where it is" for component in dead[:NAMED]]
        if len(dead) > NAMED:
            remarks.append(f"{len(dead) - NAMED} more components have no hits and stay, too")
        poor = {place for place in short if self.hits(place.component)}
        if poor:
            moved = _moved(strategy, phase)
            remarks.append(
                f"short of data: {len(poor)} of {len(moved)} parameters have fewer than "
                f"{self.enough} and stay where they are: {self._named(poor, moved)}; "
                f"{self.losses.want_of_hits()}"
            )
        return tuple(remarks)

    def _going_along(self, led: Collection[Place]) -> Iterator[str]:
        sides = sorted((place.component for place in led), key=lambda at: (self.hits(at), at))
        for side in sides[:NAMED]:
            has = self._counts(side) if self.hits(side) else "no hits"
            yield f"{side.name}: {has}; goes with the other side of its module"
        if len(sides) > NAMED:
            yield f"{len(sides) - NAMED} more sides have too few hits and go with the other one"

    def _named(self, poor: Collection[Place], moved: Collection[Place]) -> str:
        """Return the components of which nothing moves for want of hits, the poorest first."""
        all_of, poor_of = _by_component(moved), _by_component(poor)
        whole = {number for number, count in poor_of.items() if count == all_of[number]}
        found = sorted(_outermost(whole), key=lambda each: (self.hits(each), each))
        told = [f"{each.name} ({self._counts(each)})" for each in found[:NAMED]]
        if len(found) > NAMED:
            told.append(f"and {len(found) - NAMED} more")
        return ", ".join(told)

    def _counts(self, component: Component) -> str:
        tracks = self.tracks(component)
        return f"{self.hits(component)} hits" + ("" if tracks is None else f" on {tracks} tracks")

    def most_hits(self, places: Collection[Place]) -> int:
        """Return how many hits the best of `places` has."""
        return max((self.hits(place.component) for place in places), default=0)

    def fewest(self, places: Collection[Place]) -> str:
        """Return the poorest of `places` in words, with their hits; empty when not known."""
        if not self.statistics.sides:
            return ""
        ordered = sorted(places, key=lambda place: (self.hits(place.component), place))
        told = [f"{place.name}: {self.hits(place.component)}" for place in ordered[:EXAMPLES]]
        return ", ".join([*told, "…"] if len(ordered) > EXAMPLES else told)

    @property
    def losses(self) -> Losses:
        """What tracks and hits were lost to."""
        return Losses(self.statistics, self.cuts)

    def _dead(self, short: Collection[Place]) -> list[Component]:
        """Return the components without hits that hold any of `short`, the outermost of each."""
        found = _outermost({number for number in _by_component(short) if not self._hits[number]})
        return sorted(found, key=lambda each: (len(each.number), each))


def _moved(strategy: Strategy, phase: Phase) -> frozenset[Place]:
    """Return the parameters that a step of `phase` moves."""
    steps = phase.steps
    places = strategy.places.values()
    return frozenset(each for each in places if not all(step.fixes(each) for step in steps))


def _outermost(numbers: set[str]) -> Iterator[Component]:
    """Yield the components of `numbers` that do not lie within another one of them."""
    return (component_of_number(each) for each in numbers if each[:-1] not in numbers)


def _by_component(places: Collection[Place]) -> Counter[str]:
    """Count places by the numbers of all components that they are in."""
    numbers = (place.component.number for place in places)
    return Counter(number[:digits] for number in numbers for digits in range(1, len(number) + 1))
