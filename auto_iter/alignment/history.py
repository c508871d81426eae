"""What is kept of iterations that are over, and of what people did to the order of them."""

from __future__ import annotations

from collections.abc import Sequence

from auto_iter.alignment.attempt import Record
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.errors import UsageError


class Origin(Record):
    """Of which alignment's iteration the constants are that another one, a branch, began with.

    `constants`, `manifest`: their hashes; the latter empty where an older version left no manifest.
    """

    workspace: str
    workspace_id: str
    iteration: int
    constants: str
    manifest: str = ""


class IterationRecord(SolutionSummary):
    """What is kept of a finished iteration.

    `within`: its number in its phase. `chi2_ndf_change`: of its tracks as reconstructed, against
    the iteration before; None in a phase's first. `converged`: what the data determine moved by no
    significant part of its uncertainty any more; None: not known. `word`: what the phase amounts to
    with it; None: nothing yet. `ends_phase`: the next iteration begins another phase.
    """

    iteration: int
    within: int = 1
    started_at: float
    finished_at: float
    attempts: int
    files: int
    left_out: tuple[int, ...] = ()
    chi2_ndf_change: float | None = None
    converged: bool | None = None
    word: Word | None = None
    ends_phase: bool = False
    cleaned_at: float | None = None
    """When its bulky intermediate files were removed, where they were."""
    by_hand: str | None = None
    """In words, where a person put these constants in the place of the iteration's own."""
    manifest: str = ""
    """The hash of its manifest: the end of a chain of evidence. Empty: made by an older version."""


def record_of(
    history: Sequence[IterationRecord], number: int | None, asked: str
) -> IterationRecord:
    """Return what is kept of iteration `number`. Raises UsageError, after what was `asked`."""
    found = next((each for each in history if each.iteration == number), None)
    if found is None:
        known = ", ".join(str(each.iteration) for each in history) or "none yet"
        raise UsageError(f"{asked}: iterations that have their constants: {known}")
    return found


class Divergence(Record):
    """That the alignment gets worse, in a sentence; `good`: what it started from is good still."""

    sentence: str
    good: int


class ByHand(Record):
    """Constants that a person has accepted for the current iteration; see `acceptance`.

    Names of directories: `source`, in the iteration, becomes its `3millepede`, the one before it
    `replaced`; later iterations go to `outdated` in the workspace.
    """

    source: str
    replaced: str
    outdated: str | None = None
    words: str


class Rollback(Record):
    """A way back to an iteration, decided and not completed; see `daemon.rollback`.

    Later iterations go to the directory `outdated` in the workspace.
    """

    outdated: str
