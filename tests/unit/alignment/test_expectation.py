"""When an alignment ends, from how long its iterations took."""

from __future__ import annotations

import pytest

from auto_iter.alignment.judges.expectation import Expectation, expected_end

H = 3600.0
NOW = 100 * H


@pytest.mark.parametrize(
    ("lengths", "elapsed_h", "jobs_end_h", "to_come", "at_h"),
    [
        ([], 1, None, 9, None),  # nothing is known
        ([], 1, 1, 0, 1),  # half of the only one
        ([], 1, 1, 9, 19),  # 2 h each
        ([4], 1, None, 0, 3),
        ([4], 1, None, 2, 11),
        ([4], 6, None, 2, 8),  # it takes longer than the others did: any moment now
        ([4], 6, 3, 2, 11),  # so its jobs say
        ([4, 4, 60], 0, None, 1, 8),  # a weekend without a daemon
        ([4, 6], 0, None, 1, 10),
        ([4], 3, -1, 0, 1),  # an estimate that has passed
    ],
)
def test_the_end_of_an_alignment(
    lengths: list[float],
    elapsed_h: float,
    jobs_end_h: float | None,
    to_come: int,
    at_h: float | None,
) -> None:
    end = expected_end(
        NOW,
        lengths=[each * H for each in lengths],
        started_at=NOW - elapsed_h * H,
        jobs_end=None if jobs_end_h is None else NOW + jobs_end_h * H,
        to_come=to_come,
    )
    assert (None if end is None else (end.at - NOW) / H) == at_h


def spread_h(lengths: list[float], to_come: int) -> float | None:
    seconds = [each * H for each in lengths]
    end = expected_end(NOW, lengths=seconds, started_at=NOW, jobs_end=None, to_come=to_come)
    assert end is not None
    return None if end.spread_s is None else end.spread_s / H


def test_one_iteration_says_nothing_of_the_spread() -> None:
    assert spread_h([4], 3) is None


def test_iterations_that_took_the_same_leave_no_doubt() -> None:
    assert spread_h([4, 4, 4], 3) == 0


def test_the_spread_grows_with_what_is_ahead_and_shrinks_with_what_is_known() -> None:
    few, many = [3.0, 4.0, 5.0], [3.0, 4.0, 5.0] * 5
    assert (spread_h(few, 8) or 0) > (spread_h(few, 2) or 0) > 0
    assert (spread_h(few, 8) or 0) > (spread_h(many, 8) or 0) > 0


def test_the_spread_of_one_iteration_is_that_of_those_before() -> None:
    # deviations 1 0 1: 1.4826 of their median, and the median's own error
    assert spread_h([3, 4, 5], 0) == pytest.approx(1.4826 * (1 + 1.2533**2 / 3) ** 0.5)


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (Expectation(1_700_000_000.0 + 2 * 86400, 3 * H), "Thu 22:13 ± 3 h"),
        (Expectation(1_700_000_000.0 + 600, 40.0), "22:23 ± 40 s"),
        (Expectation(1_700_000_000.0 + 20 * 86400), "2023-12-04 22:13"),
    ],
)
def test_in_words(end: Expectation, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert end.in_words(1_700_000_000.0) == words
    monkeypatch.undo()
    time.tzset()
