"""Mille binaries: every flavour comes back as written, and damage is named."""

from __future__ import annotations

import dataclasses
import gzip
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_iter.errors import InputError
from auto_iter.millepede.mille.file import Flavour, detect_flavour, read_blocks
from auto_iter.millepede.mille.records import Measurements, MilleError, decode
from auto_iter.millepede.mille.text import check, dump_lines
from tests.support.mille_writer import encode_records, write_file
from tests.support.tracks import tracks

FLAVOURS = [Flavour(fortran, double) for fortran in (False, True) for double in (False, True)]
PEDE = Path(__file__).parents[2] / "data" / "pede"

numbers = st.floats(-1e6, 1e6, width=32)
terms = st.lists(st.tuples(st.integers(1, 2**31 - 1), numbers), max_size=4)
small_terms = st.lists(st.tuples(st.integers(1, 9), numbers), min_size=1, max_size=4)
measurement = st.tuples(numbers, st.floats(2**-10, 2**10, width=32), small_terms, terms)
records = st.lists(st.lists(measurement, max_size=4), max_size=5)


Terms = list[tuple[int, float]]
Content = list[list[tuple[float, float, Terms, Terms]]]


def build(content: Content) -> Measurements:
    rows = [row for record in content for row in record]

    def offsets(sizes: list[int]) -> np.ndarray:
        return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)

    locals_ = [term for row in rows for term in row[2]]
    globals_ = [term for row in rows for term in row[3]]
    return Measurements(
        offsets([len(record) for record in content]),
        np.array([row[0] for row in rows], float),
        np.array([row[1] for row in rows], float),
        offsets([len(row[2]) for row in rows]),
        np.array([term[0] for term in locals_], np.int32),
        np.array([term[1] for term in locals_], float),
        offsets([len(row[3]) for row in rows]),
        np.array([term[0] for term in globals_], np.int32),
        np.array([term[1] for term in globals_], float),
    )


def read_all(path: Path, fortran: bool, block_bytes: int) -> list[Measurements]:
    return [b.measurements(path) for b in read_blocks(path, fortran, block_bytes=block_bytes)]


def assert_equal(one: Measurements, other: Measurements) -> None:
    for field in dataclasses.fields(one):
        np.testing.assert_array_equal(getattr(one, field.name), getattr(other, field.name))


@settings(max_examples=60, deadline=None)
@given(records, st.sampled_from(FLAVOURS), st.booleans())
def test_what_is_written_is_read_back(content: Content, flavour: Flavour, compress: bool) -> None:
    written = build(content)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "mp.bin"
        write_file(path, written, flavour, compress=compress)
        parts = read_all(path, flavour.fortran, 1 << 20)
        if content:
            assert detect_flavour(path) == flavour
    assert sum(part.records for part in parts) == len(content)
    if parts:
        assert_equal(parts[0], written)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=str)
@pytest.mark.parametrize("block_bytes", [64, 1000, 1 << 20])
def test_the_block_size_changes_nothing(tmp_path: Path, flavour: Flavour, block_bytes: int) -> None:
    m = tracks(30, 2)
    write_file(tmp_path / "mp.bin", m, flavour)
    parts = read_all(tmp_path / "mp.bin", flavour.fortran, block_bytes)
    assert sum(part.records for part in parts) == 30
    np.testing.assert_array_equal(np.concatenate([part.value for part in parts]), m.value)


def test_a_file_of_floats_and_doubles_is_read(tmp_path: Path) -> None:
    m = tracks(5, 3)
    mixed = encode_records(m, Flavour()) + encode_records(m, Flavour(double=True))
    (tmp_path / "mp.bin").write_bytes(mixed)
    first, second = read_all(tmp_path / "mp.bin", fortran=False, block_bytes=1 << 20)
    assert_equal(first, second)


def test_bytes_of_pede_s_own_test_come_back_in_both_flavours(tmp_path: Path) -> None:
    original = gzip.decompress((PEDE / "mp2tst.bin.gz").read_bytes())
    path = tmp_path / "mp.bin"
    path.write_bytes(original)
    parts = read_all(path, fortran=True, block_bytes=1 << 22)
    again = b"".join(encode_records(part, Flavour(fortran=True)) for part in parts)
    assert again == original
    assert detect_flavour(PEDE / "mp2tst.bin.gz") == Flavour(fortran=True)


@pytest.mark.parametrize("flavour", FLAVOURS, ids=str)
def test_a_truncated_file_is_named_with_record_and_byte(tmp_path: Path, flavour: Flavour) -> None:
    path = tmp_path / "mp.bin"
    content = encode_records(tracks(4, 1), flavour)
    path.write_bytes(content[:-5])
    with pytest.raises(MilleError, match=r"mp\.bin: truncated in record 4, .* from byte \d+"):
        check(path)


def test_damaged_gzip_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mp.bin"
    path.write_bytes(gzip.compress(encode_records(tracks(50, 1), Flavour()))[:-20])
    with pytest.raises(MilleError, match=r"mp\.bin: the compressed data end early"):
        check(path)


def test_a_length_that_cannot_be_is_named(tmp_path: Path) -> None:
    path = tmp_path / "mp.bin"
    good = encode_records(tracks(1, 1), Flavour())
    path.write_bytes(good + np.array([7, 0, 0], "<i4").tobytes())
    with pytest.raises(MilleError, match=f"corrupt at record 2, byte {len(good)}: 7"):
        check(path)


@pytest.mark.parametrize("length", [2_000_000_000, -2_000_000_000])
def test_a_length_beyond_reason_is_not_collected_in_memory(tmp_path: Path, length: int) -> None:
    path = tmp_path / "mp.bin"
    good = encode_records(tracks(1, 1), Flavour())
    path.write_bytes(good + np.array([length, 0, 0], "<i4").tobytes())
    with pytest.raises(MilleError, match=f"corrupt at record 2, byte {len(good)}"):
        check(path)


def test_something_else_is_no_mille_binary(tmp_path: Path) -> None:
    path = tmp_path / "mp.bin"
    path.write_text("This is text, not a binary.")
    with pytest.raises(MilleError, match=r"mp\.bin"):
        check(path)
    with pytest.raises(InputError, match="nowhere"):
        check(tmp_path / "nowhere")


def test_not_a_number_is_refused(tmp_path: Path) -> None:
    m = tracks(3, 1)
    m.value[0] = np.nan
    write_file(tmp_path / "mp.bin", m, Flavour())
    with pytest.raises(MilleError, match="1 words are not a number"):
        check(tmp_path / "mp.bin")


def test_a_record_without_second_marker_is_refused() -> None:
    with pytest.raises(MilleError, match="record 1 of the block has an odd number of markers"):
        decode(np.zeros(3), np.array([0, 0, 1], np.int32), np.array([0, 3]))


def test_special_data_are_skipped() -> None:
    reals = np.array([0, 9, -3, 1, 2, 3, 5, 1, 0.1, 2])
    integers = np.array([0, 0, 0, 7, 0, 8, 0, 1, 0, 20], np.int32)
    m = decode(reals, integers, np.array([0, 10]))
    assert m.value.tolist() == [5.0]
    assert m.sigma.tolist() == [0.1]
    assert m.global_label.tolist() == [20]


def test_check_counts_and_dump_prints(tmp_path: Path) -> None:
    write_file(tmp_path / "mp.bin", tracks(7, 1), Flavour(fortran=True))
    summary = check(tmp_path / "mp.bin")
    assert (summary.records, summary.labels, summary.local_parameters) == (7, 16, 2)
    assert summary.flavour == Flavour(fortran=True)
    assert "records             7" in str(summary)
    lines = list(dump_lines(tmp_path / "mp.bin", 2))
    assert lines[0].endswith("Fortran, float")
    assert sum(line.startswith("record ") for line in lines) == 2
