"""Five scripted alignments end in the five words: in the log, as text, as JSON, as exit code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from auto_iter.alignment.judges.standing import ConvergenceLimits, word_for
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.plan import PhasePlan, Plan
from auto_iter.alignment.solution import GroupChange, SolutionSummary
from auto_iter.config.schema import Alignment
from auto_iter.daemon.loop import Ending
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.status import Status
from auto_iter.workspace.paths import Workspace
from states.decisions.convergence import too_short
from tests.support.world import World

JUDGED = {
    "stop_when_converged": True,
    "stop_when_stuck": True,
    "convergence_iterations": 2,
    "patience": 3,
}


def found(
    pull: float, cosine: float | None = None, chi2: float = 1.0, raw: float = 9.0
) -> SolutionSummary:
    """Return a solution whose layers' ry moved by `pull` σ, and `raw` σ with weak modes and all."""
    group = GroupChange(
        name="layer ry",
        parameters=9,
        largest=2 * pull,
        rms=pull,
        largest_pull=2 * pull,
        rms_pull=pull,
        worst="layer 31 ry",
        raw_largest=50.0,
        raw_rms=20.0,
        cosine=cosine,
    )
    return SolutionSummary(
        tracks=1000,
        chi2_ndf=chi2,
        track_chi2_ndf=chi2,
        max_shift_um=50.0,
        max_rotation_mrad=1.0,
        max_pull=raw,
        pulls={"layer ry": raw},
        groups=(group,),
    )


SCRIPTS = {
    Word.CONVERGED: [found(50), found(3), found(0.2), found(0.1)],
    Word.USED_UP: [found(50 * 0.7**n, chi2=2 - n / 10) for n in range(6)],
    Word.PLATEAU: [found(50), found(3), found(2.9), found(2.8), found(2.95, cosine=0.4)],
    Word.OSCILLATING: [found(50)] + [found(3, cosine=-0.9)] * 5,
    Word.DIVERGING: [found(50), found(4), found(9, chi2=1.1), found(20, chi2=1.3), found(50)],
}
ITERATIONS = {
    Word.CONVERGED: 4,
    Word.USED_UP: 6,
    Word.PLATEAU: 5,
    Word.OSCILLATING: 5,
    Word.DIVERGING: 4,
}
CODES = {
    Word.CONVERGED: 0,
    Word.USED_UP: 3,
    Word.PLATEAU: 4,
    Word.OSCILLATING: 5,
    Word.DIVERGING: 6,
}


def ended(word: Word, **settings: Any) -> World:
    made = World(iterations=6, settings={**JUDGED, **settings})
    made.plan = Plan("twin", (PhasePlan("one", None, 1, 0.3),))
    made.millepede.script = SCRIPTS[word]
    assert made.run() is Ending.DONE
    return made


@pytest.mark.parametrize("word", Word)
def test_a_scripted_alignment_ends_in_its_word(word: Word, tmp_path: Path) -> None:
    world = ended(word)
    verdict = world.saved.verdict
    assert verdict is not None
    assert (verdict.word, verdict.word.exit_code) == (word, CODES[word])
    assert len(world.saved.history) == ITERATIONS[word]
    status = Status.seen(Workspace(tmp_path), world.saved, None, world.clock.now())
    assert status.exit_code == CODES[word]
    assert word.value in status_text(status)
    told = status.as_json()["verdict"]
    assert (told["word"], told["converged"]) == (word.value, word is Word.CONVERGED)
    result = "iter02/inputforalign.txt"
    if word is not Word.DIVERGING:
        result = f"iter{ITERATIONS[word]:02d}/found/inputforalign.txt"
    assert told["constants"] == result


@pytest.mark.parametrize("word", [Word.PLATEAU, Word.OSCILLATING])
def test_who_is_stuck_may_use_up_all_iterations_and_is_told_so_all_the_same(word: Word) -> None:
    world = ended(word, stop_when_stuck=False)
    assert len(world.saved.history) == 6
    assert world.saved.verdict is not None
    assert world.saved.verdict.word is word


def test_a_phase_that_is_stuck_gives_way_to_the_next() -> None:
    world = World(iterations=20, settings=JUDGED)
    world.plan = Plan("twin", tuple(PhasePlan(name, 10, 1, 0.3) for name in ("one", "two")))
    world.millepede.script = [*SCRIPTS[Word.PLATEAU], found(0.1)]
    assert world.run() is Ending.DONE
    assert [(each.within, each.ends_phase) for each in world.saved.history][4:] == [
        (5, True),
        (1, False),
        (2, False),
    ]
    assert world.saved.verdict is not None
    assert world.saved.verdict.word is Word.PLATEAU
    assert "plateau, phase one" in world.saved.verdict.sentence


@pytest.mark.parametrize(("gated", "told"), [(3, True), (0, False)])
def test_the_verdict_does_not_hide_what_stayed_for_want_of_data(gated: int, told: bool) -> None:
    world = World(iterations=6, settings=JUDGED)
    held = [each.model_copy(update={"gated": 3}) for each in SCRIPTS[Word.CONVERGED]]
    world.millepede.script = [*held[:-1], held[-1].model_copy(update={"gated": gated})]
    assert world.run() is Ending.DONE
    assert world.saved.verdict is not None
    sentence = "3 parameters stayed in place for want of hits or tracks"
    assert (sentence in world.saved.verdict.sentence) is told
    assert [each.gated for each in world.saved.history] == [3, 3, 3, gated]


LIMITS = ConvergenceLimits(pull=0.3, largest_pull=1.0, iterations=2, patience=3)


@pytest.mark.parametrize(
    ("pulls", "word"),
    [
        ([0.1, 0.1], Word.CONVERGED),
        ([0.1], None),
        ([0.1, 0.4, 0.1], None),
        ([9.0, 5.0, 3.0, 2.0, 1.0], None),
        ([2.0, 2.1, 1.9, 1.7], None),
        ([2.0, 2.1, 1.9, 1.85], Word.PLATEAU),
        ([2.0, 2.1, 0.2], None),
    ],
)
def test_the_word_for_changes_of_one_direction(pulls: list[float], word: Word | None) -> None:
    assert word_for([found(pull) for pull in pulls], LIMITS) is word


def test_a_chi2_that_still_falls_is_no_plateau() -> None:
    chi2 = [2.0, 1.9, 1.8, 1.7, 1.6]
    assert word_for([found(3.0, chi2=each) for each in chi2], LIMITS) is None


def test_swings_that_die_down_are_no_oscillation() -> None:
    pulls = [9.0, 6.0, 4.0, 2.7]
    assert word_for([found(pull, cosine=-1.0) for pull in pulls], LIMITS) is None


def test_one_member_that_moves_far_keeps_its_group_from_being_still() -> None:
    far = found(0.2)
    group = far.groups[0].model_copy(update={"largest_pull": 1.5})
    far = far.model_copy(update={"groups": (group,)})
    assert word_for([far, far], LIMITS) is None


def test_what_moves_by_less_than_matters_is_still_whatever_its_uncertainty() -> None:
    floor = ConvergenceLimits(pull=0.3, largest_pull=1.0, rotation_mrad=10.0, iterations=2)
    assert word_for([found(4.0), found(4.0)], LIMITS) is None
    assert word_for([found(4.0), found(4.0)], floor) is Word.CONVERGED


def test_without_projected_changes_the_raw_ones_are_judged() -> None:
    bare = found(0.1, raw=0.2).model_copy(update={"groups": ()})
    moving = bare.model_copy(update={"max_pull": 9.0})
    assert word_for([bare, bare], LIMITS) is Word.CONVERGED
    assert word_for([bare, moving], LIMITS) is None


def test_an_iteration_of_unknown_uncertainties_is_not_held_against_those_after_it() -> None:
    """One that a person solved, by a method that tells none."""
    unknown = found(3.0).model_copy(update={"groups": (), "pulls": {}})
    assert word_for([found(50), unknown, found(0.1)], LIMITS) is None
    assert word_for([found(50), unknown, found(0.1), found(0.1)], LIMITS) is Word.CONVERGED
    assert word_for([found(0.1), found(0.1), unknown], LIMITS) is None


@pytest.mark.parametrize(
    ("iterations", "settles_at", "still", "fewest"),
    [
        (1, 1, 2, 2),
        (2, 1, 2, None),
        (1, 1, 1, None),
        (4, 4, 2, 5),
        (5, 4, 2, None),
        (None, 4, 9, None),
    ],
)
def test_a_phase_that_is_too_short_to_converge_is_known_beforehand(
    iterations: int | None, settles_at: int, still: int, fewest: int | None
) -> None:
    phase = PhasePlan("3ST", iterations, settles_at, 0.3)
    said = too_short(phase, Alignment(convergence_iterations=still))
    wanted = f"phase 3ST has iterations: {iterations}, and cannot converge in less than {fewest} "
    assert said.startswith(wanted) if fewest else said == ""


@pytest.mark.parametrize(("still", "word"), [(2, Word.USED_UP), (1, Word.CONVERGED)])
def test_the_verdict_on_a_phase_that_is_too_short_says_so(still: int, word: Word) -> None:
    world = World(iterations=6, settings={**JUDGED, "convergence_iterations": still})
    world.plan = Plan("twin", (PhasePlan("one", 1, 1, 0.3),))
    world.millepede.script = [found(0.1)]
    assert world.run() is Ending.DONE
    verdict = world.saved.verdict
    assert verdict is not None
    assert verdict.word is word
    told = "; phase one has iterations: 1, and cannot converge in less than 2 "
    assert (told in verdict.sentence) is (word is Word.USED_UP)
