"""Hold-out: which raw files stay out of the fit."""

from __future__ import annotations

import pytest

from auto_iter.alignment.judges.hold_out import held_out
from auto_iter.errors import UsageError


def test_held_out_files_are_spread_evenly() -> None:
    assert held_out(range(400, 450), (), 0.1) == {405, 415, 425, 435, 445}
    assert held_out(range(400, 403), (), 0.3) == {401}


@pytest.mark.parametrize("files", [2, 3, 7, 50])
@pytest.mark.parametrize("fraction", [1e-6, 0.2, 0.5, 0.9, 0.999])
def test_at_least_one_file_is_in_and_one_is_out(files: int, fraction: float) -> None:
    out = held_out(range(files), (), fraction)
    assert out < set(range(files))
    assert len(out) == min(max(round(fraction * files), 1), files - 1)


def test_nothing_is_held_out_by_default_and_files_missing_at_the_start_do_not_count() -> None:
    assert held_out(range(400, 450), (), 0.0) == frozenset()
    assert held_out(range(400, 404), (401,), 0.3) == {402}


def test_one_file_cannot_be_in_and_out() -> None:
    with pytest.raises(UsageError, match="there is only one"):
        held_out((400, 401), (400,), 0.5)
