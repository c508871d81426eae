from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_iter.errors import UsageError
from auto_iter.rawfiles import (
    RawRange,
    describe_missing,
    missing,
    parse_run,
    parse_year,
    raw_path,
)

firsts = st.integers(0, 99_998)


@given(firsts, st.integers(1, 500), st.sampled_from("-:"))
def test_a_range_excludes_its_end(first: int, length: int, separator: str) -> None:
    stop = min(first + length, 100_000)
    files = RawRange.parse(f"{first:05d}{separator}{stop}")
    assert list(files) == list(range(first, stop))
    assert len(files) == stop - first


@given(firsts, st.integers(1, 500))
def test_the_name_of_a_range_is_read_back_as_the_same_range(first: int, length: int) -> None:
    files = RawRange(first, min(first + length, 100_000))
    assert RawRange.parse(files.text) == files


@pytest.mark.parametrize(
    ("text", "name", "summary"),
    [
        ("400", "400", "1 raw file, 00400"),
        ("00400", "400", "1 raw file, 00400"),
        ("400-450", "400-450", "50 raw files, 00400 to 00449"),
        ("400:450", "400-450", "50 raw files, 00400 to 00449"),
        ("400-401", "400", "1 raw file, 00400"),
        ("99999", "99999", "1 raw file, 99999"),
        ("99998-100000", "99998-100000", "2 raw files, 99998 to 99999"),
    ],
)
def test_a_range_is_named_and_summarised(text: str, name: str, summary: str) -> None:
    files = RawRange.parse(text)
    assert (files.text, files.summary) == (name, summary)


@pytest.mark.parametrize(
    "text",
    ["", "x", "450-400", "400-400", "400-", "-400", "4e2", "400-4x0", "100000", "100000-100001",
     "400--450", "400-450-500", "4.5", "٤٠٠", "1" * 5000],
)  # fmt: skip
def test_a_range_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="raw files"):
        RawRange.parse(text)


@pytest.mark.parametrize(("text", "run"), [("011705", 11705), ("11705", 11705), (" 1 ", 1)])
def test_a_run_is_read_with_and_without_zeros(text: str, run: int) -> None:
    assert parse_run(text) == run


@pytest.mark.parametrize("text", ["", "r11705", "0117050", "-5", "0", "11 705", "1e4"])
def test_a_run_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="run"):
        parse_run(text)


@pytest.mark.parametrize("text", ["", "202", "20233", "1999", "twenty", "23"])
def test_a_year_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="year"):
        parse_year(text)


def test_raw_files_lie_where_the_experiment_puts_them() -> None:
    path = raw_path(Path("/eos/experiment/faser/raw"), parse_year("2023"), 11705, 400)
    assert str(path) == "/eos/experiment/faser/raw/2023/011705/Faser-Physics-011705-00400.raw"


def test_all_missing_files_are_listed_with_their_reasons(tmp_path: Path) -> None:
    for number, content in {400: b"raw", 401: b"", 403: b"raw"}.items():
        path = raw_path(tmp_path, 2023, 11705, number)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    raw_path(tmp_path, 2023, 11705, 404).mkdir()
    lost = missing(tmp_path, 2023, 11705, range(400, 408))
    assert [one.number for one in lost] == [401, 402, 404, 405, 406, 407]
    assert describe_missing(lost, 8) == (
        f"{tmp_path}/2023/011705: 6 of 8 raw files: "
        "00401 (empty); 00402 00405..00407 (not there); 00404 (unreadable: Is a directory)"
    )
