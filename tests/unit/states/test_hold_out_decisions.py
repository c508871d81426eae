"""Hold-out: held-out files are not missed, and what their tracks have against the constants."""

from __future__ import annotations

import pytest

from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.arrival import Look, Response
from auto_iter.alignment.judges.hold_out import HoldOut
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.daemon.loop import Ending
from states.decisions.hold_out import against, in_words, judgement
from tests.support.world import FILES, World

OUT = 401
ONE_OF_THREE = {"hold_out": 0.3}


def solution(
    fit: float, held: float | None, *, files: int = 1, tracks: int = 500
) -> SolutionSummary:
    judged = None
    if held is not None:
        judged = HoldOut(files=files, tracks=tracks, chi2_ndf=held, ndf=10 * tracks)
    return SolutionSummary(
        tracks=5000,
        chi2_ndf=fit,
        track_chi2_ndf=fit,
        max_shift_um=1,
        max_rotation_mrad=1,
        max_pull=1,
        hold_out=judged,
    )


def test_the_fit_does_without_a_held_out_file_that_gives_up() -> None:
    world = World(fails={OUT: 99}, settings=ONE_OF_THREE)
    assert world.run() is Ending.DONE
    assert [numbers for _, numbers in world.millepede.solved] == [FILES - {OUT}] * 2
    assert [record.left_out for record in world.saved.history] == [(OUT,)] * 2


def test_a_file_of_the_fit_is_missed_as_ever() -> None:
    assert World(fails={400: 99}, settings=ONE_OF_THREE).run() is Ending.FAILED


def test_held_out_files_are_no_substitute_for_those_of_the_fit() -> None:
    files = frozenset(range(400, 403))
    settings = {"hold_out": 0.3, "min_success_fraction": 0.6}
    short = World(files=files, fails={400: 99}, settings=settings)
    assert short.run() is Ending.FAILED  # 1 of 2, although 2 of 3 are there


@pytest.mark.parametrize(
    ("lost", "fails", "ending"),
    [(OUT, 400, Ending.DONE), (400, OUT, Ending.FAILED)],  # 1 of 2; 1 of the 2 it began with
)
def test_what_stays_left_out_counts_if_it_was_of_the_fit(
    lost: int, fails: int, ending: Ending
) -> None:
    least = 0.5 if lost == OUT else 0.6
    settings = {"hold_out": 0.3, "lost_files": "same", "min_success_fraction": least}
    world = World(fails={fails: 99}, settings=settings)
    world.saved = world.saved.but(skipped={lost: 1}, lost=(lost,))
    world.reconstruction.skipped = {lost: 1}
    assert world.run() is ending


def seen(*, chi2: float = 6000.0, fraction: float = 1.0) -> Response:
    before = Look(10_000.0, 10_000.0, tracks=500, chi2=6000.0, ndf=6000)
    after = Look((1 - fraction) * 10_000.0, 10_000.0, tracks=500, chi2=chi2, ndf=6000)
    return Response(before, after)


def test_constants_have_to_arrive_in_held_out_files_too() -> None:
    world = World(iterations=3, settings=ONE_OF_THREE)
    world.millepede.seen = {2: {**dict.fromkeys(FILES, seen()), OUT: seen(fraction=0.0)}}
    assert world.run() is Ending.FAILED
    assert world.reconstruction.rejected == [OUT]


def test_only_tracks_of_the_fit_tell_that_it_diverges() -> None:
    world = World(iterations=3, settings=ONE_OF_THREE)
    world.millepede.seen = {2: {**dict.fromkeys(FILES, seen()), OUT: seen(chi2=30_000.0)}}
    assert world.run() is Ending.DONE
    verdict = world.saved.verdict
    assert verdict is not None
    assert verdict.word is not Word.DIVERGING


@pytest.mark.parametrize(
    ("before", "now", "words"),
    [
        ((50.0, 50.0), (1.0, 1.02), ""),
        ((1.00, 1.00), (0.9, 1.1), "over-fitting: chi2/ndf of held-out tracks grows"),
        ((1.00, 1.00), (0.99, 1.015), ""),  # within √(2/ndf) = 0.02
        ((1.00, 1.00), (1.1, 1.1), "held-out tracks get worse: chi2/ndf of held-out tracks grows"),
        ((50.0, 50.0), (0.9, 1.1), "over-fitting: chi2/ndf of held-out tracks is 1.1"),
        ((50.0, None), (0.9, 1.1), ""),  # nothing to compare with
        ((1.00, 1.00), (0.9, None), "nothing judges these constants"),
        ((1.00, None), (0.9, None), ""),
    ],
)
def test_what_held_out_tracks_have_against_constants(
    before: tuple[float, float | None], now: tuple[float, float | None], words: str
) -> None:
    said = against([solution(*before)], solution(*now))
    assert said.startswith(words) if words else said == ""


def test_another_sample_is_not_compared() -> None:
    assert against([solution(1.0, 1.0, files=2)], solution(0.9, 1.1)) == ""


def test_tracks_that_were_too_bad_to_be_used_before_are_no_bad_sign() -> None:
    first, then = solution(1.0, 1.0, tracks=400), solution(1.1, 1.1, tracks=500)
    assert against([first], then) == ""


def record(iteration: int, within: int, found: SolutionSummary) -> IterationRecord:
    times = {"started_at": 0.0, "finished_at": 1.0}
    return IterationRecord(
        iteration=iteration, within=within, attempts=1, files=3, **times, **dict(found)
    )


def test_a_verdict_compares_within_the_last_phase() -> None:
    history = [
        record(1, 1, solution(50, 50)),
        record(2, 2, solution(1, 1)),
        record(3, 1, solution(8, 8)),
        record(4, 2, solution(1, 1)),
    ]
    judged = judgement(history)
    assert judged is not None
    assert (judged.iteration, judged.last_iteration, judged.warning) == (3, 4, "")
    assert in_words(judged) == "; held-out tracks: chi2/ndf 8 -> 1"
    first = judgement(history[:1])
    assert first is not None
    assert first.after is None
    assert in_words(first) == "; held-out tracks: chi2/ndf 50 before the fit"
    assert judgement([record(1, 1, solution(1, None))]) is None
    assert in_words(None) == ""
