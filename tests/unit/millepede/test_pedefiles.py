from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_iter.config.shipped import shipped_names
from auto_iter.detector.labels import Component
from auto_iter.errors import InputError
from auto_iter.millepede.pede.input import (
    Knowledge,
    format_constraints,
    format_prior,
    steering_options,
    step_parameters,
    write_step_files,
)
from auto_iter.millepede.steering.reader import Combination, read_text
from auto_iter.millepede.steering.writer import format_parameters, format_steering
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.millepede.strategy.parts import Pede
from auto_iter.millepede.strategy.whole import Strategy

DATA = Path(__file__).parents[2] / "data"
REFERENCE = DATA / "kfalignment/clean"
TWO_STEPS = DATA / "strategies/3st-two-steps.yaml"


@pytest.fixture
def strategy() -> Strategy:
    return load_strategy(TWO_STEPS)


def test_parameter_and_constraint_files_are_those_in_use(strategy: Strategy) -> None:
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {})
    assert format_parameters(parameters.values()) == (REFERENCE / "mp2par.txt").read_text()
    assert format_constraints(strategy, parameters) == (REFERENCE / "mp2con.txt").read_text()


def test_a_later_step_fixes_parameters_where_the_one_before_put_them(strategy: Strategy) -> None:
    found = {201: 0.012, 211: 0.0, 20001: -3e-5}
    parameters = step_parameters(strategy, strategy.phases[0].steps[1], found)
    by_label = {parameter.label: parameter for parameter in parameters.values()}
    assert (by_label[201].value, by_label[201].is_free) == (0.012, False)
    assert (by_label[211].value, by_label[211].is_free) == (0.0, True)
    assert (by_label[20001].value, by_label[20001].is_free) == (0.0, True)
    assert "  201  0.012  -1.0\n" in format_parameters(parameters.values())


def test_stations_with_hits_that_are_not_aligned_are_fixed(strategy: Strategy) -> None:
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {}, seen_stations=[0, 1])
    assert not any(p.is_free for at, p in parameters.items() if at.component.station == 0)
    assert len(parameters) == 4 * 87
    assert format_constraints(strategy, parameters) == (REFERENCE / "mp2con.txt").read_text()


def test_constraints_on_fixed_parameters_alone_are_left_out() -> None:
    strategy = load_strategy("ift-local")
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {})
    text = format_constraints(strategy, parameters)
    assert text.count("Constraint") == 3 * 3
    assert "  20001 " not in text


def test_what_is_short_of_hits_is_fixed_where_it_is(strategy: Strategy) -> None:
    strategy, step = strategy.model_copy(update={"rigid": False}), strategy.phases[0].steps[0]
    short = [strategy.places[label] for label in (20001, 20002, 201)]
    parameters = step_parameters(strategy, step, {}, short=short)
    for place in short:
        assert (parameters[place].value, parameters[place].is_free) == (0.0, False)
    assert parameters[strategy.places[20011]].is_free
    text = format_constraints(strategy, parameters)
    assert text == (REFERENCE / "mp2con.txt").read_text()


def test_no_sum_is_asked_of_a_layer_in_which_nothing_moves(strategy: Strategy) -> None:
    dead = Component(1, 0)
    short = [place for place in strategy.places.values() if dead.contains(place.component)]
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {}, short=short)
    assert not any(p.is_free for at, p in parameters.items() if dead.contains(at.component))
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
    parameters = step_parameters(strategy, step, found, short=short)
    lone = parameters[members[0][1]]
    assert not lone.is_free
    assert sum(parameters[place].value for _, place in members) == pytest.approx(0.0, abs=1e-18)
    assert lone.value == pytest.approx(-1.5e-4)


def test_the_steering_file_names_files_then_options_then_method() -> None:
    texts = ["mp2con_ss.txt", "mp2par_ss.txt"]
    text = format_steering("test", texts, ["../mille/a.bin", "b.bin"], steering_options(Pede()))
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


@pytest.mark.parametrize("name", shipped_names("strategies"))
def test_no_strategy_that_comes_with_us_says_what_every_steering_says(name: str) -> None:
    options = steering_options(load_strategy(name).pede)
    lines = format_steering(name, [], ["a.bin"], options).splitlines()
    assert len(set(lines)) == len(lines)


def test_a_name_that_pede_cannot_take_is_refused() -> None:
    with pytest.raises(InputError, match="1024"):
        format_steering("test", [], ["x" * 1025], [])


def test_an_empty_text_file_is_not_named(tmp_path: Path) -> None:
    texts = {"mp2con_ss.txt": "", "mp2par_ss.txt": "Parameter\n"}
    steering = write_step_files(tmp_path, Pede(), texts, ["a.bin"], "test")
    assert "mp2con_ss.txt" not in steering.read_text()
    assert "mp2par_ss.txt" in steering.read_text()
    assert (tmp_path / "mp2con_ss.txt").read_text() == ""


def prior(strategy: Strategy, knowledge: Knowledge) -> dict[tuple[int, ...], Combination]:
    """Return the measurements that pede will read, by their labels."""
    phase = strategy.phases[0]
    parameters = step_parameters(strategy, phase.steps[0], {})
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mp2pri_ss.txt"
        path.write_text(format_prior(strategy, phase, parameters, knowledge))
        read = read_text(path).measurements
    return {tuple(label for label, _ in each.terms): each for each in read}


def test_the_prior_pulls_the_total_to_where_the_alignment_began() -> None:
    knowledge = Knowledge({"10": (0, 0.1, 0, 0, 0, 0)}, {"10": (0, 0.35, 0, 0.002, 0, 0)})
    found = prior(load_strategy("3st"), knowledge)
    assert found[202,].value == pytest.approx(-0.25)
    assert found[202,].sigma == 0.3
    assert (found[203,].value, found[203,].sigma) == (-0.002, 0.003)
    assert found[201,].terms == ((201, 1.0),)


def test_the_prior_knows_a_module_by_the_x_of_its_two_sides() -> None:
    knowledge = Knowledge({}, {"101": (0.01, 0.2, 0, 0, 0, 0.001)})
    strategy = load_strategy("3st")
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {})
    text = format_prior(strategy, strategy.phases[0], parameters, knowledge)
    x, y = "Measurement -0.01 0.3\n  20101 0.5\n  20111 0.5\n", "Measurement -0.2 0.3\n"
    assert x in text
    # module 1 has the negative stereo angle: y = (x0 - x1) / 40 mrad
    assert y + "  20101 25.0\n  20111 -25.0\n" in text
    assert "Measurement -0.001 0.003\n  20102 1.0\n" in text


def test_in_a_line_of_the_prior_what_moves_stands_last() -> None:
    """Pede before V04-15-00 takes what stands before a label for the whole sum."""
    strategy = load_strategy("3st").model_copy(update={"rigid": False})
    short = [strategy.places[20111]]
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {}, short=short)
    text = format_prior(strategy, strategy.phases[0], parameters, Knowledge({}, {}))
    assert "  20111 0.5\n  20101 0.5\n" in text


def test_what_a_step_fixes_has_no_prior() -> None:
    found = prior(load_strategy("ift-global"), Knowledge({}, {}))
    layers = [101, 102, 103, 104, 105, 111, 112, 113, 114, 115, 121, 122, 123, 124, 125]
    assert set(found) == {(label,) for label in layers}
    assert (found[101,].sigma, found[103,].sigma) == (2.0, 0.05)


def test_the_sum_of_a_layers_modules_in_y_is_one_of_differences_of_sides() -> None:
    strategy = load_strategy("3st")
    parameters = step_parameters(strategy, strategy.phases[0].steps[0], {})
    text = format_constraints(strategy, parameters)
    assert text.count("Constraint") == 3 * 9
    assert "  20001 -1.0\n  20011 1.0\n  20101 1.0\n  20111 -1.0\n" in text


@settings(max_examples=20, deadline=None)
@given(st.floats(-10, 10), st.floats(-0.5, 0.5))
def test_the_built_in_solver_reads_what_is_written(shift: float, rotation: float) -> None:
    strategy = load_strategy(TWO_STEPS)
    found = {201: shift, 205: rotation}
    parameters = step_parameters(strategy, strategy.phases[0].steps[1], found)
    with tempfile.TemporaryDirectory() as name:
        texts = {
            "mp2con_ss.txt": format_constraints(strategy, parameters),
            "mp2par_ss.txt": format_parameters(parameters.values()),
        }
        write_step_files(Path(name), strategy.pede, texts, ["a.bin"], "test")
        read = read_text(Path(name) / "mp2par_ss.txt").parameters
        constraints = read_text(Path(name) / "mp2con_ss.txt").constraints
    assert read == tuple(parameters.values())
    assert len(constraints) == 2 * 9
