"""What an alignment amounts to: a word and a sentence."""

from __future__ import annotations

from typing import Any

from pydantic import computed_field, model_validator

from auto_iter.alignment.attempt import Record
from auto_iter.alignment.judges.hold_out import Judgement
from auto_iter.alignment.judges.word import Word


class Verdict(Record):
    """What a finished alignment amounts to: a word, and a sentence that says why.

    `constants`: the file with the result, `found_by`: the iteration that found it; 0: those that
    the alignment began with. Both unknown under older versions. `hold_out`: what held-out tracks
    say; None: there were none.
    """

    word: Word
    sentence: str
    constants: str = ""
    found_by: int | None = None
    hold_out: Judgement | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_an_older_version(cls, values: Any) -> Any:
        """Return them with a word: once there was only whether it converged."""
        if not isinstance(values, dict) or "converged" not in values:
            return values
        word = Word.CONVERGED if values["converged"] else Word.USED_UP
        others = {key: value for key, value in values.items() if key != "converged"}
        return {"word": word, **others}

    @computed_field  # type: ignore[prop-decorator] # mypy knows no decorated property
    @property
    def converged(self) -> bool:
        """Whether the constants are for use."""
        return self.word is Word.CONVERGED
