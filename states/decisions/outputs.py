"""Reconstructed files as they come in: converted to Mille, and rejected when they are bad.

Converting reads every track, so it is also the check that an output is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from auto_iter.alignment.model import Problem, Trouble
from auto_iter.alignment.ports import Conversion
from auto_iter.alignment.snapshot import Snapshot
from states.step import Note, Ports


def convert(snapshot: Snapshot, ports: Ports) -> tuple[Snapshot, Conversion, tuple[Note, ...]]:
    """Convert what was delivered; count bad outputs as failures of their raw files."""
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    conversion = ports.millepede.convert(snapshot.stage, delivered)
    notes = []
    bad = {number: f"{reason} (set aside as *.bad)" for number, reason in conversion.bad.items()}
    for number, reason in sorted(bad.items()):
        ports.reconstruction.reject(snapshot.iteration, number)
        notes.append(Note("bad output", {"file": number, "reason": reason}, "warning"))
        snapshot = brought(snapshot, number)
    return counted(snapshot, "failures", bad), conversion, tuple(notes)


def brought(snapshot: Snapshot, number: int) -> Snapshot:
    """Remember of the submission that brought a raw file's output that this job of it is over."""
    for attempt in snapshot.live_attempts:
        if attempt.may_bring(number):
            return without(snapshot, attempt.key, [number])
    return snapshot


def without(snapshot: Snapshot, key: str, numbers: Iterable[int]) -> Snapshot:
    """Return the snapshot in which one submission is not expected to bring some raw files."""
    known = next(each.failed for each in snapshot.attempts if each.key == key)
    return snapshot.but_attempts([key], failed=tuple(sorted({*known, *numbers})))


def counted(
    snapshot: Snapshot, kind: Literal["failures", "losses"], reasons: Mapping[int, str]
) -> Snapshot:
    """Return the snapshot with one more failed try, or loss, of each raw file in `reasons`."""
    if not reasons:
        return snapshot
    so_far: Mapping[int, int] = getattr(snapshot, kind)
    counts = {**so_far, **{number: so_far.get(number, 0) + 1 for number in reasons}}
    return snapshot.but(**{kind: counts}, troubles={**snapshot.troubles, **reasons})


def how_it_failed(snapshot: Snapshot, number: int, ports: Ports) -> str:
    """Say why a raw file has no output, and what its last job left."""
    problem = Problem(number, Trouble.FAILED, snapshot.troubles.get(number, "no output"))
    return ports.reconstruction.evidence(snapshot.iteration, problem)
