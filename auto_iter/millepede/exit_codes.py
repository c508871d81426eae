"""pede's exit codes: what each says, what is made of it, and what the built-in solver raises.

Source: the Millepede II manual, "List of exit codes"; words as in `millepede.end` (pede.f90).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from auto_iter.errors import InputError
from auto_iter.millepede.rejects import Rejects


class Use(StrEnum):
    """What is done with a result. REFUSE: not used unless `millepede.accept_bad_matrix` says so."""

    ACCEPT = "accept"
    WARN = "warn"
    REFUSE = "refuse"
    FAIL = "fail"


_INPUT = "look at the steering file and the names in it"
_BINARIES = "convert the ROOT files again; `auto-iter millepede check FILE` tells which is bad"
_GEOMETRY = "look at what the strategy leaves free and holds, and at the hits per layer"
_METHOD = "set pede.method to `inversion 3 0.001` in the strategy"
_MEMORY = "give the machine more memory, or solve fewer parameters"
_BUG = "look at millepede.log; this looks like a fault of pede"
_OTHER = "look at pede.out and millepede.log"

_TABLE = {
    -1: ("Still running or crashed", _OTHER),
    0: ("Ended normally", ""),
    1: ("Ended with warnings (bad measurements)", ""),
    2: ("Ended with severe warnings (insufficient measurements)", "use more data"),
    3: ("Ended with severe warnings (bad global matrix)", _GEOMETRY),
    4: ("Ended with severe warnings (bad binary file(s))", _BINARIES),
    5: ("Ended without solution (empty constraints)", _GEOMETRY),
    10: ("Aborted, no steering file", _INPUT),
    11: ("Aborted, open error for steering file", _INPUT),
    12: ("Aborted, second text file in command line", _INPUT),
    13: ("Aborted, unknown keywords in steering file", _INPUT),
    14: ("Aborted, no binary files", _INPUT),
    15: ("Aborted, open error(s) for binary files", _INPUT),
    16: ("Aborted, open error(s) for text files", _INPUT),
    17: ("Aborted, file name too long", "use a workspace with a shorter path"),
    18: ("Aborted, read error(s) for binary file", _BINARIES),
    19: ("Aborted, binary file modified", "let nothing else write there"),
    20: ("Aborted, bad binary records", _BINARIES),
    21: ("Aborted, no labels/parameters defined", _GEOMETRY),
    22: ("Aborted, no variable global parameters", _GEOMETRY),
    23: ("Aborted, bad matrix index", _BUG),
    24: ("Aborted, vector/matrix size mismatch", _BUG),
    25: ("Aborted, result vector contains NaNs", _GEOMETRY),
    26: ("Aborted, too many rejects", "look at the cuts on hits, and at the constants"),
    27: ("Aborted, singular QL decomposition of constraints matrix", _GEOMETRY),
    28: ("Aborted, no local parameters", _BINARIES),
    29: ("Aborted, factorization of global matrix failed", _GEOMETRY),
    30: ("Aborted, memory allocation failed", _MEMORY),
    31: ("Aborted, memory deallocation failed", _BUG),
    32: ("Aborted, iteration limit reached in diagonalization", _METHOD),
    33: ("Aborted, stack overflow in quicksort", _BUG),
    34: ("Aborted, pattern string too long", _INPUT),
    35: ("Aborted, numbers of global parameters differ", _BUG),
    36: ("Aborted, a solution method that this pede lacks", _METHOD),
    40: ("Aborted, other errors", _OTHER),
}
_USES = {0: Use.ACCEPT, 1: Use.ACCEPT, 2: Use.WARN, 3: Use.REFUSE}


@dataclass(frozen=True)
class PedeEnding:
    """An exit code with the words of `millepede.end`, and what a person can do about it."""

    code: int
    words: str
    remedy: str

    @property
    def meaning(self) -> str:
        """The words, to follow an exit code within a sentence."""
        said = self.words.removeprefix("Aborted, ")
        return said[0].lower() + said[1:]

    @property
    def use(self) -> Use:
        """What is done with the result."""
        return _USES.get(self.code, Use.FAIL)

    @property
    def is_good_by_hand(self) -> bool:
        """Whether `auto-iter millepede solve` counts it as success, as scripts around pede do."""
        return 0 <= self.code <= 3


ENDINGS = {code: PedeEnding(code, *row) for code, row in _TABLE.items()}


def ending_of(code: int) -> PedeEnding:
    """Return what `code` means; an unknown one is a failure."""
    return ENDINGS.get(code) or PedeEnding(code, "Unknown exit code", _OTHER)


class PedeAbortError(InputError):
    """The input is such that pede ends with `pede_code` (10 and above) and gives no result."""

    exit_code = 1
    rejects = Rejects()

    def __init__(
        self,
        message: str,
        pede_code: int,
        remedy: str = "",
        *,
        number: str = "",
        text: str | None = None,
    ) -> None:
        super().__init__(message, remedy)
        self.pede_code = pede_code
        self.pede_text = text or ENDINGS[pede_code].words + number


class TooManyRejectsError(PedeAbortError):
    """More than a third of the records are rejected; `rejects` tells why."""

    def __init__(self, rejects: Rejects, records: int) -> None:
        super().__init__(
            f"{rejects.total} of {records} records are rejected, more than a third ({rejects})",
            26,
            rejects.remedy,
        )
        self.rejects = rejects
