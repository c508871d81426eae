"""Steering, constraint and parameter files: pede's loose reading, and errors that name lines."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_iter.detector.labels import Parameter
from auto_iter.errors import InputError
from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.steering.reader import (
    Combination,
    read_steering,
    read_text,
)
from auto_iter.millepede.steering.text import is_text_name, matches, parse_line
from auto_iter.millepede.steering.writer import (
    format_combinations,
    format_parameters,
    format_steering,
)

OPTIONS: dict[str, dict[str, object]] = {
    "chisqcut 30. 6.": {"chi2_cut": 30.0, "chi2_cut_second": 6.0},
    "chisqcut": {"chi2_cut": 1.0, "chi2_cut_second": 1.0},
    "chisqcut 0.5 5": {"chi2_cut": -1.0, "chi2_cut_second": 5.0},
    "chisqcut 4 9": {"chi2_cut": 4.0, "chi2_cut_second": 4.0},
    "CHISQCUT 3": {"chi2_cut": 3.0, "chi2_cut_second": 1.0},
    "chisqkut 3": {"chi2_cut": 3.0},
    "hugecut 0.1": {"huge_cut": 1.0},
    "outlierdownweighting 1": {"down_weighting": 2},
    "outlierdownweighting 4": {"down_weighting": 4},
    "dwfractioncut 0.9": {"down_weight_cut": 0.5},
    "entries 50 5 2": {"entries": 50, "accepted_entries": 5, "iterate_entries": 100},
    "presigma 1.D-3": {"default_presigma": 0.001},
    "regularisation 2 0.1": {
        "regularise": True,
        "regularisation": 2.0,
        "default_presigma": 0.1,
    },
    "regularization 1.0": {"regularise": True, "regularisation": 1.0},
    "printcounts": {"print_counts": 1},
    "threads 4 2": {},
    "closeandreopen": {},
    "method inversion 5 0.1": {"method": "inversion", "iterations": 5, "convergence": 0.1},
    "method diagonalisation 3 0.01": {"method": "diagonalization"},
    "method fullMINRES-QLP 2 0.01": {"method": "fullMINRES-QLP"},
    "withmultipliers": {"elimination": False},
    "scaleerrors 1.5": {"scale_global": 1.5, "scale_local": 1.5},
    "! method inversion": {"method": "sparseMINRES"},
    "subito ! only one step": {"subito": True},
}


@pytest.mark.parametrize("text", OPTIONS)
def test_a_keyword_sets_its_option(tmp_path: Path, text: str) -> None:
    path = tmp_path / "options.txt"
    path.write_text(text + "\n")
    options = read_text(path).options
    for name, value in OPTIONS[text].items():
        assert getattr(options, name) == value


def test_the_last_method_wins(tmp_path: Path) -> None:
    path = tmp_path / "options.txt"
    path.write_text("method diagonalization 3 0.1\nmethod inversion 4 0.2\n")
    options = read_text(path).options
    assert (options.method, options.iterations, options.convergence) == ("inversion", 4, 0.2)


def test_a_switch_holds_for_the_binaries_after_it(tmp_path: Path) -> None:
    for name in ("one.bin", "two.bin", "three.bin", "par.txt"):
        (tmp_path / name).write_text("Parameter\n 3 0.5 0.1\n" if name == "par.txt" else "")
    (tmp_path / "steer.txt").write_text(
        "* a comment\none.bin\nFortranfiles\npar.txt\n  two.bin -- 0.5\nCfiles\nthree.bin\nend\nbad"
    )
    steering = read_steering(Path("steer.txt"), tmp_path)
    found = [(b.path.name, b.fortran, b.weight) for b in steering.binaries]
    assert found == [("one.bin", False, 1.0), ("two.bin", True, 0.5), ("three.bin", False, 1.0)]
    assert steering.parameters == (Parameter(3, 0.5, 0.1),)


ABORTS = {
    "no_such.bin\n": (13, "steer.txt:1: `no_such.bin` is neither a keyword nor a file"),
    "here.bin\nfoobar 3\n": (13, "steer.txt:2: `foobar 3`"),
    "method inversion 1 0.1\n": (14, "names no Mille binary"),
}


@pytest.mark.parametrize("text", ABORTS)
def test_what_pede_aborts_on_has_its_code_and_line(tmp_path: Path, text: str) -> None:
    code, message = ABORTS[text]
    (tmp_path / "here.bin").write_bytes(b"")
    (tmp_path / "steer.txt").write_text(text)
    with pytest.raises(PedeAbortError, match=message) as caught:
        read_steering(Path("steer.txt"), tmp_path)
    assert caught.value.pede_code == code


REFUSALS = {
    "Parameter\n 1 0.5\n": "bad.txt:2: a parameter needs label, value and presigma",
    "Parameter\n 1.5 0 1\n": "bad.txt:2: 1.5 is no label",
    "Constraint 0\n 5000000000 1.0\n": r"bad.txt:2: 5e\+09 is no label",
    "Constraint\n": "bad.txt:1: a constraint needs its value",
    "Constraint 0\n 1 1.0 2\n": "bad.txt:2: labels and factors come in pairs",
    "Measurement 0.1\n": "bad.txt:1: a measurement needs its value and its sigma",
    "Measurement 0 1\nMeasurement 0 2\n 1 1.0\n": "bad.txt:1: a measurement without a label",
    "Measurement 0 1\n 7 0.0\n": "bad.txt:1: a measurement without a label",
    "1 2 3\n": "bad.txt:1: numbers that belong to no section",
    "checkinput\n": "bad.txt:1: `checkinput` is not supported",
    "postprocessing ls\n": "bad.txt:1: `postprocessing` is not supported",
    "Parameter\n 1 1e39 0\n": r"bad.txt:2: 1e\+39 is too large",
    "outlierdownweighting 5000\n": "bad.txt:1: 5000 iterations of down-weighting",
    "presigma\n": "bad.txt:1: `presigma` needs a number",
}


@pytest.mark.parametrize("text", REFUSALS)
def test_what_would_be_misread_is_refused_with_its_line(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text)
    with pytest.raises(InputError, match=REFUSALS[text]):
        read_text(path)


@pytest.mark.parametrize(
    ("text", "method", "iterations", "notes"),
    [
        ("method MINRES 5 0.001\n", "sparseMINRES", 5, 1),
        ("method inversion 3 0.1\nmethod magic 2 0.001\n", "inversion", 2, 1),
        ("method MINRES 3 0.1\nmethod diagonalization 3 0.001\n", "diagonalization", 3, 1),
        ("method unpackedLAPACK 3 0.1\n", "unpackedLAPACK", 3, 0),
        ("method diagonalisation 3 0.1\n", "diagonalization", 3, 0),
    ],
)
def test_a_method_that_pede_does_not_know_changes_no_method(
    tmp_path: Path, text: str, method: str, iterations: int, notes: int
) -> None:
    (tmp_path / "mp.bin").write_bytes(b"")
    (tmp_path / "steer.txt").write_text(f"Cfiles\nmp.bin\n{text}")
    steering = read_steering(Path("steer.txt"), tmp_path)
    assert (steering.options.method, steering.options.iterations) == (method, iterations)
    assert len(steering.notes) == notes


labels = st.integers(1, 10**8)
values = st.floats(-1e10, 1e10)
factors = values.filter(bool)


@given(st.lists(st.builds(Parameter, labels, values, values), max_size=5))
def test_parameters_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, parameters: list[Parameter]
) -> None:
    path = tmp_path_factory.mktemp("par") / "par.txt"
    path.write_text(format_parameters(parameters))
    assert read_text(path).parameters == tuple(parameters)


combinations = st.builds(
    Combination,
    values,
    st.floats(0.001, 10),
    st.lists(st.tuples(labels, factors), max_size=4).map(tuple),
)


with_labels = combinations.filter(lambda combination: bool(combination.terms))


@given(st.lists(combinations, max_size=3), st.lists(with_labels, max_size=3))
def test_constraints_and_measurements_are_read_back(
    tmp_path_factory: pytest.TempPathFactory,
    constraints: list[Combination],
    measurements: list[Combination],
) -> None:
    path = tmp_path_factory.mktemp("con") / "con.txt"
    path.write_text(
        format_combinations("Constraint", constraints)
        + format_combinations("Measurement", measurements)
    )
    read = read_text(path)
    assert [(c.value, c.sigma, c.terms) for c in read.constraints] == [
        (c.value, c.sigma, c.terms) for c in constraints
    ]
    assert [(m.value, m.sigma, m.terms) for m in read.measurements] == [
        (m.value, m.sigma, m.terms) for m in measurements
    ]


def test_a_written_steering_file_is_read_back(tmp_path: Path) -> None:
    (tmp_path / "con.txt").write_text("Constraint 1.0\n 3 1.0\n")
    (tmp_path / "mp.bin").write_bytes(b"")
    text = format_steering("3ST", ["con.txt"], ["mp.bin"], ["method inversion 3 0.1"])
    (tmp_path / "steer.txt").write_text(text)
    steering = read_steering(Path("steer.txt"), tmp_path)
    assert [b.fortran for b in steering.binaries] == [False]
    assert steering.constraints[0].terms == ((3, 1.0),)


@pytest.mark.parametrize(
    ("word", "keyword", "agrees"),
    [
        ("Regularisation", "regularization", True),
        ("constraints", "constraint", True),
        ("param", "parameter", False),
        ("entries", "printrecord", False),
        ("METHOD", "method", True),
    ],
)
def test_keywords_match_to_four_fifths(word: str, keyword: str, agrees: bool) -> None:
    assert matches(word, keyword) is agrees


@pytest.mark.parametrize(
    ("name", "is_text"), [("a.txt", True), ("steer.TXT", True), ("mp2.bin", False), ("b.tx", True)]
)
def test_text_files_are_known_by_name(name: str, is_text: bool) -> None:
    assert is_text_name(name) is is_text


def test_numbers_are_read_as_fortran_writes_them() -> None:
    line = parse_line(Path("x"), 1, "  12  -.5 1.D-2 +3. 1e2 ! 7")
    assert line.numbers == (12.0, -0.5, 0.01, 3.0, 100.0)
