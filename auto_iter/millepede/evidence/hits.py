"""What the tracks of an iteration can say: which parameters have enough hits, and what lacks them.

Known from the conversion's statistics, before anything is solved, so that every solver gets the
same question and a person reads the same answer.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.labels import Component, Place, components
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

    `fewest_hits`: a parameter with fewer is not determined, and pede would not move it.
    """

    statistics: Statistics = field(default_factory=Statistics)
    cuts: TrackCuts = field(default_factory=TrackCuts)
    fewest_hits: int = 25

    @property
    def seen_stations(self) -> set[int]:
        """The stations that have hits, counted from 0."""
        return {int(number[0]) - 1 for number in self.statistics.layers}

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

    def short(self, places: Collection[Place]) -> frozenset[Place]:
        """Return which of `places` have too few hits to be moved.

        None where the statistics do not count hits by side (those of an earlier version).
        """
        if not self.statistics.sides:
            return frozenset()
        return frozenset(place for place in places if self.hits(place.component) < self.fewest_hits)

    def remarks(self, strategy: Strategy, phase: Phase) -> tuple[str, ...]:
        """Return sentences on what lacks hits, of all that a step of `phase` would move."""
        moved = {
            place
            for place in strategy.places.values()
            if not all(step.fixes(place) for step in phase.steps)
        }
        short = self.short(moved)
        if not short:
            return ()
        dead = list(self._dead({place.component for place in short}, strategy))
        remarks = [f"{component.name}: no hits; stays where it is" for component in dead[:NAMED]]
        if len(dead) > NAMED:
            remarks.append(f"{len(dead) - NAMED} more components have no hits and stay, too")
        poor = sorted(
            {place for place in short if self.hits(place.component)},
            key=lambda place: (self.hits(place.component), place),
        )
        if poor:
            remarks.append(
                f"short of data: {len(poor)} of {len(moved)} parameters have fewer than "
                f"{self.fewest_hits} hits and stay where they are ({self._examples(poor)}); "
                f"{self.losses.want_of_hits()}"
            )
        return tuple(remarks)

    def most_hits(self, places: Collection[Place]) -> int:
        """Return how many hits the best of `places` has."""
        return max((self.hits(place.component) for place in places), default=0)

    def fewest(self, places: Collection[Place]) -> str:
        """Return the poorest of `places` in words, with their hits; empty when not known."""
        if not self.statistics.sides:
            return ""
        ordered = sorted(places, key=lambda place: (self.hits(place.component), place))
        return self._examples(ordered)

    @property
    def losses(self) -> Losses:
        """What tracks and hits were lost to."""
        return Losses(self.statistics, self.cuts)

    def _examples(self, places: Sequence[Place]) -> str:
        told = [f"{place.name}: {self.hits(place.component)}" for place in places[:EXAMPLES]]
        return ", ".join([*told, "…"] if len(places) > EXAMPLES else told)

    def _dead(self, short: Collection[Component], strategy: Strategy) -> Iterator[Component]:
        """Yield components without hits, the outermost of each, that hold something to be moved."""
        found: list[Component] = []
        outermost_first = sorted(
            components(strategy.station_numbers), key=lambda each: (len(each.number), each)
        )
        for component in outermost_first:
            concerned = any(component.contains(each) for each in short)
            if not concerned or self.hits(component):
                continue
            if not any(outer.contains(component) for outer in found):
                found.append(component)
                yield component
