"""The exit codes of pede that the built-in solver gives too, with the words of `millepede.end`."""

from __future__ import annotations

from auto_iter.errors import InputError
from auto_iter.millepede.rejects import Rejects

MESSAGES = {
    -1: "Still running or crashed",
    0: "Ended normally",
    1: "Ended with warnings (bad measurements)",
    2: "Ended with severe warnings (insufficient measurements)",
    3: "Ended with severe warnings (bad global matrix)",
    4: "Ended with severe warnings (bad binary file(s))",
    11: "Aborted, open error for steering file",
    13: "Aborted, unknown keywords in steering file",
    14: "Aborted, no binary files",
    15: "Aborted, open error(s) for binary files",
    16: "Aborted, open error(s) for text files",
    18: "Aborted, read error(s) for binary file",
    20: "Aborted, bad binary records",
    21: "Aborted, no labels/parameters defined",
    22: "Aborted, no variable global parameters",
    25: "Aborted, result vector contains NaNs",
    26: "Aborted, too many rejects",
    27: "Aborted, singular QL decomposition of constraints matrix",
    28: "Aborted, no local parameters",
    40: "Aborted, other errors",
}


class PedeAbortError(InputError):
    """The input is such that pede ends with `pede_code` (10 and above) and gives no result."""

    exit_code = 1

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
        self.pede_text = text or MESSAGES[pede_code] + number


class TooManyRejectsError(PedeAbortError):
    """More than a third of the records are rejected; `rejects` tells why."""

    def __init__(self, rejects: Rejects, records: int) -> None:
        super().__init__(
            f"{rejects.total} of {records} records are rejected, more than a third ({rejects})",
            26,
            rejects.remedy,
        )
        self.rejects = rejects
