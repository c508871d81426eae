"""What the built-in solver makes of files as users have them: flavours, damage, paths, cuts."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.mille.file import Flavour
from auto_iter.millepede.mille.records import Measurements, select_records
from auto_iter.millepede.solver.builtin import SolverResult, solve
from auto_iter.millepede.solver.chi2_cuts import chi2_limit_per_ndf
from auto_iter.millepede.solver.data_loop import LoopRequest
from tests.support.mille_writer import encode_records, write_file
from tests.support.tracks import (
    CONSTRAINTS,
    PLANES,
    Minimum,
    broken_lines,
    dense_minimum,
    ending,
    naive_loop,
    tracks,
    write_case,
)

INVERSION = "method inversion 3 0.001\nhugecut 1e9"
VALUES = (0.3, -0.2, 0.05)
"""Values of the three constraints, none of which the start values satisfy."""


def constrained(values: tuple[float, ...]) -> str:
    blocks = CONSTRAINTS.split("Constraint 0.0\n")[1:]
    return "".join(f"Constraint {v}\n{b}" for v, b in zip(values, blocks, strict=True))


def run(directory: Path, lines: list[str]) -> SolverResult:
    (directory / "steer.txt").write_text("\n".join([*lines, "end", ""]))
    return solve(Path("steer.txt"), directory=directory)


def assert_agrees(result: SolverResult, expected: Minimum) -> None:
    assert result.labels.tolist() == expected.labels
    np.testing.assert_allclose(result.values, expected.values, atol=1e-9)
    np.testing.assert_allclose(result.uncertainties, expected.uncertainties, rtol=1e-6)


def test_mixed_flavours_make_the_same_fit_as_all_tracks_at_once(tmp_path: Path) -> None:
    m = tracks(240, 21)
    first, second, third, fourth = (
        select_records(m, part) for part in np.array_split(np.arange(240), 4)
    )
    write_file(tmp_path / "one.bin", first, Flavour())
    write_file(tmp_path / "two.dat", second, Flavour(fortran=True))
    write_file(tmp_path / "three.bin.gz", third, Flavour(), compress=True)
    write_file(tmp_path / "four", fourth, Flavour(double=True))
    (tmp_path / "con.txt").write_text(constrained(VALUES))
    files = ["Cfiles", "one.bin", "four", "con.txt", "fortranfiles", "two.dat", "CFILES"]
    result = run(tmp_path, [*files, "three.bin.gz ! compressed", INVERSION])
    assert_agrees(result, dense_minimum([(m, 1.0)], VALUES))
    assert result.records == 240


@pytest.mark.parametrize("options", ["", "localfit 0 1", "scaleerrors 2 0.5"])
def test_broken_lines_with_many_local_parameters_are_fitted(tmp_path: Path, options: str) -> None:
    m = broken_lines(60, 30)
    write_case(tmp_path, [m], "")
    result = run(tmp_path, ["con.txt", "Cfiles", "part0.bin", INVERSION, options])
    if options.startswith("scale"):
        with_globals = np.diff(m.global_first) > 0
        m = replace(m, sigma=m.sigma * np.where(with_globals, 2.0, 0.5))
    assert_agrees(result, dense_minimum([(m, 1.0)], (0.0, 0.0, 0.0)))
    assert result.ndf == 60 * (22 - 16) - 16 + 3


def test_files_count_with_their_weights(tmp_path: Path) -> None:
    parts = [tracks(120, 22), tracks(80, 23)]
    write_case(tmp_path, parts, "")
    lines = ["con.txt", "Cfiles", "part0.bin -- 0.25", "part1.bin -- 2 % twice", INVERSION]
    expected = dense_minimum([(parts[0], 0.25), (parts[1], 2.0)], (0.0, 0.0, 0.0))
    assert_agrees(run(tmp_path, lines), expected)


@pytest.mark.parametrize("options", ["", "withmultipliers", "nofeasiblestart"])
def test_start_values_and_presigmas_end_at_the_regularised_minimum(
    tmp_path: Path, options: str
) -> None:
    m = tracks(150, 24)
    pulls = {2: (0.02, 0.001), 5: (-0.1, 0.003), 14: (0.01, 0.0005)}
    text = "Parameter\n" + "".join(f" {k} {v} {s}\n" for k, (v, s) in pulls.items())
    write_case(tmp_path, [m], "", text=constrained(VALUES) + text)
    lines = ["con.txt", "Cfiles", "part0.bin", options, "regularisation 2.0 0.5", INVERSION]
    weights = dict.fromkeys((*range(1, 9), *range(11, 19)), 2.0 / 0.5**2)
    weights |= {k: 2.0 / s**2 for k, (_, s) in pulls.items()}
    assert_agrees(run(tmp_path, lines), dense_minimum([(m, 1.0)], VALUES, weights))


def test_a_measurement_adds_its_term_but_makes_up_for_no_data(tmp_path: Path) -> None:
    m = tracks(150, 25)
    text = CONSTRAINTS + "Measurement 0.4 0.0005\n 3 1.0\n"
    write_case(tmp_path, [m], "", text=text)
    accepted = int((m.global_label == 3).sum())
    lines = ["con.txt", "Cfiles", "part0.bin", INVERSION, f"entries 25 {accepted + 1}"]
    result = run(tmp_path, [*lines, "printcounts"])
    expected = dense_minimum([(m, 1.0)], (0.0, 0.0, 0.0), {3: 1 / 0.0005**2}, {3: 0.4})
    assert_agrees(result, expected)
    assert result.exit_code == 2
    line = (tmp_path / "millepede.res").read_text().splitlines()[3].split()
    assert int(line[-1]) == accepted + 1  # not marked: the measurement counts here


def test_too_few_accepted_entries_are_marked_by_negative_counts(tmp_path: Path) -> None:
    m = tracks(150, 25)
    write_case(tmp_path, [m], "")
    result = run(
        tmp_path, ["con.txt", "Cfiles", "part0.bin", INVERSION, "entries 25 1000", "printcounts"]
    )
    counts = [int(line.split()[-1]) for line in _lines(tmp_path)]
    assert counts == [-(n + 1) for n in result.entries.tolist()]


def _lines(directory: Path) -> list[str]:
    return (directory / "millepede.res").read_text().splitlines()[1:]


@pytest.mark.parametrize(
    ("lost", "flavour", "code", "records"),
    [
        (0, Flavour(), 0, 200),
        (-3, Flavour(), 0, 200),  # three bytes too many: pede sees an end
        (5, Flavour(), 18, 0),
        (5, Flavour(fortran=True), 0, 199),
    ],
)
def test_a_file_that_is_cut_ends_as_pede_ends(
    tmp_path: Path, lost: int, flavour: Flavour, code: int, records: int
) -> None:
    steering = write_case(tmp_path, [tracks(200, 6)], INVERSION, flavour=flavour)
    content = (tmp_path / "part0.bin").read_bytes()
    changed = content[:-lost] if lost > 0 else content + bytes(-lost)
    (tmp_path / "part0.bin").write_bytes(changed)
    ended, result = ending(steering, tmp_path)
    assert ended == code
    if not isinstance(result, PedeAbortError):
        assert result.records == records
        assert (lost == 0) == (not result.warnings)


def test_read_errors_end_the_file_on_request_with_code_4(tmp_path: Path) -> None:
    steering = write_case(tmp_path, [tracks(200, 6)], INVERSION + "\nreaderroraseof")
    content = (tmp_path / "part0.bin").read_bytes()
    (tmp_path / "part0.bin").write_bytes(content[:-5])
    result = solve(steering, directory=tmp_path)
    assert (result.exit_code, result.records) == (4, 199)


def test_an_empty_binary_beside_a_good_one_changes_nothing(tmp_path: Path) -> None:
    m = tracks(100, 8)
    write_case(tmp_path, [m], "")
    (tmp_path / "empty.bin").write_bytes(b"")
    lines = ["con.txt", "Cfiles", "empty.bin", "part0.bin", INVERSION]
    assert_agrees(run(tmp_path, lines), dense_minimum([(m, 1.0)], (0.0, 0.0, 0.0)))


def test_windows_line_ends_and_another_directory_are_no_obstacle(tmp_path: Path) -> None:
    m = tracks(100, 8)
    data, work = tmp_path / "data", tmp_path / "work"
    data.mkdir()
    work.mkdir()
    write_case(data, [m], "")
    text = (data / "con.txt").read_text()
    (data / "con.txt").write_bytes(text.replace("\n", "\r\n").encode())
    lines = ["* by hand", "../data/con.txt", "Cfiles", "../data/part0.bin", INVERSION, "end", "?"]
    (data / "steer.txt").write_bytes("\r\n".join(lines).encode())
    result = solve(Path("../data/steer.txt"), directory=work)
    assert_agrees(result, dense_minimum([(m, 1.0)], (0.0, 0.0, 0.0)))
    assert (work / "millepede.res").exists()


@pytest.mark.parametrize(
    ("line", "code", "told"),
    [
        ("nowhere.bin", 13, "nowhere.bin` is neither a keyword nor a file that exists"),
        ("part0.bin -- x", 0, ""),
        ("maxrecord -5\npart0.bin", 0, ""),
    ],
)
def test_lines_that_name_files_end_as_pede_ends(
    tmp_path: Path, line: str, code: int, told: str
) -> None:
    write_case(tmp_path, [tracks(60, 1)], "")
    lines = ["con.txt", "Cfiles", *line.split("\n"), INVERSION, "end", ""]
    (tmp_path / "steer.txt").write_text("\n".join(lines))
    ended, result = ending(Path("steer.txt"), tmp_path)
    assert ended == code
    assert told in str(result)


def test_only_the_first_records_are_used_on_request(tmp_path: Path) -> None:
    m = tracks(200, 9)
    write_case(tmp_path, [m, tracks(50, 10)], "")
    lines = ["con.txt", "Cfiles", "part0.bin", "part1.bin", INVERSION, "maxrecord 120"]
    first = select_records(m, np.arange(120))
    assert_agrees(run(tmp_path, lines), dense_minimum([(first, 1.0)], (0.0, 0.0, 0.0)))


def test_minres_leaves_what_the_data_do_not_fix(tmp_path: Path) -> None:
    """Without constraints two combinations are open; pede's MINRES says nothing of a defect."""
    m = tracks(300, 4)
    write_case(
        tmp_path, [m], "", text="Parameter\n" + "".join(f" {k} 0 -1\n" for k in range(11, 19))
    )
    result = run(tmp_path, ["con.txt", "Cfiles", "part0.bin", "method MINRES 3 0.001"])
    assert result.exit_code == 0
    free = result.values[:PLANES]
    assert result.data_hessian is not None
    weights = np.diag(result.data_hessian)
    # least norm in the metric of the diagonal: nothing along shift and shear
    moments = [abs(float(weights @ (free * z))) for z in (np.ones(8), np.arange(8) - 3.5)]
    assert max(moments) < 1e-6 * float(weights @ np.abs(free))
    np.testing.assert_allclose(result.data_hessian @ free, _gradient(m), rtol=1e-6, atol=1e-3)


def _gradient(m: Measurements) -> np.ndarray:
    request = LoopRequest(np.zeros(19), True, np.float32(0), np.float32(50), 0, np.float32(0))
    limits = {n: float(chi2_limit_per_ndf(3, np.array([n]))[0]) for n in range(1, 9)}
    gradient: np.ndarray = naive_loop(m, request, limits).gradient[1 : PLANES + 1]
    return gradient


def local_mess(m: Measurements) -> Measurements:
    """Make the first record's slope unmeasurable and keep two measurements of the second."""
    values = m.local_value.copy()
    values[1 : 2 * int(m.record_first[1]) : 2] = 0.0
    return replace(m, local_value=values)


def test_singular_local_fits_and_tracks_without_freedom_are_rejected(tmp_path: Path) -> None:
    m = tracks(150, 26)
    short = select_records(m, np.array([3]))
    short = replace(
        short,
        record_first=np.array([0, 2]),
        value=short.value[:2],
        sigma=short.sigma[:2],
        local_first=short.local_first[:3],
        local_index=short.local_index[:4],
        local_value=short.local_value[:4],
        global_first=short.global_first[:3],
        global_label=short.global_label[:4],
        global_value=short.global_value[:4],
    )
    write_case(tmp_path, [local_mess(m), short], "")
    lines = ["con.txt", "Cfiles", "part0.bin", "part1.bin", INVERSION]
    result = run(tmp_path, lines)
    good = select_records(m, np.arange(1, 150))
    assert_agrees(result, dense_minimum([(good, 1.0)], (0.0, 0.0, 0.0)))
    assert (result.rejects, result.exit_code) == (2, 1)
    log = (tmp_path / "millepede.log").read_text()
    assert "1  (rank deficit/NaN)            1  (Ndf=0)" in log


def test_a_local_index_beyond_reason_rejects_its_record_alone(tmp_path: Path) -> None:
    """Taken at its word, it would ask for a matrix larger than any memory."""
    m = tracks(250, 27)
    index = m.local_index.copy()
    index[0] = 2_000_000_000
    write_case(tmp_path, [replace(m, local_index=index)], "")
    result = run(tmp_path, ["con.txt", "Cfiles", "part0.bin", INVERSION])
    good = select_records(m, np.arange(1, 250))
    assert_agrees(result, dense_minimum([(good, 1.0)], (0.0, 0.0, 0.0)))
    assert result.rejects == 1


@pytest.mark.parametrize("where", ["value", "local_value", "global_value"])
def test_an_infinite_value_rejects_its_record_alone(tmp_path: Path, where: str) -> None:
    m = tracks(250, 27)
    write_case(tmp_path, [m], "")
    getattr(m, where)[0] = np.inf
    (tmp_path / "part0.bin").write_bytes(encode_records(m, Flavour(double=True)))
    result = run(tmp_path, ["con.txt", "Cfiles", "part0.bin", INVERSION])
    good = select_records(m, np.arange(1, 250))
    assert_agrees(result, dense_minimum([(good, 1.0)], (0.0, 0.0, 0.0)))
    assert result.rejects == 1


def test_the_entries_cut_is_iterated_over_measurements_with_fixed_labels(tmp_path: Path) -> None:
    m = tracks(100, 28)
    labels = m.global_label.copy()
    few = np.flatnonzero(labels == 14)[20:]
    labels[few] = 31  # a label of its own for most of plane 4's scale: label 14 has 20 entries
    m = replace(m, global_label=labels)
    write_case(tmp_path, [m], "", text="")
    entries = {k: int((labels == k).sum()) for k in (4, 14, 31)}
    lines = ["Cfiles", "part0.bin", INVERSION, "entries 25 10 100", "force"]
    result = run(tmp_path, lines)
    assert entries[14] == 20
    # label 4 loses the 20 measurements that it shares with label 14, which is fixed
    again = entries[4] - 20
    assert (4 in result.variable.tolist()) == (again >= 25)
    assert 14 not in result.variable.tolist()
    assert 31 in result.variable.tolist()


def test_entries_can_be_counted_by_record(tmp_path: Path) -> None:
    one = tracks(30, 29)
    label = np.where(np.arange(len(one.global_label)) % 2 == 0, 1, 11).astype(np.int32)
    one = replace(one, global_label=label)
    write_case(tmp_path, [one], "", text="")
    lines = ["Cfiles", "part0.bin", INVERSION, "entries 40", "printcounts 2"]
    assert run(tmp_path, lines).variable.tolist() == [1, 11]
    with pytest.raises(PedeAbortError) as by_record:
        run(tmp_path, [*lines, "countrecords"])
    assert by_record.value.pede_code == 22
