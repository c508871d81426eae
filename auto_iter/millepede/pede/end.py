"""`millepede.end`: every exit code of pede, what it means, and what we make of it.

Source: the Millepede II manual, "List of exit codes".
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Verdict(StrEnum):
    """What is done with a result. REFUSE: not used unless `millepede.accept_bad_matrix` says so."""

    ACCEPT = "accept"
    WARN = "warn"
    REFUSE = "refuse"
    FAIL = "fail"


@dataclass(frozen=True)
class Ending:
    """An exit code with its meaning, the verdict, and what a person can do about it."""

    code: int
    meaning: str
    verdict: Verdict
    remedy: str = ""

    @property
    def is_good_by_hand(self) -> bool:
        """Whether `auto-iter millepede solve` counts it as success, as scripts around pede do."""
        return 0 <= self.code <= 3


_INPUT = "look at the steering file and the names in it"
_BINARIES = "convert the ROOT files again; `auto-iter millepede check FILE` tells which is bad"
_GEOMETRY = "look at what the strategy leaves free and holds, and at the hits per layer"
_METHOD = "set pede.method to `inversion 3 0.001` in the strategy"
_MEMORY = "give the machine more memory, or solve fewer parameters"
_BUG = "look at millepede.log; this looks like a fault of pede"

_TABLE = (
    (-1, "still running or crashed", Verdict.FAIL, "look at pede.out and millepede.log"),
    (0, "ended normally", Verdict.ACCEPT, ""),
    (1, "ended with warnings (bad measurements)", Verdict.ACCEPT, ""),
    (2, "ended with severe warnings (insufficient measurements)", Verdict.WARN, "use more data"),
    (3, "ended with severe warnings (bad global matrix)", Verdict.REFUSE, _GEOMETRY),
    (4, "ended with severe warnings (bad binary files)", Verdict.FAIL, _BINARIES),
    (5, "ended without solution (empty constraints)", Verdict.FAIL, _GEOMETRY),
    (10, "no steering file", Verdict.FAIL, _INPUT),
    (11, "cannot open the steering file", Verdict.FAIL, _INPUT),
    (12, "two text files on the command line", Verdict.FAIL, _INPUT),
    (13, "unknown keywords in the steering file", Verdict.FAIL, _INPUT),
    (14, "no binary files", Verdict.FAIL, _INPUT),
    (15, "cannot open binary files", Verdict.FAIL, _INPUT),
    (16, "cannot open text files", Verdict.FAIL, _INPUT),
    (17, "a file name is too long", Verdict.FAIL, "use a workspace with a shorter path"),
    (18, "read errors in binary files", Verdict.FAIL, _BINARIES),
    (19, "binary files changed while it ran", Verdict.FAIL, "let nothing else write there"),
    (20, "bad binary records", Verdict.FAIL, _BINARIES),
    (21, "no labels or parameters defined", Verdict.FAIL, _GEOMETRY),
    (22, "no variable global parameters", Verdict.FAIL, _GEOMETRY),
    (23, "bad matrix index", Verdict.FAIL, _BUG),
    (24, "sizes of vector and matrix differ", Verdict.FAIL, _BUG),
    (25, "the result contains NaN", Verdict.FAIL, _GEOMETRY),
    (26, "too many rejects", Verdict.FAIL, "look at the cuts on hits, and at the constants"),
    (27, "the constraints are singular", Verdict.FAIL, _GEOMETRY),
    (28, "no local parameters", Verdict.FAIL, _BINARIES),
    (29, "factorization of the global matrix failed", Verdict.FAIL, _GEOMETRY),
    (30, "memory allocation failed", Verdict.FAIL, _MEMORY),
    (31, "memory deallocation failed", Verdict.FAIL, _BUG),
    (32, "iteration limit reached in diagonalization", Verdict.FAIL, _METHOD),
    (33, "stack overflow in quicksort", Verdict.FAIL, _BUG),
    (34, "pattern string too long", Verdict.FAIL, _INPUT),
    (35, "numbers of global parameters differ", Verdict.FAIL, _BUG),
    (36, "a solution method that this pede lacks", Verdict.FAIL, _METHOD),
    (40, "other errors", Verdict.FAIL, "look at pede.out and millepede.log"),
)
ENDINGS = {row[0]: Ending(*row) for row in _TABLE}


def ending_of(code: int) -> Ending:
    """Return what `code` means; an unknown one is a failure."""
    known = ENDINGS.get(code)
    return known or Ending(code, "unknown exit code", Verdict.FAIL, "look at millepede.log")


def read_ending(path: Path) -> Ending:
    """Return what a `millepede.end` says; missing or unreadable means crashed (code −1)."""
    try:
        return ending_of(int(path.read_text(encoding="ascii", errors="replace").split()[0]))
    except (OSError, ValueError, IndexError):
        return ENDINGS[-1]
