"""A detector that is knocked: the alignment diverges, the last good constants are its result.

A layer moves by 0.3 mm before the third iteration: its raw files are other ones than they were.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from auto_iter.alignment.judges.word import Word
from auto_iter.cli.main import main
from auto_iter.daemon.loop import Ending
from auto_iter.ledger.rollback import rollback
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate
from tests.support.here import FILES, AlignmentHere, SiteHere

EVENTS = 450
SOUND = 2
LAST_GOOD = "iter02/1reco/inputforalign.txt"
"""The last of which it is known how good tracks are: what iteration 1 found."""


@pytest.fixture(scope="module")
def diverged(tmp_path_factory: pytest.TempPathFactory) -> AlignmentHere:
    """Return an alignment that has diverged in its third iteration; nobody may touch it."""
    place = tmp_path_factory.mktemp("diverging")
    (place / "site").mkdir()
    site = SiteHere.build(place / "site", events=EVENTS)
    sound = AlignmentHere.begin(site, place, iterations=SOUND)
    assert sound.resume() is Ending.DONE
    knocked = Options(files=FILES, beam=Beam(events=EVENTS), moves={("20", "y"): 0.3})
    raw_files = simulate(place / "knocked", knocked).raw_files
    after = replace(sound, site=replace(site, raw_files=dict(zip(FILES, raw_files, strict=True))))
    assert after.resume(iterations=6) is Ending.DONE
    return after


def test_it_ends_with_the_last_good_constants_as_text_json_and_exit_code(
    diverged: AlignmentHere, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [record.word for record in diverged.snapshot.history]
    assert words[SOUND:] == [Word.DIVERGING]
    root = str(diverged.root)
    assert main(["status", "--exit-code", root]) == Word.DIVERGING.exit_code
    text = " ".join(capsys.readouterr().out.split())
    assert "done, iteration 3 of 6" in text
    assert "diverging: " in text
    assert "chi2/ndf of the tracks is" in text
    assert f"the last good constants are {LAST_GOOD}" in text
    assert main(["status", "--json", root]) == 0
    verdict = json.loads(capsys.readouterr().out)["verdict"]
    assert (verdict["word"], verdict["converged"]) == ("diverging", False)
    assert (verdict["constants"], verdict["found_by"]) == (LAST_GOOD, 1)
    result = (diverged.root / verdict["constants"]).read_text()
    assert result == diverged.constants()[verdict["found_by"]]
    assert main(["export", root]) == 2
    assert "diverging" in capsys.readouterr().err


def begun(alignment: AlignmentHere) -> tuple[object, ...]:
    snapshot = alignment.snapshot
    return snapshot.iteration, snapshot.verdict, snapshot.divergence, snapshot.settled


def test_more_iterations_go_on_from_where_it_stopped(
    diverged: AlignmentHere, tmp_path: Path
) -> None:
    again = diverged.copied(tmp_path)
    assert again.resume() is Ending.DONE  # nothing without being asked for more
    assert again.snapshot == diverged.snapshot
    assert again.resume(iterations=3) is Ending.DONE  # so many it has
    assert again.snapshot.verdict == diverged.snapshot.verdict
    assert again.resume(iterations=4, until=("submit_reco",)) is Ending.REACHED
    assert begun(again) == (4, None, None, False)
    assert again.iteration(4).constants.read_text() == diverged.constants()[3]
    assert again.resume() is Ending.DONE
    assert again.snapshot.history[3].word is not Word.DIVERGING
    assert again.snapshot.verdict is not None
    assert again.snapshot.verdict.word is not Word.DIVERGING


def test_the_way_back_to_the_last_good_constants_is_its_own_number(
    diverged: AlignmentHere, tmp_path: Path
) -> None:
    back = diverged.copied(tmp_path)
    verdict = back.snapshot.verdict
    assert verdict is not None
    assert verdict.found_by is not None
    rollback(back.root, verdict.found_by, 0.0)
    assert back.resume(until=("submit_reco",)) is Ending.REACHED
    assert begun(back) == (2, None, None, False)
    assert back.iteration(2).constants.read_text() == diverged.constants()[1]
