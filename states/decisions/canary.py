"""The canary: where something was never tried before, one raw file is tried alone.

What jobs are made of is known by its hash, the recipe. It is proven once an output that was made by
it could be read; then the other raw files follow. So a typo costs one job, not hundreds, and later
iterations, whose jobs are made of the same, begin with all of theirs.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, Literal

from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.ports import Reconstruction
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.errors import JobError
from states.decisions.outputs import how_it_failed
from states.step import Note, Ports

Setting = Literal["auto"] | bool | int

AUTO: Final = 20
"""With more raw files than this, `reco.canary: auto` tries one first."""

MOST: Final = 2
"""So many raw files are tried, one after the other: the first may be the only bad one."""


def untried(snapshot: Snapshot, setting: Setting, reconstruction: Reconstruction) -> str | None:
    """Return the recipe by which many files are to be made now and none ever was; None: no such.

    `setting`: `reco.canary`.
    """
    least = _most_without(setting)
    before_that_was_noted = snapshot.proven is None and snapshot.history
    if least is None or before_that_was_noted:
        return None
    delivered = reconstruction.delivered(snapshot.iteration)
    if len(reconstruction.wanted() - delivered) <= least:
        return None
    recipe = reconstruction.recipe(snapshot.iteration)
    return None if recipe == snapshot.proven else recipe


def _most_without(setting: Setting) -> int | None:
    """Return how many files are submitted without a canary; None for any number."""
    if isinstance(setting, bool):
        return 1 if setting else None
    return AUTO if isinstance(setting, str) else setting


def next_file(snapshot: Snapshot, free: Sequence[int], recipe: str, ports: Ports) -> int | None:
    """Return the raw file of which to submit the only job; None when it is there, or gave up.

    `free`: raw files, in order, without an output and of which no job runs.
    """
    being_read = ports.reconstruction.delivered(snapshot.iteration)
    for each in _tries(snapshot, recipe):
        # Once something else was submitted, what is there may be of that.
        is_its_output = each.first in being_read and each == snapshot.attempts[-1]
        if each.first is not None and (each.may_bring(each.first) or is_its_output):
            return None
    failed = _failed(snapshot, recipe, ports)
    if len(failed) >= MOST:
        return None
    marked = {*snapshot.failures, *failed}
    without_a_mark = [number for number in free if number not in marked]
    return next(iter(without_a_mark or free), None)


def _tries(snapshot: Snapshot, recipe: str) -> list[Attempt]:
    return [each for each in snapshot.attempts if each.is_canary and each.recipe == recipe]


def _failed(snapshot: Snapshot, recipe: str, ports: Ports) -> list[int]:
    """Return the canaries that failed, or whose jobs were lost as often as they may be."""
    firsts = {each.first for each in _tries(snapshot, recipe) if each.first is not None}
    most = ports.policy.reco.max_losses
    lost = {number for number, times in snapshot.losses.items() if times >= most}
    return sorted(firsts & (snapshot.failures.keys() | lost))


def read(snapshot: Snapshot, converted: Collection[int]) -> tuple[Snapshot, tuple[Note, ...]]:
    """Return the snapshot that knows a recipe to be proven where an output of it was converted."""
    last = snapshot.attempts[-1:]
    telling = [each for each in snapshot.attempts if each.is_canary or each in last]
    brought = [each for each in telling if each.recipe and _brought_some(each, converted, snapshot)]
    if not brought or brought[-1].recipe == snapshot.proven:
        return snapshot, ()
    note = Note("its output was read, the other files follow", {"file": brought[-1].first})
    return snapshot.but(proven=brought[-1].recipe), (note,) if brought[-1].is_canary else ()


def _brought_some(attempt: Attempt, converted: Collection[int], snapshot: Snapshot) -> bool:
    """Tell whether an output is certainly one of `attempt`'s: not of jobs made of something else.

    A range covers files, too, that were there already; a list or a canary what was outstanding.
    """
    is_exact = attempt.is_canary or attempt.files is not None
    others = [each for each in snapshot.attempts if not is_exact and each.recipe != attempt.recipe]
    return any(
        attempt.covers(n) and n not in attempt.failed and not any(each.covers(n) for each in others)
        for n in converted
    )


def refuse_the_rest(snapshot: Snapshot, ports: Ports) -> None:
    """Raise JobError when enough canaries failed, so that no other raw file is to be submitted."""
    recipe = untried(snapshot, ports.policy.reco.canary, ports.reconstruction)
    failed = [] if recipe is None else _failed(snapshot, recipe, ports)
    if len(failed) < MOST:
        return
    left = len(ports.reconstruction.wanted()) - len(failed)
    lines = [
        f"{len(failed)} raw files were tried first and failed; the other {left} were not submitted"
    ]
    lines += [how_it_failed(snapshot, number, ports) for number in failed]
    raise JobError(
        "\n".join(lines),
        "fix the cause, then `auto-iter resume`; where just these files are bad, "
        "`auto-iter resume --set reco.canary=false` submits the others",
    )
