"""Who is told of an alignment's events, of which, and how often."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from auto_iter.config.section import Seconds, Section

Told = Literal[
    "finished", "failed", "held", "stalled", "waiting", "converged", "diverging", "crowded"
]


def _as_words(value: object) -> object:
    """Return a command line as the words that a shell makes of it."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(value)
    except ValueError as error:
        raise ValueError(f"is no command line: {error}") from None


Command = Annotated[tuple[str, ...], BeforeValidator(_as_words), Field(min_length=1)]


class Notify(Section):
    """A command that gets each event as JSON on standard input, and mail."""

    command: Command | None = None
    mail: Annotated[str, Field(pattern=r"^[^@\s]+@[^@\s]+$")] | None = None
    smtp: Annotated[str, Field(pattern=r"^[\w.-]+(:\d+)?$")] | None = None
    sendmail: Path | None = None
    events: tuple[Told, ...] = (
        "finished",
        "failed",
        "held",
        "stalled",
        "waiting",
        "diverging",
        "crowded",
    )
    patience_s: Seconds = 900.0
    repeat_s: Seconds = 21600.0
    stalled_after_s: Seconds | None = None
    time_limit_s: Seconds = 60.0

    @property
    def is_on(self) -> bool:
        """Anybody is told."""
        return self.command is not None or self.mail is not None
