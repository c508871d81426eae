"""What became of jobs, as their own logs tell: `reco_<file>.log`, whatever batch system wrote it.

HTCondor's event log and the one that the local batch system writes for people have a line with a
time for each thing that happens; here they become spans of waiting, running and being held.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

Kind = Literal["waiting", "running", "held"]
_NAME: Final = re.compile(r"reco_((?:\d{6}_)?\d{5})\.log")
_CONDOR: Final = re.compile(
    r"^(\d{3}) \(\d+\.\d+\.\d+\) (?:(\d{4})-)?(\d\d)[-/](\d\d) (\d\d:\d\d:\d\d)\S* ?(.*)$"
)
_LOCAL: Final = re.compile(r"^(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) (\w+)(.*)$")
_CODES: Final = {
    "000": "submitted",
    "001": "executing",
    "004": "released",  # evicted: it waits again
    "005": "ended",
    "009": "removed",
    "012": "held",
    "013": "released",
    "024": "released",
}
_STATES: Final[dict[str, Kind]] = {
    "submitted": "waiting",
    "released": "waiting",
    "executing": "running",
    "held": "held",
}
_ENDS: Final = frozenset({"ended", "removed", "lost"})
_WORDS: Final = _ENDS | _STATES.keys()
_SOUND: Final = re.compile(r"return value 0\)|exit code 0\b")
MOST_BYTES: Final = 200_000


@dataclass(frozen=True)
class Span:
    """From when to when (seconds since the epoch) a job waited, ran or was held."""

    kind: Kind
    begin: float
    end: float


@dataclass
class Course:
    """One raw file's job, attempt by attempt. `failed_at`: when one ended without success."""

    number: int
    spans: list[Span] = field(default_factory=list)
    failed_at: list[float] = field(default_factory=list)
    attempts: int = 0

    @property
    def holds(self) -> int:
        """How often it was held."""
        return sum(span.kind == "held" for span in self.spans)


def job_logs(directory: Path) -> dict[int, Path]:
    """Return the jobs' logs in an iteration's `logs/`, by raw file. Raises OSError."""
    named = ((path, _NAME.fullmatch(path.name)) for path in directory.iterdir())
    return {int(match[1]): path for path, match in named if match is not None}


def read_course(number: int, path: Path, until: float) -> Course:
    """Return what a log tells of a job; what has no end yet lasts `until`. Raises OSError."""
    with path.open("rb") as log:
        text = log.read(MOST_BYTES).decode(errors="replace")
    course, state, since = Course(number), None, 0.0
    for when, what, details in _events(text, path):
        at = _seconds(when)
        if at is None:
            continue
        if state is not None:
            course.spans.append(Span(state, since, max(at, since)))
        if what == "submitted":
            course.attempts += 1
        state, since = _STATES.get(what), at
        if what in _ENDS and not _SOUND.search(details):
            course.failed_at.append(at)
    if state is not None and until > since:
        course.spans.append(Span(state, since, until))
    return course


def _events(text: str, path: Path) -> Iterator[tuple[str, str, str]]:
    """Yield when, what, and the rest of the words; how a job of HTCondor ended is a line below."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if (condor := _CONDOR.match(line)) is not None:
            what = _CODES.get(condor[1])
            if what is None:
                continue
            year = condor[2] or str(datetime.fromtimestamp(path.stat().st_mtime, UTC).year)
            when = f"{year}-{condor[3]}-{condor[4]} {condor[5]}"
            below = lines[at + 1] if at + 1 < len(lines) else ""
            yield when, what, below
        elif (local := _LOCAL.match(line)) is not None and local[2] in _WORDS:
            yield local[1], local[2], local[3]


def _seconds(when: str) -> float | None:
    """Return a local time, which both batch systems write, in seconds; None: that is no time."""
    try:
        return datetime.strptime(when, "%Y-%m-%d %H:%M:%S").astimezone().timestamp()
    except ValueError:
        return None
