"""The reconstruction nodes of a DAG, as a batch system: their jobs are over, and DAGMan's affair.

What the state machine sees of them when a Millepede node takes its turn: all have ended, some of
them badly. Nothing can be submitted, released or removed from there.
"""

# ruff: noqa: ARG002 - arguments are the protocol's

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from auto_iter.alignment.model import (
    Action,
    Batch,
    Problem,
    Remedy,
    Resources,
    Submission,
    Tally,
    Trouble,
)
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.exitcodes import describe_exit
from auto_iter.batch.htcondor.flavours import SECONDS
from auto_iter.errors import JobError
from auto_iter.files import move_whole, sync_directory
from auto_iter.rawfiles import with_run

FAILED_DIRECTORY = "failed"
"""In `1reco`: a JSON file for each raw file whose node failed, written by the POST script."""

MEMORY_JSON = "memory.json"
"""In `1reco`: raw file → memory (MiB) that its job needed; kept by the POST script."""

FLAVOUR_JSON = "flavour.json"
"""In `1reco`: raw file → the flavour that its job needed; kept likewise."""


def failures(reco: Path) -> dict[int, Problem]:
    """Return how the last try of each raw file failed that has no good one, by number."""
    found = {}
    for path in sorted((reco / FAILED_DIRECTORY).glob("*.json")):
        note = json.loads(path.read_text())
        found[int(note["number"])] = _problem(note)
    return found


def needed_memory(reco: Path) -> dict[int, int]:
    """Return the memory (MiB) that raw files needed more of than the configuration gives."""
    return {int(number): int(needed) for number, needed in _noted(reco / MEMORY_JSON).items()}


def needed_time(reco: Path) -> dict[int, float]:
    """Return the time (s) that raw files needed more of than the configured flavour gives."""
    return {int(number): SECONDS[name] for number, name in _noted(reco / FLAVOUR_JSON).items()}


def _noted(path: Path) -> dict[str, Any]:
    try:
        noted: dict[str, Any] = json.loads(path.read_text())
    except FileNotFoundError:
        return {}
    return noted


def _problem(note: dict[str, Any]) -> Problem:
    code, signal = note["exit_code"], note["signal"]
    has_ended = code is not None or signal is not None
    removed = Trouble.OVERRAN if "limit_s" in note else Trouble.REMOVED
    return Problem(
        number=int(note["number"]),
        trouble=Trouble.FAILED if has_ended else removed,
        reason=describe_exit(code, signal) if has_ended else note["reason"] or "removed",
        exit_code=code,
        signal=signal,
        machine=note["machine"] or None,
        limit_s=note.get("limit_s"),
    )


def bring_home(iteration: Path) -> None:
    """Move what HTCondor brought into the jobs' directories into `2kfalignment`.

    Not of raw files whose last try failed. Raises OSError.
    """
    noted = failures(iteration / "1reco")
    home = iteration / "2kfalignment"
    brought = [
        path
        for path in sorted((iteration / "1reco").glob("*/*/kfalignment_*.root"))
        if noted.keys().isdisjoint(_known_as(path))
    ]
    for path in brought:
        move_whole(path, home / path.name)
    if brought:
        sync_directory(home)


def _known_as(brought: Path) -> set[int]:
    """Return what the raw file of an output is called: by its number, or of several runs by both.

    Never can one be taken for the other.
    """
    run, number = int(brought.parent.parent.name), int(brought.parent.name)
    return {number, with_run(run, number)}


def key_of(iteration: int, dag_key: str) -> str:
    """Return under which key the nodes of an iteration are a submission."""
    return f"iter{iteration:02d}/{dag_key}"


class NodeJobs(BatchSystem):
    """The jobs that nodes were, in the workspace at `root`: over, and nothing to be told of."""

    name = "htcondor"

    def __init__(self, root: Path, *, spool: bool) -> None:
        self._root = root
        self._spool = spool

    def new_key(self, iteration: int, attempt: int) -> str:
        """Refuse."""
        raise _not_ours()

    def find(self, key: str) -> Submission | None:
        """Refuse."""
        raise _not_ours()

    def submit(self, batch: Batch) -> Submission:
        """Refuse."""
        raise _not_ours()

    def poll(self, submission: Submission) -> Tally:
        """Return that all have ended; those without an output for the reason that is noted."""
        problems = tuple(failures(self._iteration(submission) / "1reco").values())
        return Tally(ended=submission.jobs, problems=problems)

    def fetch(self, submission: Submission) -> None:
        """Move outputs that HTCondor brought into the jobs' directories to where they belong."""
        if self._spool:
            bring_home(self._iteration(submission))

    def _iteration(self, submission: Submission) -> Path:
        return self._root / submission.key.partition("/")[0]

    def remedy(self, problem: Problem, releases: int) -> Remedy:
        """Leave it: expressions in the submit description have treated held jobs."""
        return Remedy(Action.LEAVE, problem.reason)

    def release(
        self, submission: Submission, numbers: Collection[int], resources: Resources | None = None
    ) -> None:
        """Refuse."""
        raise _not_ours()

    def remove(
        self, submission: Submission, reason: str, numbers: Collection[int] | None = None
    ) -> None:
        """Do nothing: there is no job left."""


def _not_ours() -> JobError:
    return JobError(
        "these jobs are DAGMan's: nothing can be submitted from a node of a DAG",
        "`auto-iter dag rescue` goes on with the DAG, `auto-iter resume` without it",
    )
