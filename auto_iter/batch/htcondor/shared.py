"""One question to the schedd for all alignments of a campaign: what one daemon asks, all may read.

Each daemon has a page of its own in a directory that they share, written whole by nobody else:
which jobs it waits for, and what the schedd last answered when this daemon asked for everybody's.
Readers take nothing for granted. A page counts while the process that it names lives on this boot
of this machine, so that its clock is ours; anything else is as if it were not there.

What an answer may be used for is up to `Cluster`: to see that nothing has ended. How a job ended,
what is held and whether a submission is there at all, every daemon asks by itself.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from auto_iter.alignment.model import Submission
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.schedd.protocol import QueueCounts, Schedd
from auto_iter.errors import AutoIterError
from auto_iter.files import TEMPORARY, write_atomically
from auto_iter.processes.identity import Identity, identify

SCAN_EVERY_S: Final = 5.0
"""Pages are looked at no more often while nothing is due."""

NOT_AGAIN_S: Final = 600.0
"""For so long after a question for all had no answer, every daemon asks for itself alone."""

LARGEST_BYTES: Final = 1 << 20

_Jobs: TypeAlias = tuple[str, Annotated[str, Field(pattern=r"^\d+$")], str]
"""Schedd, cluster and key of a submission."""


@dataclass(frozen=True)
class SharedCounts:
    """An answer about one submission. `asked_at`: when the question was not yet put (s, monotonic).

    What was done with the jobs before then, the answer has seen.
    """

    asked_at: float
    counts: QueueCounts


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    asked_at: Annotated[float, Field(allow_inf_nan=False)]
    jobs: tuple[tuple[_Jobs, QueueCounts], ...]


class _Page(BaseModel):
    """What one daemon shares."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    process: Identity
    pool: str | None
    waits_for: tuple[_Jobs, ...] = ()
    answer: _Answer | None = None


@dataclass
class SharedPolls:
    """The pages in `directory`; ours is `name`'s. `now`: this machine's monotonic clock."""

    directory: Path
    name: str
    schedd: Schedd
    pool: str | None
    now: Callable[[], float]
    process: Identity = field(default_factory=lambda: identify(os.getpid()))
    _waits_for: dict[_Jobs, None] = field(default_factory=dict, init=False)
    _answer: _Answer | None = field(default=None, init=False)
    _written: _Page | None = field(default=None, init=False)
    _others: tuple[_Page, ...] = field(default=(), init=False)
    _scanned_at: float = field(default=-math.inf, init=False)
    _not_before: float = field(default=-math.inf, init=False)

    def news_of(
        self, submission: Submission, is_good: Callable[[float], bool], within_s: float
    ) -> SharedCounts | None:
        """Return what `told` would, without asking for it, and perhaps only after `within_s`."""
        jobs = _named(submission)
        if jobs not in self._waits_for:
            return None
        if self.now() - self._scanned_at >= min(SCAN_EVERY_S, within_s):
            self._scan()
        return self._latest(jobs, is_good)

    def told(self, submission: Submission, is_good: Callable[[float], bool]) -> SharedCounts | None:
        """Return the latest answer whose time `is_good`; None where each has to ask for himself.

        Where there is none yet, but somebody else waits for jobs on that schedd, all of them are
        asked for at once, for everybody.
        """
        jobs = _named(submission)
        if not jobs[0]:
            return None
        self._waits_for[jobs] = None
        self._write()
        self._scan()
        told = self._latest(jobs, is_good)
        if told is not None:
            return told
        others = [each for page in self._others for each in page.waits_for if each[0] == jobs[0]]
        if not others or self.now() < self._not_before:
            return None
        ours = [each for each in self._waits_for if each[0] == jobs[0]]
        self._ask(jobs[0], sorted({*ours, *others}))
        return self._latest(jobs, is_good)

    def forget(self, submission: Submission) -> None:
        """Wait for these jobs no longer."""
        if self._waits_for.pop(_named(submission), self) is None:
            self._write()

    def close(self) -> None:
        """Take our page away: nobody asks for our jobs any more."""
        if self._written is not None:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return self.directory / f"{self.name}.json"

    def _ask(self, schedd: str, wanted: list[_Jobs]) -> None:
        """Ask for the jobs of all, and have everybody read the answer.

        Whatever is in the way of it: who needs an answer asks for himself then, and tells it.
        """
        each = (f"(ClusterId == {cluster} && {ads.with_key(key)})" for _, cluster, key in wanted)
        asked_at = self.now()
        try:
            found = self.schedd.at(schedd).count_by_cluster(" || ".join(each))
        except AutoIterError:
            self._not_before = self.now() + NOT_AGAIN_S
            return
        counts = ((jobs, found.get(int(jobs[1]), QueueCounts())) for jobs in wanted)
        self._answer = _Answer(asked_at=asked_at, jobs=tuple(counts))
        self._write()

    def _latest(self, jobs: _Jobs, is_good: Callable[[float], bool]) -> SharedCounts | None:
        answers = [self._answer, *(page.answer for page in self._others)]
        told = [
            SharedCounts(answer.asked_at, counts)
            for answer in answers
            if answer is not None and is_good(answer.asked_at)
            for about, counts in answer.jobs
            if about == jobs
        ]
        return max(told, key=lambda each: each.asked_at, default=None)

    def _scan(self) -> None:
        self._scanned_at = self.now()
        self._others = tuple(self._read())

    def _read(self) -> Iterator[_Page]:
        with suppress(OSError):
            for path in sorted(self.directory.glob("*.json")):
                page = _read(path)
                if page is not None and self._is_fellow(page):
                    yield page

    def _is_fellow(self, page: _Page) -> bool:
        """Tell whether a page is of a living process whose clock and schedds are ours."""
        theirs, ours = page.process, self.process
        is_here = theirs.space == ours.space and theirs.is_alive  # which is of this boot then
        return is_here and theirs != ours and page.pool == self.pool

    def _write(self) -> None:
        """Write our page, if it is another one; one that cannot be written is not shared."""
        page = _Page(
            process=self.process,
            pool=self.pool,
            waits_for=tuple(self._waits_for),
            answer=self._answer,
        )
        if page == self._written:
            return
        with suppress(OSError):
            self.directory.mkdir(exist_ok=True)
            if self._written is None:
                for left in self.directory.glob(f".{self._path.name}.*{TEMPORARY}"):
                    left.unlink(missing_ok=True)  # of a daemon of this alignment that was killed
            write_atomically(self._path, page.model_dump_json())
            self._written = page


def _named(submission: Submission) -> _Jobs:
    return submission.schedd or "", submission.cluster, submission.key


def _read(path: Path) -> _Page | None:
    """Return a page; None for whatever is none."""
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_BYTES + 1)
        return _Page.model_validate_json(content) if len(content) <= LARGEST_BYTES else None
    except (OSError, ValidationError):
        return None
