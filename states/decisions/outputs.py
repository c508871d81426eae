"""Reconstructed files as they come in: converted to Mille, and rejected when they are bad.

Converting reads every track, so it is also the check that an output is whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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
    return count_failures(snapshot, bad.items()), conversion, tuple(notes)


def brought(snapshot: Snapshot, number: int) -> Snapshot:
    """Remember of the submission that brought a raw file's output that this job of it is over."""
    for attempt in snapshot.live_attempts:
        if attempt.may_bring(number):
            return without(snapshot, attempt.key, [number])
    return snapshot


def without(snapshot: Snapshot, key: str, numbers: Iterable[int]) -> Snapshot:
    """Return the snapshot in which one submission is not expected to bring some raw files."""
    attempts = tuple(
        each.model_copy(update={"failed": tuple(sorted({*each.failed, *numbers}))})
        if each.key == key
        else each
        for each in snapshot.attempts
    )
    return snapshot.but(attempts=attempts)


def count_failures(snapshot: Snapshot, failed: Iterable[tuple[int, str]]) -> Snapshot:
    """Return the snapshot with one more failed try, and its reason, for each of `failed`."""
    troubles = dict(failed)
    if not troubles:
        return snapshot
    counts = _one_more(snapshot.failures, troubles)
    return snapshot.but(failures=counts, troubles={**snapshot.troubles, **troubles})


def count_losses(snapshot: Snapshot, lost: Iterable[tuple[int, str]]) -> Snapshot:
    """Return the snapshot with one more loss, and its reason, for each of `lost`: no failed try."""
    troubles = dict(lost)
    if not troubles:
        return snapshot
    counts = _one_more(snapshot.losses, troubles)
    return snapshot.but(losses=counts, troubles={**snapshot.troubles, **troubles})


def _one_more(counts: Mapping[int, int], numbers: Iterable[int]) -> dict[int, int]:
    return {**counts, **{number: counts.get(number, 0) + 1 for number in numbers}}
