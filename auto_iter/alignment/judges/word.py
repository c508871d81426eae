"""What an alignment amounts to: five words, each with its exit code."""

from __future__ import annotations

from enum import StrEnum

from auto_iter.errors import (
    DIVERGING_EXIT_CODE,
    NOT_CONVERGED_EXIT_CODE,
    OSCILLATING_EXIT_CODE,
    PLATEAU_EXIT_CODE,
)


class Word(StrEnum):
    """How an alignment, or one of its phases, ended."""

    CONVERGED = "converged"
    """What the data determine moves by less than is significant."""
    USED_UP = "iterations used up"
    """It gets better, but had no more iterations."""
    PLATEAU = "plateau"
    """It still moves, and neither that nor chi2 gets better."""
    OSCILLATING = "oscillating"
    """It moves to and fro, and that does not become less."""
    DIVERGING = "diverging"
    """It gets worse: what counts are the constants before it did."""

    @property
    def exit_code(self) -> int:
        """What a program says that ends with this word."""
        return _EXIT_CODES[self]


_EXIT_CODES = {
    Word.CONVERGED: 0,
    Word.USED_UP: NOT_CONVERGED_EXIT_CODE,
    Word.PLATEAU: PLATEAU_EXIT_CODE,
    Word.OSCILLATING: OSCILLATING_EXIT_CODE,
    Word.DIVERGING: DIVERGING_EXIT_CODE,
}
