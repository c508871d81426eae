"""Reconstructed files as they come in: converted to Mille, and rejected when they are bad.

Converting reads every track, so it is also the check that an output is whole.
"""

from __future__ import annotations

from collections.abc import Iterable

from auto_iter.ports import Conversion
from auto_iter.snapshot import Snapshot
from states.step import Note, Ports


def convert(snapshot: Snapshot, ports: Ports) -> tuple[Snapshot, Conversion, tuple[Note, ...]]:
    """Convert what was delivered; count bad outputs as failures of their raw files.

    While the submission that brought them is live they are only set aside: what it did not bring is
    counted at its end, and must not be counted twice.
    """
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    conversion = ports.millepede.convert(snapshot.stage, delivered)
    notes = []
    bad = {number: f"{reason} (set aside as *.bad)" for number, reason in conversion.bad.items()}
    for number, reason in sorted(bad.items()):
        ports.reconstruction.reject(snapshot.iteration, number)
        notes.append(Note("bad output", {"file": number, "reason": reason}, "warning"))
    live = snapshot.live_attempts
    counted_later = {n: why for n, why in bad.items() if any(each.covers(n) for each in live)}
    if counted_later:
        snapshot = snapshot.but(troubles={**snapshot.troubles, **counted_later})
    now = ((number, why) for number, why in bad.items() if number not in counted_later)
    return count_failures(snapshot, now), conversion, tuple(notes)


def count_failures(snapshot: Snapshot, failed: Iterable[tuple[int, str]]) -> Snapshot:
    """Return the snapshot with one more failed try, and its reason, for each of `failed`."""
    troubles = dict(failed)
    if not troubles:
        return snapshot
    counts = {number: snapshot.failures.get(number, 0) + 1 for number in troubles}
    return snapshot.but(
        failures={**snapshot.failures, **counts}, troubles={**snapshot.troubles, **troubles}
    )
