from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_iter.errors import InputError
from auto_iter.millepede.labels import Component
from auto_iter.millepede.pedefiles import (
    format_constraints,
    format_parameters,
    format_steering,
    step_parameters,
    write_step_files,
)
from auto_iter.millepede.steering import read_text
from auto_iter.millepede.strategy import Pede, Strategy, load_strategy

REFERENCE = Path(__file__).parents[1] / "data/kfalignment/clean"


@pytest.fixture
def strategy() -> Strategy:
    return load_strategy("3st")


def test_parameter_and_constraint_files_are_those_in_use(strategy: Strategy) -> None:
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {})
    assert format_parameters(parameters) == (REFERENCE / "mp2par.txt").read_text()
    assert format_constraints(strategy, parameters) == (REFERENCE / "mp2con.txt").read_text()


def test_a_later_step_fixes_parameters_where_the_one_before_put_them(strategy: Strategy) -> None:
    found = {201: 0.012, 211: 0.0, 20001: -3e-5}
    parameters = step_parameters(strategy, strategy.phases[0].steps[1], found)
    by_label = {parameter.label: parameter for parameter in parameters}
    assert (by_label[201].start, by_label[201].is_fixed) == (0.012, True)
    assert (by_label[211].start, by_label[211].is_fixed) == (0.0, False)
    assert (by_label[20001].start, by_label[20001].is_fixed) == (0.0, False)
    assert "  201  0.012  -1.0\n" in format_parameters(parameters)


def test_stations_with_hits_that_are_not_aligned_are_fixed(strategy: Strategy) -> None:
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {}, seen_stations=[0, 1])
    assert all(p.is_fixed for p in parameters if p.place.component.station == 0)
    assert len(parameters) == 4 * 87
    assert format_constraints(strategy, parameters) == (REFERENCE / "mp2con.txt").read_text()


def test_constraints_on_fixed_parameters_alone_are_left_out() -> None:
    strategy = load_strategy("ift-local")
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {})
    text = format_constraints(strategy, parameters)
    assert text.count("Constraint") == 2 * 3
    assert "  20001 " not in text


def test_what_is_short_of_hits_is_fixed_where_it_is(strategy: Strategy) -> None:
    step = strategy.phases[0].steps[0]
    short = [strategy.places[label] for label in (20001, 20002, 201)]
    parameters = {each.label: each for each in step_parameters(strategy, step, {}, short=short)}
    for label in (20001, 20002, 201):
        assert (parameters[label].start, parameters[label].is_fixed) == (0.0, True)
    assert not parameters[20011].is_fixed
    text = format_constraints(strategy, list(parameters.values()))
    assert text == (REFERENCE / "mp2con.txt").read_text()


def test_no_sum_is_asked_of_a_layer_in_which_nothing_moves(strategy: Strategy) -> None:
    dead = Component(1, 0)
    short = [place for place in strategy.places.values() if dead.contains(place.component)]
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {}, short=short)
    assert all(p.is_fixed for p in parameters if dead.contains(p.place.component))
    text = format_constraints(strategy, parameters)
    assert text.count("Constraint") == 2 * 8
    assert "  20001 " not in text


def test_the_last_free_member_of_a_sum_is_what_the_others_leave_it(strategy: Strategy) -> None:
    """Its variance would be zero but for rounding errors, and so might come out negative."""
    layer = Component(1, 0)
    members = [
        (label, place)
        for label, place in strategy.places.items()
        if place.parameter == "rz" and place.component.depth == "module"
        if layer.contains(place.component)
    ]
    found = {members[1][0]: 2e-4, members[2][0]: -5e-5}
    step = strategy.phases[0].steps[0]
    short = [place for _, place in members[1:]]
    parameters = {each.label: each for each in step_parameters(strategy, step, found, short=short)}
    lone = parameters[members[0][0]]
    assert lone.is_fixed
    assert sum(parameters[label].start for label, _ in members) == pytest.approx(0.0, abs=1e-18)
    assert lone.start == pytest.approx(-1.5e-4)


def test_the_steering_file_names_files_then_options_then_method() -> None:
    text = format_steering(Pede(), ["../mille/a.bin", "b.bin"], "test", has_constraints=True)
    assert text.splitlines() == [
        "* test",
        "Fortranfiles",
        "mp2con_ss.txt",
        "mp2par_ss.txt",
        "Cfiles",
        "../mille/a.bin",
        "b.bin",
        "hugecut 2000",
        "skipemptycons",
        "method inversion 3 0.001",
        "end",
    ]


def test_a_name_that_pede_cannot_take_is_refused() -> None:
    with pytest.raises(InputError, match="1024"):
        format_steering(Pede(), ["x" * 1025], "test", has_constraints=False)


def test_without_constraints_none_are_named(tmp_path: Path) -> None:
    strategy = load_strategy("ift-global")
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {})
    steering = write_step_files(tmp_path, strategy, parameters, ["a.bin"], "test")
    assert "mp2con_ss.txt" not in steering.read_text()
    assert (tmp_path / "mp2con_ss.txt").read_text() == ""


@settings(max_examples=20, deadline=None)
@given(st.floats(-10, 10), st.floats(-0.5, 0.5))
def test_the_built_in_solver_reads_what_is_written(shift: float, rotation: float) -> None:
    strategy = load_strategy("3st")
    found = {201: shift, 205: rotation}
    parameters = step_parameters(strategy, strategy.phases[0].steps[1], found)
    with tempfile.TemporaryDirectory() as name:
        write_step_files(Path(name), strategy, parameters, ["a.bin"], "test")
        read = read_text(Path(name) / "mp2par_ss.txt").parameters
        constraints = read_text(Path(name) / "mp2con_ss.txt").constraints
    assert [(p.label, p.start, p.presigma) for p in read] == [
        (p.label, p.start, p.presigma) for p in parameters
    ]
    assert len(constraints) == 2 * 9
