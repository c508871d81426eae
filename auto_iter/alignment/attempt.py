"""Submissions of an iteration, as the checkpoint holds them: about to be made, and made."""

from __future__ import annotations

from dataclasses import asdict

from pydantic import BaseModel, ConfigDict

from auto_iter.alignment.model import Submission


class Record(BaseModel):
    """A part of the checkpoint, or another record: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Portion(Record):
    """Some of the outstanding raw files: `files`, or from `first` to `last`, or else all."""

    first: int | None = None
    last: int | None = None
    files: tuple[int, ...] | None = None
    recipe: str = ""
    """What stands for all that its jobs are made of, see `Reconstruction.recipe`."""
    is_canary: bool = False
    """One raw file, tried before all others: `first`."""
    had: int = 0
    """So many outputs were there before it was made: they tell nothing of its pace."""

    def covers(self, number: int) -> bool:
        """Tell whether a raw file is, or was, part of it."""
        if self.files is not None:
            return number in self.files
        return self.first is None or self.last is None or self.first <= number <= self.last


class Intent(Portion):
    """A submission that is about to be made, or was made and not noted: found again by its key."""

    key: str
    attempt: int


class Attempt(Portion):
    """One submission of the current iteration."""

    number: int
    key: str
    cluster: str
    jobs: int
    submitted_at: float
    schedd: str | None = None
    left: int | None = None
    """Its jobs that had not ended when it was last polled."""
    failed: tuple[int, ...] = ()
    """Raw files that it will not bring any more; that is counted already."""
    is_over: bool = False
    is_ended_by_us: bool = False
    """All its jobs were told to end: what it does not bring is no failure."""
    is_left_behind: bool = False
    """Its schedd is gone for good, and is not asked about it any more."""

    @classmethod
    def of(cls, intent: Intent, submission: Submission) -> Attempt:
        """Return what came of an intent."""
        portion = intent.model_dump(exclude={"key", "attempt"})
        return cls(number=intent.attempt, **portion, **asdict(submission))

    def may_bring(self, number: int) -> bool:
        """Tell whether a job of a raw file may still run, as far as is known."""
        return not self.is_over and self.covers(number) and number not in self.failed

    @property
    def submission(self) -> Submission:
        """The submission, as batch systems know it."""
        return Submission(self.key, self.cluster, self.jobs, self.submitted_at, self.schedd)
