"""What an error amounts to: something that passes, or the end of the alignment."""

from __future__ import annotations

import random
from dataclasses import dataclass

from auto_iter.alignment.judges.expectation import end_of
from auto_iter.alignment.ports import Credentials
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.errors import (
    AutoIterError,
    Hindrance,
    PermanentError,
    TransientError,
    kind_of,
    passes,
)

FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 600.0
WITHOUT_TICKET_AGAIN_S = 60.0
"""How often a ticket that has ended is looked for anew."""

_GO_ON = "fix that, then `auto-iter resume`"


@dataclass(frozen=True)
class Passing:
    """It goes away without us. `delay_s`: when to try again; None: sooner at first, then later."""

    reason: str
    kind: Hindrance
    delay_s: float | None = None

    def pause_s(self, retries: int) -> float:
        """Return how long to wait after so many tries."""
        if self.delay_s is not None:
            return self.delay_s
        backoff = min(FIRST_RETRY_S * 2.0 ** min(retries - 1, 10), LONGEST_RETRY_S)
        return float(backoff * random.uniform(0.9, 1.1))  # noqa: S311 - not all daemons at once


def without_ticket(credentials: Credentials, now: float) -> Passing | None:
    """Return why no step is taken: what is read without a ticket may look empty, or refused."""
    lapsed = credentials.lapsed(now) if credentials.is_needed else None
    if lapsed is None:
        return None
    return Passing(lapsed, Hindrance.CREDENTIALS, WITHOUT_TICKET_AGAIN_S)


def warned(snapshot: Snapshot, credentials: Credentials, now: float) -> Snapshot:
    """Return the snapshot with a warning, hours ahead, of a ticket that ends too soon."""
    end = end_of(snapshot.model_dump(mode="json"), now, snapshot.progress.expected_end)
    warning = credentials.warning(now, None if end is None else end.at)
    return snapshot.but(ticket_warning=warning)


def judged(
    error: Exception, credentials: Credentials, now: float
) -> Passing | PermanentError | None:
    """Return what becomes of an error, by itself or once a person acts; None where it is a bug.

    What goes wrong while our ticket is not valid is no fault of files or schedd.
    """
    known = _judged(error)
    if known is None:
        return None
    is_about_us = credentials.is_needed or kind_of(error) is Hindrance.SCHEDD
    lapsed = credentials.lapsed(now) if is_about_us else None
    if lapsed is None:
        return known
    return Passing(
        f"{lapsed}; meanwhile: {known.reason}", Hindrance.CREDENTIALS, WITHOUT_TICKET_AGAIN_S
    )


def _judged(error: Exception) -> Passing | PermanentError | None:
    match error:
        case TransientError():
            return Passing(str(error), kind_of(error), error.delay_s)
        case PermanentError():
            return error
        case AutoIterError():
            return PermanentError(str(error), _GO_ON)
        case OSError():
            what = f"{error.filename or 'system'}: {error.strerror}"
            return Passing(what, kind_of(error)) if passes(error) else PermanentError(what, _GO_ON)
    return None
