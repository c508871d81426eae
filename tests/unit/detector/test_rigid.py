"""A side that lacks hits goes with the other side of its module."""

from __future__ import annotations

from pathlib import Path

from auto_iter.detector.constants import changes
from auto_iter.detector.labels import Component, Parameter, Place, Scheme, label_of
from auto_iter.millepede.pede.input import (
    Knowledge,
    format_constraints,
    format_prior,
    step_parameters,
)
from auto_iter.millepede.steering.reader import read_text
from auto_iter.millepede.strategy.file import load_strategy

SHORT, LEADER = (Place(Component(2, 1, 3, side), "x") for side in (0, 1))
LABELS = [label_of(place, Scheme()) for place in (SHORT, LEADER)]
STRATEGY = load_strategy("3st")
PARAMETERS = step_parameters(STRATEGY, STRATEGY.phases[0].steps[0], {}, short=[SHORT])


def test_the_module_moves_as_a_whole_and_its_y_is_not_known() -> None:
    follower = Parameter(LABELS[0], 0.1, -1.0, follows=LABELS[1])
    x, y = changes([follower, Parameter(LABELS[1], 0.1, 0.0, 0.1, 0.002)], Scheme())
    assert (x.value, x.sigma, x.is_free) == (0.1, 0.002, True)
    assert (y.value, y.sigma, y.is_free) == (0.0, None, False)


def test_it_is_fixed_and_said_to_follow() -> None:
    assert PARAMETERS[LEADER].is_free
    assert not PARAMETERS[SHORT].is_free
    assert PARAMETERS[SHORT].follows == LABELS[1]


def sums(text: str, place: Path) -> list[dict[int, float]]:
    """Return the sums in a text that have one of the module's sides."""
    path = place / "sums.txt"
    path.write_text(text)
    read = read_text(path)
    found = [dict(each.terms) for each in (*read.constraints, *read.measurements)]
    return [each for each in found if each.keys() & set(LABELS)]


def test_in_the_prior_its_x_is_that_of_the_other_side_and_its_y_is_left_out(tmp_path: Path) -> None:
    text = format_prior(STRATEGY, STRATEGY.phases[0], PARAMETERS, Knowledge({}, {}))
    assert sums(text, tmp_path) == [{LABELS[1]: 1.0}]


def test_in_the_sums_of_its_layer_it_counts_as_a_whole(tmp_path: Path) -> None:
    of_x, *others = sums(format_constraints(STRATEGY, PARAMETERS), tmp_path)
    assert of_x[LABELS[1]] == 2.0
    assert LABELS[0] not in of_x
    assert not others  # its y is none of the sum of y


def test_where_the_other_side_is_short_too_or_modules_are_not_rigid_it_stays_alone() -> None:
    step = STRATEGY.phases[0].steps[0]
    loose = STRATEGY.model_copy(update={"rigid": False})
    for strategy, short in ((STRATEGY, [SHORT, LEADER]), (loose, [SHORT])):
        assert step_parameters(strategy, step, {}, short=short)[SHORT].follows is None
