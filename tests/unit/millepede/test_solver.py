"""The built-in solver on small detectors: against plain fits, invariances, endings."""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_iter.errors import InputError
from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.mille.file import Flavour
from auto_iter.millepede.mille.records import Measurements, select_records
from auto_iter.millepede.pede.result_files import fortran_g
from auto_iter.millepede.solver.builtin import SolverResult, solve
from auto_iter.millepede.solver.chi2_cuts import chi2_limit_per_ndf
from auto_iter.millepede.solver.data_loop import LoopRequest, add_block, empty_sums
from auto_iter.millepede.solver.elimination import sweep_inverse
from auto_iter.millepede.solver.line_search import LineSearch
from auto_iter.millepede.solver.local_fit import independence
from tests.support.mille_writer import encode_records
from tests.support.tracks import CONSTRAINTS, PLANES, SIGMA, ending, naive_loop, tracks, write_case

INVERSION = "method inversion 3 0.001"
LIMITS = {n: float(chi2_limit_per_ndf(3, np.array([n]))[0]) for n in range(1, 101)}


def run(
    directory: Path, parts: list[Measurements], options: str = INVERSION, **how: object
) -> SolverResult:
    steering = write_case(directory, parts, options, **how)  # type: ignore[arg-type]  # passed on
    return solve(steering, directory=directory)


def request(**changes: object) -> LoopRequest:
    parameters = np.zeros(2 * PLANES + 3)
    parameters[1:9] = np.linspace(-0.05, 0.05, 8)
    defaults = {
        "parameters": parameters,
        "matrix": True,
        "chi2_cut": np.float32(0),
        "huge_cut": np.float32(50),
        "down_weighting": 0,
        "down_weight_cut": np.float32(0),
    }
    return LoopRequest(**(defaults | changes))  # type: ignore[arg-type]  # named as the fields are


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"chi2_cut": np.float32(3)},
        {"huge_cut": np.float32(2)},
        {"down_weighting": 2},
        {"down_weighting": 3, "chi2_cut": np.float32(1)},
        {"down_weighting": 5},
    ],
    ids=str,
)
def test_a_data_loop_equals_record_by_record_fits(changes: dict[str, object]) -> None:
    m = tracks(60, 5, outliers=0.1, quadratic=True)
    asked = request(**changes)
    sums = empty_sums(len(asked.parameters), matrix=True)
    add_block(sums, m, m.global_label, asked, 1.0)
    expected = naive_loop(m, asked, LIMITS)
    assert (sums.rejects.total, sums.ndf) == (expected.rejects, expected.ndf)
    assert sums.chi2 == pytest.approx(expected.chi2, rel=1e-7)
    np.testing.assert_allclose(sums.gradient, expected.gradient, rtol=1e-8, atol=1e-6)
    assert sums.matrix is not None
    np.testing.assert_allclose(sums.matrix, expected.matrix, rtol=1e-8, atol=1e-4)


def exact_minimum(m: Measurements) -> tuple[np.ndarray, np.ndarray]:
    """Minimum under CONSTRAINTS and its covariance, by bordering; labels 1-8 and 11-18."""
    sums = naive_loop(m, request(parameters=np.zeros(19)), LIMITS)
    used = np.array([*range(1, 9), *range(11, 19)])
    matrix = sums.matrix[np.ix_(used, used)]
    bound = np.zeros((3, 16))
    bound[0, :8], bound[1, :8], bound[2, 8:] = 1.0, np.arange(8) - 3.5, 1.0
    bordered = np.block([[matrix, bound.T], [bound, np.zeros((3, 3))]])
    inverse = np.linalg.inv(bordered)
    return (inverse @ np.append(sums.gradient[used], np.zeros(3)))[:16], inverse[:16, :16]


def test_values_and_covariance_are_those_of_the_constrained_minimum(tmp_path: Path) -> None:
    m = tracks(400, 7)
    result = run(tmp_path, [m], INVERSION + "\nhugecut 1e6")
    values, covariance = exact_minimum(m)
    np.testing.assert_allclose(result.values, values, atol=1e-9)
    np.testing.assert_allclose(result.uncertainties, np.sqrt(np.diag(covariance)), rtol=1e-6)
    np.testing.assert_allclose(result.covariance, covariance, rtol=1e-5, atol=1e-14)
    assert result.exit_code == 0


@pytest.mark.parametrize("options", ["", "withmultipliers\n", "method diagonalization 3 0.001\n"])
def test_constraints_hold_to_a_billionth(tmp_path: Path, options: str) -> None:
    result = run(tmp_path, [tracks(300, 8)], INVERSION + "\n" + options)
    value = dict(zip(result.labels.tolist(), result.values.tolist(), strict=True))
    sums = (
        sum(value[k + 1] for k in range(PLANES)),
        sum((k - 3.5) * value[k + 1] for k in range(PLANES)),
        sum(value[k + 11] for k in range(PLANES)),
    )
    assert max(map(abs, sums)) < 1e-9
    log = (tmp_path / "millepede.log").read_text()
    told = float(log.split("constraints are satisfied to ")[1].split()[0])
    assert told == pytest.approx(max(map(abs, sums)), abs=1e-15)


@given(st.integers(1, 5), st.integers(0, 99), st.floats(-4, 0))
def test_independence_is_what_the_others_do_not_explain(
    count: int, seed: int, exponent: float
) -> None:
    rng = np.random.default_rng(seed)
    rows, sigma = rng.normal(size=(count, 24)), rng.uniform(0.5, 2, 24)
    rows[-1, :12] = rows[: count - 1, :12].sum(axis=0) + 10**exponent * rows[-1, :12]
    found = independence(
        rows * 10.0 ** rng.integers(-9, 9, (count, 1)), sigma, np.array([0, 12, 24])
    )
    for record, part in enumerate((slice(0, 12), slice(12, 24))):
        columns = (rows[:, part] / sigma[part]).T
        alone = [
            np.linalg.lstsq(np.delete(columns, j, axis=1), columns[:, j])[1].sum()
            / np.sum(columns[:, j] ** 2)
            if count > 1
            else 1.0
            for j in range(count)
        ]
        assert found[record] == pytest.approx(min(alone), rel=1e-5)


CUTS = ("", "outlierdownweighting 3\n", "chisqcut 5 2\n", "presigma 0.05\nregularisation 1\n")


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 99), st.integers(1, 4), st.sampled_from(CUTS))
def test_order_of_records_and_splitting_over_files_change_nothing(
    seed: int, files: int, options: str
) -> None:
    m = tracks(150, 11, outliers=0.005)
    order = np.random.default_rng(seed).permutation(150)
    pieces = [select_records(m, part) for part in np.array_split(order, files)]
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as many:
        code, whole = ending(write_case(Path(one), [m], options + INVERSION), Path(one))
        code_split, split = ending(write_case(Path(many), pieces, options + INVERSION), Path(many))
    assert code == code_split
    if isinstance(whole, PedeAbortError) or isinstance(split, PedeAbortError):
        assert whole.rejects == split.rejects
        return
    assert whole.rejects == split.rejects
    np.testing.assert_allclose(split.values, whole.values, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(split.uncertainties, whole.uncertainties, rtol=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.floats(-0.3, 0.3))
def test_a_rigid_shift_of_the_detector_is_removed_by_the_constraints(shift: float) -> None:
    with tempfile.TemporaryDirectory() as here, tempfile.TemporaryDirectory() as there:
        at_home = run(Path(here), [tracks(200, 3)])
        moved = run(Path(there), [tracks(200, 3, shift=shift)])
    np.testing.assert_allclose(moved.values, at_home.values, atol=1e-5)


def test_the_misalignment_is_found(tmp_path: Path) -> None:
    result = run(tmp_path, [tracks(2000, 12)])
    true = np.random.default_rng(1).normal(0, 0.05, PLANES)
    z = np.arange(PLANES) - 3.5
    true -= true.mean() + z * (true @ z) / (z @ z)
    pulls = (result.values[:PLANES] - true) / result.uncertainties[:PLANES]
    assert np.abs(pulls).max() < 4
    assert 0.9 < result.chi2 / result.ndf < 1.1


def test_skipping_loops_that_cannot_differ_changes_nothing(tmp_path: Path) -> None:
    """Linear problems are followed with the matrix where no record can cross the huge cut."""
    text = CONSTRAINTS + "Parameter\n" + "".join(f" {k} 0.01 0.001\n" for k in range(1, 9))
    result = run(tmp_path, [tracks(300, 4)], INVERSION, text=text)
    log = (tmp_path / "millepede.log").read_text()
    loops = next(line for line in log.splitlines() if "of them through the data" in line)
    assert result.loops == 6
    assert int(loops.split(",")[1].split()[0]) < 6
    at_result = np.zeros(19)
    at_result[result.labels] = result.values
    sums = naive_loop(tracks(300, 4), request(parameters=at_result), LIMITS)
    assert result.chi2 == pytest.approx(sums.chi2, rel=1e-9)


def test_a_fixed_parameter_stays_and_has_no_uncertainty(tmp_path: Path) -> None:
    scale_only = "Constraint" + CONSTRAINTS.split("Constraint")[3]
    text = "Parameter\n 3 0.25 -1\n 4 0.125 -1\n" + scale_only
    result = run(tmp_path, [tracks(300, 4)], text=text)
    assert result.values[2:4].tolist() == [0.25, 0.125]
    assert np.isnan(result.uncertainties[2:4]).all()
    lines = (tmp_path / "millepede.res").read_text().splitlines()
    assert lines[3] == "         3     0.25000       -1.0000    "


def test_counts_and_correlations_are_printed_on_request(tmp_path: Path) -> None:
    result = run(tmp_path, [tracks(300, 4)], "printcounts\n" + INVERSION)
    first = (tmp_path / "millepede.res").read_text().splitlines()[1].split()
    assert int(first[5]) == result.entries[0] > 250
    result = run(tmp_path, [tracks(300, 4)], "globalcorr\n" + INVERSION)
    first = (tmp_path / "millepede.res").read_text().splitlines()[1].split()
    assert float(first[5]) == pytest.approx(result.global_correlations[0], abs=6e-4)


def test_a_measurement_pulls_a_parameter(tmp_path: Path) -> None:
    m = tracks(300, 4)
    free = run(tmp_path, [m])
    text = CONSTRAINTS + f"Measurement 1.0 {SIGMA / 100}\n 5 1.0\n"
    pulled = run(tmp_path, [m], INVERSION + "\nhugecut 1e9", text=text)
    assert free.values[4] < 0.2
    assert pulled.values[4] > 0.9
    assert pulled.entries[4] == free.entries[4] + 1


def test_measurements_of_several_labels_hold_at_the_minimum_however_many_steps(
    tmp_path: Path,
) -> None:
    m = tracks(300, 4)
    text = CONSTRAINTS + "Measurement 0.2 0.001\n 5 1.0\n 6 -0.5\n 12 2.0\n"
    once = run(tmp_path, [m], "linesearch 0\nhugecut 1e9\nmethod inversion 1 0.001", text=text)
    again = run(tmp_path, [m], INVERSION + "\nhugecut 1e9", text=text)
    other = run(
        tmp_path, [m], INVERSION + "\nhugecut 1e9",
        text=CONSTRAINTS + "Measurement 0.2 0.001\n 12 2.0\n 6 -0.5\n 5 1.0\n",
    )  # fmt: skip
    np.testing.assert_allclose(again.values, once.values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(other.values, once.values, rtol=1e-9, atol=1e-12)
    at = np.searchsorted(once.labels, [5, 6, 12])
    free, pulled = (each.values[at] @ [1.0, -0.5, 2.0] for each in (run(tmp_path, [m]), once))
    assert abs(pulled - 0.2) < 0.5 * abs(free - 0.2)


def test_the_weakest_mode_is_the_one_the_data_do_not_fix(tmp_path: Path) -> None:
    steering = write_case(tmp_path, [tracks(300, 4)], INVERSION)
    result = solve(steering, directory=tmp_path, weakest_modes=3, save_matrix=True)
    assert result.spectrum is not None
    weakest = [mode.components[:8] for mode in result.spectrum.weakest[:2]]
    basis, _ = np.linalg.qr(np.array([np.ones(8), np.arange(8) - 3.5]).T)
    for mode in weakest:
        along = basis @ (basis.T @ mode)
        assert np.linalg.norm(along) > 0.99 * np.linalg.norm(mode)
    assert result.spectrum.eigenvalues[0] >= result.spectrum.eigenvalues[-1]
    saved = np.load(tmp_path / "matrix.npz")
    assert saved["labels"].tolist() == result.variable.tolist()
    np.testing.assert_allclose(saved["hessian"], saved["hessian"].T, atol=1e-3)
    np.testing.assert_allclose(saved["covariance"], result.covariance)


DEPENDENT = "Constraint 0\n" + "".join(f" {k + 1} {1.5 * k - 0.3}\n" for k in range(PLANES))
ENDINGS = {
    "normally": (INVERSION, CONSTRAINTS, {}, 0),
    "errors too small": (INVERSION + "\nscaleerrors 0.5\nhugecut 1e9", CONSTRAINTS, {}, 1),
    "few accepted entries": (INVERSION + "\nentries 25 1000", CONSTRAINTS, {}, 2),
    "nothing fixes the position": (INVERSION, "", {}, 3),
    "dependent constraints": (INVERSION, CONSTRAINTS + DEPENDENT, {}, 3),
    "unknown keyword": (INVERSION + "\nnonsense", CONSTRAINTS, {}, 13),
    "flavour is not what it says": (INVERSION, CONSTRAINTS, {"lie": True}, 18),
    "not-a-number": (INVERSION, CONSTRAINTS, {"nan": True}, 20),
    "all below the entries cut": (INVERSION + "\nentries 9999", CONSTRAINTS, {}, 22),
    "too many rejects": (INVERSION + "\nchisqcut 1 1\nscaleerrors 0.1", CONSTRAINTS, {}, 26),
    "constraint on nothing": (INVERSION, CONSTRAINTS + "Constraint 0\n 99 1.0\n", {}, 27),
    "that constraint skipped": (
        INVERSION + "\nskipemptycons",
        CONSTRAINTS + "Constraint 0\n 99 1.0\n",
        {},
        1,
    ),
}


@pytest.mark.parametrize("name", ENDINGS)
def test_it_ends_with_pede_s_exit_code(tmp_path: Path, name: str) -> None:
    options, text, damage, code = ENDINGS[name]
    m = tracks(200, 6)
    steering = write_case(tmp_path, [m], options, text=text)
    if damage.get("nan"):
        m.value[7] = np.nan
        (tmp_path / "part0.bin").write_bytes(encode_records(m, Flavour(double=True)))
    if damage.get("lie"):
        (tmp_path / "part0.bin").write_bytes(encode_records(m, Flavour(fortran=True)))
    (tmp_path / "millepede.res").write_text("of an older run")
    ended, result = ending(steering, tmp_path)
    assert ended == code
    words = result.pede_text if isinstance(result, PedeAbortError) else result.text
    assert (tmp_path / "millepede.end").read_text().startswith(f" {code:4d}   {words}")
    assert (tmp_path / "millepede.res").exists() == (code < 10)
    assert (tmp_path / "millepede.log").read_text().count(f"exit code {code}") == (code != 13)


def without(m: Measurements, *, locals_: bool = False, globals_: bool = False) -> Measurements:
    """Drop all local or all global derivatives."""
    none, index, value = np.zeros(len(m.value) + 1, np.int64), np.empty(0, np.int32), np.empty(0)
    if locals_:
        m = replace(m, local_first=none, local_index=index, local_value=value)
    if globals_:
        m = replace(m, global_first=none, global_label=index, global_value=value)
    return m


@pytest.mark.parametrize(
    ("m", "text", "code"),
    [
        (without(tracks(40, 1), globals_=True), "", 21),
        (without(tracks(40, 1), globals_=True), CONSTRAINTS, 22),
        (without(tracks(40, 1), locals_=True), "", 28),
        (select_records(tracks(40, 1), np.empty(0, np.int64)), CONSTRAINTS, 22),
    ],
    ids=["no label", "labels in text alone", "no local parameters", "no record"],
)
def test_binaries_that_say_nothing_end_with_pede_s_exit_code(
    tmp_path: Path, m: Measurements, text: str, code: int
) -> None:
    assert ending(write_case(tmp_path, [m], INVERSION, text=text), tmp_path)[0] == code


def test_a_missing_steering_file_and_refusals_leave_an_ending(tmp_path: Path) -> None:
    assert ending(Path("nowhere.txt"), tmp_path)[0] == 16
    assert (tmp_path / "millepede.end").read_text().split()[0] == "16"
    steering = write_case(tmp_path, [tracks(5, 1)], "checkinput")
    with pytest.raises(InputError, match=r"steer\.txt:4: `checkinput` is not supported"):
        solve(steering, directory=tmp_path)
    assert "Aborted" in (tmp_path / "millepede.end").read_text()


def test_a_truncated_fortran_file_is_used_up_to_its_end_but_not_silently(tmp_path: Path) -> None:
    steering = write_case(tmp_path, [tracks(200, 6)], INVERSION, flavour=Flavour(fortran=True))
    content = (tmp_path / "part0.bin").read_bytes()
    (tmp_path / "part0.bin").write_bytes(content[:-8])
    result = solve(steering, directory=tmp_path)
    assert (result.exit_code, result.records) == (0, 199)
    assert any("truncated in record 200" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "    0.0000    "),
        (-1.0, "   -1.0000    "),
        (0.1, "   0.10000    "),
        (0.099999, "  0.99999E-01"),
        (0.0999999, "   0.10000    "),
        (2796.5, "    2796.5    "),
        (99999.4, "    99999.    "),
        (123456.0, "   0.12346E+06"),
        (-1e-12, "  -0.10000E-11"),
        (1e39, "Infinity"),
        (-np.inf, "-Infinity"),
        (np.nan, "NaN"),
    ],
)
def test_numbers_are_printed_as_fortran_prints_them(value: float, text: str) -> None:
    assert fortran_g(value).strip() == text.strip()
    assert len(fortran_g(value)) == 14


def test_the_line_search_finds_the_zero_of_a_linear_slope() -> None:
    search = LineSearch(slope_ratio=0.1, min_calls=3)
    position = 0.0
    for _ in range(5):
        position += search.advance(position * (position / 6 - 1), position / 3 - 1)
        if search.info >= 0:
            break
    assert search.info == 1
    assert position == pytest.approx(3.0)


def test_dependent_rows_are_dropped_from_an_inverse() -> None:
    full = np.array([[2.0, 1.0], [1.0, 3.0]])
    inverse, rank = sweep_inverse(full)
    np.testing.assert_allclose(inverse @ full, np.eye(2), atol=1e-12)
    assert rank == 2
    vectors = np.array([[1.0, 0, 2], [0, 1.0, 1], [1.0, 1, 3]])
    _, rank = sweep_inverse(vectors @ vectors.T)
    assert rank == 2


def test_limits_follow_the_three_sigma_table_and_fall_with_ndf() -> None:
    limits = chi2_limit_per_ndf(3, np.arange(1, 200))
    assert limits[0] == np.float32(9.0)
    assert all(a > b for a, b in itertools.pairwise(limits.tolist()))
    assert float(limits[99]) == pytest.approx(1.426, abs=5e-4)
