"""What lacks hits is named before anything is solved."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from auto_iter.detector.labels import Component, Place, components
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.evidence.hits import Evidence
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.millepede.strategy.parts import Pede, Phase, Step
from auto_iter.millepede.strategy.whole import Strategy

ENOUGH = 100


@pytest.fixture
def strategy() -> Strategy:
    return load_strategy("3st")


def hits(stations: Iterable[int], poor: dict[str, int]) -> Evidence:
    """Return evidence of `ENOUGH` hits on each side, `poor` gives others by how numbers begin."""
    sides = {each.number: ENOUGH for each in components(stations) if each.depth == "side"}
    for beginning, count in poor.items():
        sides |= dict.fromkeys((n for n in sides if n.startswith(beginning)), count)
    return Evidence(Statistics(sides={n: count for n, count in sides.items() if count}))


@pytest.mark.parametrize(
    ("poor", "named"),
    [
        ({}, []),
        ({"31": 0}, ["station 2 layer 1"]),
        ({"2": 0}, ["station 1"]),
        ({"203": 0}, ["station 1 layer 0 module 3"]),
        ({"421": 0, "30": 0}, ["station 2 layer 0", "station 3 layer 2 module 1"]),
    ],
)
def test_the_outermost_without_hits_is_named(
    strategy: Strategy, poor: dict[str, int], named: list[str]
) -> None:
    remarks = hits((1, 2, 3), poor).remarks(strategy, strategy.phases[0])
    assert list(remarks) == [f"{name}: no hits; stays where it is" for name in named]


def test_a_side_without_hits_goes_with_the_other_one(strategy: Strategy) -> None:
    evidence, phase = hits((1, 2, 3), {"2031": 0, "3120": 3}), strategy.phases[0]
    assert evidence.remarks(strategy, phase) == (
        "station 1 layer 0 module 3 side 1: no hits; goes with the other side of its module",
        "station 2 layer 1 module 2 side 0: 3 hits; goes with the other side of its module",
    )
    stays, *_ = evidence.remarks(strategy.model_copy(update={"rigid": False}), phase)
    assert stays == "station 1 layer 0 module 3 side 1: no hits; stays where it is"


def test_many_without_hits_are_counted(strategy: Strategy) -> None:
    poor = dict.fromkeys((f"{station}{layer}3" for station in "234" for layer in "012"), 0)
    *named, rest = hits((1, 2, 3), poor).remarks(strategy, strategy.phases[0])
    assert len(named) == 8
    assert rest == "1 more components have no hits and stay, too"


def test_what_has_too_few_hits_is_counted_with_the_poorest(strategy: Strategy) -> None:
    evidence = hits((1, 2, 3), {"203": 24, "3120": 2, "4": 25})
    *_, remark = evidence.remarks(strategy, strategy.phases[0])
    # a module's rz has the hits of both sides
    assert remark == (
        "short of data: 2 of 261 parameters have fewer than 25 hits and stay where they are: "
        "station 1 layer 0 module 3 side 0 (24 hits), "
        "station 1 layer 0 module 3 side 1 (24 hits); use more raw files"
    )
    short = evidence.short(strategy.places.values())
    assert {place.component.number for place in short} == {"3120", "2030", "2031"}


def test_a_module_that_is_short_as_a_whole_is_named_as_one(strategy: Strategy) -> None:
    evidence = hits((1, 2, 3), {"203": 12})
    (remark,) = evidence.remarks(strategy, strategy.phases[0])
    assert "3 of 261 parameters" in remark
    assert "stay where they are: station 1 layer 0 module 3 (24 hits); use" in remark
    held = evidence.held(strategy, strategy.phases[0])
    assert {place.name.removeprefix("station 1 layer 0 module 3 ") for place in held} == {
        "side 0 x", "side 1 x", "rz",
    }  # fmt: skip


def test_many_hits_of_few_tracks_are_not_enough(strategy: Strategy) -> None:
    sides = {each.number: ENOUGH for each in components((1, 2, 3)) if each.depth == "side"}
    tracks = {each.number: 50 for each in components((1, 2, 3))} | {"203": 9, "2031": 9, "2": 10}
    for counted, poor in ((tracks, {"203", "2031"}), (None, set())):
        statistics = Statistics(sides=sides, tracks_on=counted)
        evidence = Evidence(statistics, fewest_tracks=10)
        held = evidence.held(strategy, strategy.phases[0])
        assert {place.component.number for place in held} == poor
    evidence = Evidence(Statistics(sides=sides, tracks_on=tracks), fewest_tracks=10)
    side, remark = evidence.remarks(strategy, strategy.phases[0])
    assert "module 3 side 1: 100 hits on 9 tracks; goes with the other side" in side
    assert "1 of 261 parameters have fewer than 25 hits on 10 tracks and stay" in remark


def test_what_a_phase_leaves_in_place_needs_no_hits() -> None:
    strategy = load_strategy("4st")
    phase = Phase(name="spectrometer", steps=(Step(fix=("IFT", "21", "41")),))
    assert hits((1, 2, 3), {}).remarks(strategy, phase) == ()


def test_how_many_hits_are_enough_is_the_strategy_s_to_say() -> None:
    assert load_strategy("3st").pede.entries == Evidence().fewest_hits
    assert Pede(options=("threads 2", "entries 7 3", "chisqcut 30 6")).entries == 7
    place = Place(Component(1, 0, 3, 1), "x")
    statistics = Statistics(sides={"2031": 9})
    assert Evidence(statistics, fewest_hits=9).short([place]) == frozenset()
    assert Evidence(statistics, fewest_hits=10).short([place]) == {place}


def test_statistics_that_do_not_count_by_side_say_nothing(strategy: Strategy) -> None:
    evidence = Evidence(Statistics(hits=1000))
    assert evidence.short(strategy.places.values()) == frozenset()
    assert evidence.remarks(strategy, strategy.phases[0]) == ()


def test_hits_of_a_component_are_those_of_its_sides() -> None:
    evidence = hits((1,), {"20": 1})
    assert evidence.hits(Component(1, 0, 3)) == 2
    assert evidence.hits(Component(1, 0)) == 16
    assert evidence.hits(Component(1)) == 16 + 2 * 16 * ENOUGH
    assert evidence.hits(Component(2)) == 0
