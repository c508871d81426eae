from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.errors import InputError
from auto_iter.millepede.pede.log import read_log
from auto_iter.millepede.pede.result_files import ResultLine, read_result, write_result

REFERENCE = Path(__file__).parents[2] / "data/kfalignment/clean"
HEADER = " Parameter   ! first 3 elements per line are significant (if used as input)\n"


def test_fixed_and_free_parameters_are_told_apart() -> None:
    found = read_result(REFERENCE / "millepede.res")
    assert len(found) == 261
    assert (found[211].is_free, found[211].sigma) == (False, None)
    assert found[201].is_free
    assert (found[201].value, found[201].sigma) == (0.26069e-3, 0.49887e-1)


def test_counts_are_no_changes_and_no_uncertainties(tmp_path: Path) -> None:
    """FASER's steering files say `printcounts`."""
    lines = {
        201: ResultLine(201, 0.5, -1.0, entries=0),
        202: ResultLine(202, 0.5, 0.05, change=0.25, entries=1234),
        203: ResultLine(203, 0.5, 0.05, change=0.25, sigma=0.125, entries=-8),
        204: ResultLine(204, 0.5, 0.05, change=0.25, sigma=0.125, correlation=0.9),
    }
    write_result(tmp_path, list(lines.values()))
    found = read_result(tmp_path / "millepede.res")
    for label, written in lines.items():
        assert (found[label].value, found[label].presigma) == (0.5, written.presigma)
        assert (found[label].change, found[label].sigma) == (written.change, written.sigma)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1"),
        ("201 0.1\n", "line 1"),
        (HEADER, "no parameters"),
        (HEADER + "  201\n", "line 2: label 201 has no value"),
        (HEADER + "  201 0.1 x\n", "line 2"),
        (HEADER + "  201 NaN 0.05\n", "label 201 is not finite"),
        (HEADER + "  201 0.1\n  201 0.2\n", "line 3: label 201 comes twice"),
    ],
)
def test_a_bad_result_is_refused_with_its_line(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "millepede.res"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_result(path)


def test_the_log_tells_records_and_chi2() -> None:
    figures = read_log(REFERENCE / "millepede.log")
    assert figures.records == 1092
    assert figures.ndf == 13100 - 233
    assert figures.chi2_ndf == pytest.approx(0.88186143692559715)


def test_rejects_are_counted_over_all_reasons(tmp_path: Path) -> None:
    (tmp_path / "millepede.log").write_text(
        " Data rejected in last iteration:   \n"
        "      1  (rank deficit/NaN)      0  (Ndf=0)      2  (huge)      7  (large)\n"
    )
    assert read_log(tmp_path / "millepede.log").rejects == 10


def test_a_missing_log_gives_zeros(tmp_path: Path) -> None:
    assert read_log(tmp_path / "millepede.log").chi2_ndf == 0
