"""What counts as getting worse, and from where on an alignment must not go on."""

from __future__ import annotations

import pytest

from auto_iter.alignment.judges.arrival import Look, Response
from auto_iter.alignment.judges.deterioration import (
    IterationStep,
    growing_steps,
    refused,
    worse_tracks,
)


def tracks(before: int, after: int, growth: float = 1.0) -> dict[int, Response]:
    return {
        400: Response(
            Look(tracks=before, chi2=13.0 * before, ndf=13 * before),
            Look(tracks=after, chi2=13.0 * growth * after, ndf=13 * after),
        )
    }


@pytest.mark.parametrize(
    ("after", "told", "stops"),
    [(1050, False, False), (960, False, False), (940, True, False), (790, True, True)],
)
def test_lost_tracks(after: int, told: bool, stops: bool) -> None:
    signs = worse_tracks(tracks(1000, after), 3, 0.2, 1.2)
    assert bool(signs) is told
    assert bool(refused(signs)) is stops


def test_the_loss_is_told_in_numbers() -> None:
    (sign,) = worse_tracks(tracks(8348, 2789), 3, 0.2, 1.2)
    assert sign.text == (
        "iteration 3 has 2789 good tracks where iteration 2 has 8348: 67 % are lost"
    )


@pytest.mark.parametrize(
    ("growth", "told", "stops"),
    [(0.1, False, False), (1.04, False, False), (1.1, True, False), (1.5, True, True)],
)
def test_residuals_that_grow(growth: float, told: bool, stops: bool) -> None:
    signs = worse_tracks(tracks(1000, 990, growth), 3, 0.2, 1.2)
    assert bool(signs) is told
    assert bool(refused(signs)) is stops


def test_tracks_that_were_too_bad_before_may_be_bad_now() -> None:
    assert not worse_tracks(tracks(1000, 3000, 2.0), 3, 0.2, 1.2)


def test_a_handful_of_tracks_says_nothing() -> None:
    assert not worse_tracks(tracks(20, 10, 3.0), 3, 0.2, 1.2)


def test_limits_can_be_taken_away() -> None:
    signs = worse_tracks(tracks(1000, 100, 5.0), 3, None, None)
    assert len(signs) == 2
    assert not refused(signs)


@pytest.mark.parametrize(
    ("largest", "told", "stops"),
    [
        ([], False, False),
        ([68.0], False, False),
        ([68.0, 2.1, 1.3, 0.9], False, False),
        ([0.2, 0.4, 0.9], False, False),  # small: noise
        ([68.0, 4.6, 7.3], True, False),
        ([68.0, 4.6, 7.3, 12.9], True, True),
        ([68.0, 4.6, 7.3, 12.9, 13.0], False, False),
        ([68.0, 68.4, 68.4], False, False),
    ],
)
def test_steps_that_grow(largest: list[float], told: bool, stops: bool) -> None:
    signs = growing_steps([IterationStep(each, 1.0) for each in largest], 2)
    assert bool(signs) is told
    assert bool(refused(signs)) is stops


def test_growing_steps_are_told_from_the_smallest_on() -> None:
    (sign,) = growing_steps([IterationStep(each, 1.0) for each in (68.0, 4.6, 7.3, 12.9)], 2)
    assert "4.6, 7.3, 12.9 σ" in sign.text


def test_steps_may_grow_where_residuals_shrink() -> None:
    """A narrow cut lets in more and more of a detector that is far off."""
    assert not growing_steps(
        [IterationStep(34.5, 86.0), IterationStep(56.6, 33.0), IterationStep(70.0, 4.0)], 2
    )
