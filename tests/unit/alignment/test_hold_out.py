"""Hold-out: which raw files stay out of the fit."""

from __future__ import annotations

import pytest

from auto_iter.alignment.judges.hold_out import held_out
from auto_iter.errors import UsageError
from auto_iter.rawfiles import run_and_number, with_run


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


SHORT = (*(with_run(11705, n) for n in range(400, 410)), with_run(11710, 0), with_run(11712, 3))


@pytest.mark.parametrize("fraction", [0.05, 0.1, 0.3, 0.5, 0.9, 0.999])
def test_no_run_is_without_a_file_in_the_fit(fraction: float) -> None:
    """Nothing would say of such a run that its tracks had no part in the constants."""
    out = held_out(SHORT, (), fraction)
    assert out
    assert {run_and_number(each, None)[0] for each in set(SHORT) - out} == {11705, 11710, 11712}
    two = [with_run(run, number) for run in (11705, 11710) for number in range(3)]
    assert {run_and_number(each, None)[0] for each in set(two) - held_out(two, (), fraction)} == {
        11705,
        11710,
    }


def test_several_runs_of_a_file_each_have_none_to_spare() -> None:
    with pytest.raises(
        UsageError, match="of one run, one for the fit and one to judge it; each has only one"
    ):
        held_out(SHORT[-2:], (), 0.5)
    assert held_out((with_run(11705, 400), *SHORT[-2:]), SHORT[-2:-1], 0) == frozenset()


def test_one_file_cannot_be_in_and_out() -> None:
    with pytest.raises(UsageError, match="there is only one"):
        held_out((400, 401), (400,), 0.5)
