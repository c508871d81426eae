"""The words in which an alignment ends, their exit codes, and what older checkpoints have."""

from __future__ import annotations

import pytest

from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word


@pytest.mark.parametrize(
    ("word", "code"),
    [
        ("converged", 0),
        ("iterations used up", 3),
        ("plateau", 4),
        ("oscillating", 5),
        ("diverging", 6),
    ],
)
def test_each_word_has_its_exit_code(word: str, code: int) -> None:
    assert Word(word).exit_code == code


@pytest.mark.parametrize("converged", [True, False])
def test_a_verdict_of_an_older_version_gets_its_word(converged: bool) -> None:
    verdict = Verdict.model_validate({"converged": converged, "sentence": "so it is"})
    assert verdict.word is (Word.CONVERGED if converged else Word.USED_UP)
    assert verdict.converged is converged


def test_a_verdict_survives_the_checkpoint() -> None:
    verdict = Verdict(word=Word.DIVERGING, sentence="it runs away", constants="a", found_by=2)
    assert Verdict.model_validate(verdict.model_dump(mode="json")) == verdict
