"""The raw files of an alignment: what state each is in, and which of them a person may mean."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.htcondor.dagman.nodes import failures
from auto_iter.daemon.lifecycle import Opened, held_out_files, limits, reconstruction
from auto_iter.errors import UsageError
from auto_iter.rawfiles import RawRange, spoken
from auto_iter.several_runs import RunFiles

NAMED = 5
"""So many raw files are named in an error."""


@dataclass(frozen=True)
class RawFile:
    """One raw file in the current iteration.

    `reason`: what was last wrong with it; `held_out`: it has no part in the fit, and judges it.
    """

    number: int
    state: str
    failed: int = 0
    lost: int = 0
    reason: str = ""
    held_out: bool = False

    def as_json(self) -> dict[str, Any]:
        """Return it for programs; the keys are stable."""
        return {**asdict(self), "file": spoken(self.number)}

    @property
    def words(self) -> str:
        """Return a line for a person."""
        tries = {"failed": self.failed, "lost": self.lost}
        said = ["held out of the fit"] if self.held_out else []
        said += [f"{times} {how}" for how, times in tries.items() if times]
        line = f"{spoken(self.number)}  {self.state:<15} {'; '.join([*said, self.reason])}"
        return line.rstrip("; ")


def raw_files(opened: Opened) -> list[RawFile]:
    """Return all raw files of an alignment, in order, with what the checkpoint and the disk say."""
    snapshot = opened.snapshot
    delivered = reconstruction(opened).delivered(snapshot.iteration)
    reco, out = limits(opened), held_out_files(opened)
    troubles = {**_under_dagman(opened), **snapshot.troubles}
    return [
        RawFile(
            number,
            _state(snapshot, number, delivered, (reco.max_attempts, reco.max_losses)),
            snapshot.failures.get(number, 0),
            snapshot.losses.get(number, 0),
            troubles.get(number, ""),
            number in out,
        )
        for number in snapshot.arguments.files
    ]


def _under_dagman(opened: Opened) -> dict[int, str]:
    """Return how nodes failed that the checkpoint does not know of before Millepede's turn."""
    snapshot = opened.snapshot
    if snapshot.dag is None:
        return {}
    paths = opened.workspace.iteration(snapshot.iteration, snapshot.arguments.run)
    return {number: problem.reason for number, problem in failures(paths.reco).items()}


def _state(
    snapshot: Snapshot, number: int, delivered: frozenset[int], most: tuple[int, int]
) -> str:
    tries = snapshot.failures.get(number, 0), snapshot.losses.get(number, 0)
    is_so = {
        "left out": number in snapshot.skipped,
        "missing": number in snapshot.excluded,
        "reconstructed": number in delivered,
        "held": number in snapshot.held_since,
        "in the queue": any(each.may_bring(number) for each in snapshot.live_attempts),
        "gave up": tries[0] >= most[0] or tries[1] >= most[1],
        "outstanding": True,
    }
    return next(state for state, it_is in is_so.items() if it_is)


def numbers_of(words: Iterable[str], arguments: Arguments) -> tuple[int, ...]:
    """Return the raw files that `400`, `00400`, `400-450` … mean, in order. Raises UsageError.

    In an alignment of several runs with the run: `011705:400`, `011705:400-450`.
    """
    if arguments.run is None:
        ranges = [RunFiles.parse(part) for word in words for part in word.split(",")]
        return tuple(sorted({raw for each in ranges for raw in each.numbers}))
    return tuple(sorted({number for word in words for number in RawRange.parse(word)}))


def refuse_unfit(files: Sequence[RawFile], meant: Sequence[int], *, skip: bool) -> None:
    """Raise UsageError where tries cannot be given back to raw files, or they not be left out."""
    states = {each.number: each.state for each in files}
    _refuse([n for n in meant if n not in states], "not of this alignment")
    _refuse([n for n in meant if states[n] in {"left out", "missing"}], "left out already")
    if not skip:
        _refuse([n for n in meant if states[n] == "reconstructed"], "reconstructed already")
        return
    of_fit = (each for each in files if not each.held_out)
    left = [each.number for each in of_fit if each.state not in {"left out", "missing"}]
    if not set(left) - set(meant):
        raise UsageError(
            "no raw file of the fit would be left; `auto-iter stop --jobs` ends an alignment"
        )


def _refuse(numbers: Sequence[int], why: str) -> None:
    if numbers:
        named = " ".join(spoken(number) for number in numbers[:NAMED])
        more = f" and {len(numbers) - NAMED} more" if len(numbers) > NAMED else ""
        raise UsageError(f"raw files {named}{more}: {why}; `auto-iter files` lists them all")
