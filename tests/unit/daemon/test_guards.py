"""What the state machine does about constants that do not arrive, and about what gets worse."""

from __future__ import annotations

import pytest

from auto_iter.alignment.judges.arrival import Look, Response
from auto_iter.alignment.judges.word import Word
from auto_iter.config.schema import Guards
from auto_iter.daemon.lifecycle import revive
from auto_iter.daemon.loop import Ending
from tests.support.world import FILES, World, left_by_kills

MANY = 10_000.0


def seen(fraction: float, *, kept: float = 1.0, growth: float = 1.0) -> Response:
    before = Look(MANY, MANY, tracks=500, chi2=6000.0, ndf=6000)
    after = Look(
        (1 - fraction) * MANY, MANY, tracks=round(500 * kept), chi2=6000 * growth, ndf=6000
    )
    return Response(before, after)


def world(response: Response, **settings: object) -> World:
    """Return an alignment in whose second iteration all files respond so."""
    made = World(iterations=3, settings=dict(settings))
    made.millepede.seen = {2: dict.fromkeys(FILES, response)}
    return made


def test_constants_that_arrive_are_no_news() -> None:
    fine = world(seen(1.0))
    assert fine.run() is Ending.DONE
    assert [record.warnings for record in fine.saved.history] == [()] * 3


def test_constants_that_do_not_arrive_end_it_before_they_are_added_again() -> None:
    stale = world(seen(0.0))
    assert stale.run() is Ending.FAILED
    failure = stale.saved.failure
    assert failure is not None
    assert (stale.saved.iteration, failure.state) == (2, "mille")
    assert "iteration 1 found did not arrive in iteration 2" in failure.reason
    assert "the last good constants are iter01/inputforalign.txt" in failure.remedy
    assert {iteration for iteration, _ in stale.millepede.solved} == {1}
    assert set(stale.reconstruction.rejected) == FILES


def resumed(stopped: World) -> Ending:
    stopped.saved = revive(stopped.saved, stopped.clock.now())
    return stopped.run()


def test_once_mended_only_the_files_concerned_are_reconstructed_again() -> None:
    partly = world(seen(1.0))
    partly.millepede.seen[2][401] = seen(0.0)
    assert partly.run() is Ending.FAILED
    assert partly.reconstruction.rejected == [401]
    partly.millepede.seen[2][401] = seen(1.0)
    partly.ran.clear()
    assert resumed(partly) is Ending.DONE
    assert [number for _, number in partly.ran[:1]] == [401]
    assert len(partly.ran) == 1 + len(FILES)


def test_who_insists_goes_on() -> None:
    stale = world(seen(0.0), guards=Guards(arrival=False))
    assert stale.run() is Ending.DONE
    assert stale.reconstruction.rejected == []


@pytest.mark.parametrize(
    ("response", "words"),
    [
        (seen(1.0, kept=0.5), "50 % are lost"),
        (seen(1.0, growth=2.0), "residuals grow"),
        (seen(1.0, kept=0.7, growth=1.5), "30 % are lost; residuals grow"),
    ],
)
def test_tracks_that_get_much_worse_end_it(response: Response, words: str) -> None:
    worse = world(response)
    assert worse.run() is Ending.DONE
    verdict = worse.saved.verdict
    assert verdict is not None
    assert verdict.word is Word.DIVERGING
    assert words in verdict.sentence
    assert "the last good constants are iter01/inputforalign.txt" in verdict.sentence
    assert (verdict.constants, verdict.found_by) == ("iter01/inputforalign.txt", 0)
    assert [record.word for record in worse.saved.history] == [None, Word.DIVERGING]
    # They were made as they should be: to make them again would change nothing.
    assert worse.reconstruction.rejected == []


def test_tracks_that_get_a_little_worse_are_told_in_the_history() -> None:
    worse = world(seen(1.0, kept=0.9))
    assert worse.run() is Ending.DONE
    warnings = [record.warnings for record in worse.saved.history]
    assert [len(each) for each in warnings] == [0, 1, 0]
    assert "10 % are lost" in warnings[1][0]


def test_steps_that_grow_and_grow_end_it() -> None:
    growing = World(iterations=6)
    growing.millepede.max_pulls = [60.0, 4.0, 7.0, 12.0, 20.0]
    assert growing.run() is Ending.DONE
    verdict = growing.saved.verdict
    assert verdict is not None
    assert (growing.saved.iteration, verdict.word) == (4, Word.DIVERGING)
    assert "4.0, 7.0, 12.0 σ" in verdict.sentence
    assert (verdict.constants, verdict.found_by) == ("iter02/inputforalign.txt", 1)
    assert [len(record.warnings) for record in growing.saved.history] == [0, 0, 1, 1]


def test_who_diverges_goes_on_only_when_asked_for_more() -> None:
    growing = World(iterations=6)
    growing.millepede.max_pulls = [60.0, 4.0, 7.0, 12.0, 1.0]
    assert growing.run() is Ending.DONE
    assert resumed(growing) is Ending.DONE
    assert growing.saved.iteration == 4
    growing.saved = growing.saved.but(settled=False)  # as `resume -i 6` does
    assert resumed(growing) is Ending.DONE
    assert growing.saved.iteration == 6
    assert growing.saved.verdict is not None
    assert growing.saved.verdict.word is Word.USED_UP


def test_where_pede_refuses_what_diverges_both_reasons_are_told() -> None:
    worse = world(seen(1.0, growth=2.0))
    worse.millepede.refusals = {2: "too many rejects"}
    assert worse.run() is Ending.FAILED
    assert worse.saved.failure is not None
    assert "residuals grow" in worse.saved.failure.reason
    assert "too many rejects" in worse.saved.failure.reason


def test_steps_that_grow_are_only_told_when_nobody_minds() -> None:
    growing = World(iterations=4, settings={"guards": Guards(max_growing_steps=None)})
    growing.millepede.max_pulls = [60.0, 4.0, 7.0, 12.0]
    assert growing.run() is Ending.DONE
    assert [len(record.warnings) for record in growing.saved.history] == [0, 0, 1, 1]


def test_a_kill_at_any_moment_changes_no_verdict() -> None:
    for stale in left_by_kills(world(seen(0.0)), Ending.FAILED):
        assert stale.run() is Ending.FAILED
        assert stale.saved.failure is not None
        assert "did not arrive" in stale.saved.failure.reason
        assert {iteration for iteration, _ in stale.millepede.solved} == {1}
