"""The Mille binaries as one stream: each label has one position, whatever came before it."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auto_iter.millepede.mille.file import Flavour
from auto_iter.millepede.mille.records import Measurements
from auto_iter.millepede.pede.result_files import read_result
from auto_iter.millepede.solver.builtin import solve
from auto_iter.millepede.solver.data_source import DataSource, LabelTable
from auto_iter.millepede.steering.reader import Binary
from tests.support.mille_writer import encode_records
from tests.support.tracks import LABELS, RENAMINGS, TEXTS, write_renamed

EDGES = [1 << bits for bits in (0, 8, 12, 13, 16, 20, 22, 23, 31)]
"""Powers of two, near which arrays of labels grow or end."""
some_label = st.one_of(
    st.integers(1, 40),
    st.integers(1, 2**31 - 1),
    st.builds(
        lambda edge, by: min(max(edge + by, 1), 2**31 - 1),
        st.sampled_from(EDGES),
        st.integers(-2, 2),
    ),
)
blocks = st.lists(st.lists(some_label, max_size=12), max_size=8)


class OraclePositions(dict[int, int]):
    """What a label table has to do, in the plainest way."""

    def indices(self, labels: list[int]) -> list[int]:
        for label in sorted(set(labels) - self.keys()):
            self[label] = len(self)
        return [self[label] for label in labels]


@settings(max_examples=200, deadline=None)
@given(blocks)
def test_each_label_has_one_position_in_the_order_they_were_met(parts: list[list[int]]) -> None:
    table, oracle = LabelTable(), OraclePositions()
    for labels in parts:
        assert table.indices(np.array(labels, np.int32)).tolist() == oracle.indices(labels)
        assert table.labels.tolist() == list(oracle)


def records(labels: list[list[int]]) -> Measurements:
    """Return a record for each list, with one measurement that has these labels."""
    count = len(labels)
    first = np.concatenate(([0], np.cumsum([len(each) for each in labels]))).astype(np.int64)
    every = np.arange(count + 1, dtype=np.int64)
    flat = np.array([label for each in labels for label in each], np.int32)
    return Measurements(
        every,
        np.ones(count),
        np.ones(count),
        every,
        np.ones(count, np.int32),
        np.ones(count),
        first,
        flat,
        np.ones(len(flat)),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.lists(some_label, max_size=5), max_size=6), min_size=1, max_size=4))
def test_entries_are_counted_label_by_label_over_blocks_and_files(
    files: list[list[list[int]]],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        binaries = [Binary(Path(place) / f"{n}.bin", fortran=False) for n in range(len(files))]
        for binary, labels in zip(binaries, files, strict=True):
            binary.path.write_bytes(encode_records(records(labels), Flavour()))
        source = DataSource(binaries, block_bytes=64)
        counted = source.count_entries(per_record=False)
    table = dict(zip(source.table.labels.tolist(), counted.tolist(), strict=True))
    assert table == Counter(label for labels in files for each in labels for label in each)


@pytest.mark.parametrize("name", RENAMINGS)
@pytest.mark.parametrize("text", TEXTS)
def test_the_solution_does_not_depend_on_how_large_labels_are(
    tmp_path: Path, name: str, text: str
) -> None:
    unchanged = {label: label for label in LABELS}
    renaming = unchanged | RENAMINGS[name]
    small = solution(tmp_path / "small", unchanged, text)
    large = solution(tmp_path / "large", renaming, text)
    assert list(large) == sorted(renaming.values())
    for label, renamed in renaming.items():
        assert large[renamed] == pytest.approx(small[label], rel=1e-9, abs=1e-9)


def solution(directory: Path, renaming: dict[int, int], text: str) -> dict[int, float]:
    directory.mkdir()
    result = solve(write_renamed(directory, renaming, text), directory=directory)
    assert result.exit_code in (0, 1)
    assert list(read_result(directory / "millepede.res")) == result.labels.tolist()
    return dict(zip(result.labels.tolist(), result.values.tolist(), strict=True))
