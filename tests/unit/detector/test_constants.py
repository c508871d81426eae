from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_iter.detector.constants import (
    EXAMPLE,
    Change,
    Constants,
    accumulate,
    changes,
    check_limits,
    format_constants,
    parse_constants,
    read_constants,
    read_text,
)
from auto_iter.detector.constants_table import difference, format_difference, format_table
from auto_iter.detector.constants_yaml import format_yaml
from auto_iter.detector.labels import Component, Parameter, Scheme, components
from auto_iter.errors import InputError, PhysicsError
from auto_iter.millepede.pede.result_files import read_result

REFERENCE = Path(__file__).parents[2] / "data/kfalignment"
KEYS = sorted({component.key for component in components(range(4))})


@pytest.mark.parametrize("name", ["clean", "dirty"])
def test_new_constants_are_those_of_the_tools_in_use_byte_for_byte(name: str) -> None:
    moved = changes(read_result(REFERENCE / name / "millepede.res").values(), Scheme())
    new = accumulate(read_constants(REFERENCE / name / "previous.txt"), moved)
    assert format_constants(new) == (REFERENCE / name / "inputforalign.txt").read_text()


@pytest.mark.parametrize(("module", "sign"), [(0, 1), (1, -1), (2, 1), (3, -1), (4, -1), (7, 1)])
def test_two_sides_give_x_and_y_of_their_module(module: int, sign: int) -> None:
    label = 20001 + module * 100
    moved = changes([Parameter(label, 0.01), Parameter(label + 10, 0.03)], Scheme())
    values = {change.parameter: change.value for change in moved}
    assert values["x"] == pytest.approx(0.02)
    assert values["y"] == pytest.approx(sign * 0.5)


def test_uncertainties_of_two_sides_are_propagated() -> None:
    sides = [Parameter(20001, 0.0, 0.05, 0.0, 0.003), Parameter(20011, 0.0, 0.05, 0.0, 0.004)]
    alone = {c.parameter: c.sigma for c in changes(sides, Scheme())}
    assert alone["x"] == pytest.approx(0.0025)
    assert alone["y"] == pytest.approx(0.005 / 0.04)
    covariance = {(20001, 20011): 1.2e-5, (20011, 20001): 1.2e-5}
    together = {c.parameter: c.sigma for c in changes(sides, Scheme(), covariance)}
    assert together["x"] == pytest.approx(0.0035)
    assert together["y"] == pytest.approx(0.001 / 0.04)


def test_fixed_parameters_have_neither_uncertainty_nor_pull() -> None:
    (change,) = changes([Parameter(211, 0.1, -1.0)], Scheme())
    assert (change.is_free, change.sigma, change.pull) == (False, None, None)


@pytest.mark.parametrize(
    ("label", "scheme", "key", "parameter"),
    [
        (203, Scheme(), "10", "rx"),
        (203, Scheme(layer_z=True), "10", "z"),
        (34, Scheme(stations=True), "2", "rx"),
        (20012, Scheme(modules="all"), "100", "y"),
    ],
)
def test_labels_move_these_constants(label: int, scheme: Scheme, key: str, parameter: str) -> None:
    (change,) = changes([Parameter(label, 0.1)], scheme)
    assert (change.key, change.parameter) == (key, parameter)


constants = st.dictionaries(
    st.sampled_from(KEYS),
    st.tuples(*[st.floats(-1e3, 1e3).map(lambda value: float(f"{value:.6g}"))] * 6),
)


@given(constants)
def test_what_is_written_is_read_back(values: Constants) -> None:
    text = format_constants(values)
    assert "\n" not in text
    assert parse_constants(text) == values


def test_an_empty_file_means_no_constants(tmp_path: Path) -> None:
    (tmp_path / "inputforalign.txt").touch()
    assert read_constants(tmp_path / "inputforalign.txt") == {}
    assert format_constants({}) == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('"10": [1, 2, 3, 4, 5]', "key '10' needs 6 numbers"),
        ('"10": [NaN, 0, 0, 0, 0, 0]', "key '10': x is nan"),
        ('"10": [0, 0, 0, 0, 0, -Infinity]', "key '10': rz is -inf"),
        ('"10": [0, 0, 0, 0, true, 0]', "key '10': ry is True"),
        ('"47": [0, 0, 0, 0, 0, 0]', "key '47'"),
        ('"10": [0, 0, 0, 0, 0, 0],"10": [0, 0, 0, 0, 0, 0]', "'10' comes twice"),
        ('"10": [0, 0, 0', "column"),
        ('"10": [1' + "0" * 400 + ", 0, 0, 0, 0, 0]", "key '10': x is inf"),
        ("garbage", "column 1"),
        ("[" * 100_000, "no alignment constants"),
    ],
)
def test_bad_constants_are_refused_with_file_and_key(
    tmp_path: Path, text: str, message: str
) -> None:
    path = tmp_path / "inputforalign.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        read_constants(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [EXAMPLE, "{" + EXAMPLE + "}", EXAMPLE + ",\n"])
def test_what_the_remedy_shows_is_accepted_and_reaches_the_jobs_bare(
    tmp_path: Path, text: str
) -> None:
    with pytest.raises(InputError) as refused:
        parse_constants("garbage")
    assert f" {EXAMPLE} " in refused.value.remedy
    path = tmp_path / "inputforalign.txt"
    path.write_text(text)
    assert read_constants(path) == parse_constants(EXAMPLE)
    assert len(read_constants(path)) == 2
    assert read_text(path) == EXAMPLE


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"c\.txt"):
        read_constants(tmp_path / "c.txt")


@pytest.mark.parametrize(
    ("value", "parameter", "message"),
    [(5.1, "y", "max_shift_mm"), (-0.11, "rx", "max_rotation_rad"), (math.nan, "x", "finite")],
)
def test_changes_beyond_belief_are_refused(value: float, parameter: str, message: str) -> None:
    change = Change("103", parameter, value, None, is_free=True)
    with pytest.raises(PhysicsError, match=message) as caught:
        check_limits(accumulate({}, [change]), [change], 5.0, 0.1)
    assert Component(1, 0, 3).name in str(caught.value)


def test_changes_within_limits_are_accepted() -> None:
    change = Change("103", "y", -4.9, None, is_free=True)
    check_limits(accumulate({}, [change]), [change], 5.0, 0.1)


def test_the_yaml_twin_holds_value_uncertainty_and_change() -> None:
    moved = changes([Parameter(205, 0.001, 0.005, 0.001, 0.0002)], Scheme())
    text = format_yaml(accumulate({"10": (0.5, 0, 0, 0, 0, 0.002)}, moved), moved)
    import yaml

    assert yaml.safe_load(text) == {
        "10": {
            "x": {"value": 0.5},
            "rz": {"value": 0.003, "uncertainty": 0.0002, "change": 0.001},
        }
    }


def test_the_yaml_twin_of_no_constants_is_empty() -> None:
    import yaml

    assert yaml.safe_load(format_yaml({}, [])) == {}


def test_tables_show_micrometres_and_milliradians() -> None:
    table = format_table({"10": (0.1, 0, 0, 0.002, 0, 0)})
    assert "station 1 layer 0" in table
    assert "100.000" in table
    assert "2.000" in table


def test_a_difference_counts_missing_keys_as_zero() -> None:
    result = difference(
        {"10": (1.0, 0, 0, 0, 0, 0), "11": (0.0,) * 6}, {"12": (0, 2.0, 0, 0, 0, 0)}
    )
    assert result == {"10": (-1.0, 0, 0, 0, 0, 0), "12": (0, 2.0, 0, 0, 0, 0)}
    assert "largest y: 2000.000 µm (station 1 layer 2)" in format_difference(result)
    assert format_difference({}) == "no difference"
