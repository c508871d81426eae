"""What the sums over a layer's modules leave to be found."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_iter.detector.labels import Component, Parameter, Place, Scheme, places
from auto_iter.detector.module_sums import Sum, independent, layer_sums, pinned

LAYER = Component(1, 0)
KINDS = ("x", "y", "rz")


def sums_with(
    free: set[tuple[int, str]], start: float = 0.0, kinds: tuple[str, ...] = KINDS
) -> list[Sum]:
    """Return the sums of a layer in which only `free` (module and side, parameter) may move."""
    members = {
        place: Parameter(
            label, start, 0.0 if (label // 10 % 100, place.parameter) in free else -1.0
        )
        for label, place in places([1], Scheme()).items()
        if LAYER.contains(place.component)
    }
    (sums,) = layer_sums(kinds, members)
    return sums


EVERYTHING = {(10 * module + side, "x") for module in range(8) for side in (0, 1)} | {
    (10 * module, "rz") for module in range(8)
}


def test_with_all_modules_free_nothing_is_pinned_and_every_sum_is_needed() -> None:
    sums = sums_with(EVERYTHING)
    assert pinned(sums) == {}
    assert independent(sums) == sums
    assert [len(each) for each in sums] == [16, 16, 8]


@pytest.mark.parametrize(
    ("free", "held", "needed"),
    [
        (set(), set(), 0),
        ({(30, "rz")}, {20302}, 1),
        ({(30, "x")}, {20301}, 1),
        ({(30, "x"), (31, "x")}, {20301, 20311}, 2),  # x and y of the one module that is left
        ({(0, "x"), (11, "x")}, set(), 1),  # both sides lean the same way: x says what y says
        ({(0, "x"), (1, "x"), (10, "x")}, {20001}, 2),
        ({(30, "rz"), (40, "rz")}, set(), 1),
    ],
)
def test_what_few_free_members_are_left_is_pinned_or_told_once(
    free: set[tuple[int, str]], held: set[int], needed: int
) -> None:
    sums = sums_with(free)
    assert set(pinned(sums)) == held
    assert set(pinned(sums).values()) <= {0.0}
    assert len(independent(sums)) == needed


@given(st.sets(st.sampled_from(sorted(EVERYTHING))), st.floats(-1, 1))
def test_what_is_pinned_satisfies_the_sums(free: set[tuple[int, str]], start: float) -> None:
    sums = sums_with(free, start, ("x", "rz"))
    values = pinned(sums)
    for each in sums:
        moving = [m for m in each if m.is_free]
        if all(m.label in values for m in moving) and moving:
            total = sum(f * values.get(m.label, m.value) for m, f in each.items())
            assert total == pytest.approx(0.0, abs=1e-12)
    remaining = [{m: f for m, f in each.items() if m.label not in values} for each in sums]
    assert pinned(remaining) == {}


def test_a_place_that_is_no_module_is_in_no_sum() -> None:
    members = {Place(LAYER, "x"): Parameter(201, 0.0)}
    assert list(layer_sums(KINDS, members)) == []
