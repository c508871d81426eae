"""Constants are checked before they are used, and made whole again where that can be.

Jobs and solver read them from files, which anything may happen to; what they have to be is in the
checkpoint. Where nothing at hand has the constants of the iteration before, it is solved again.
"""

from __future__ import annotations

from contextlib import suppress

from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.model import Stage
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.errors import LostConstantsError, OutdatedError
from auto_iter.rawfiles import spoken
from states.decisions.outputs import brought
from states.step import Note, Ports, Stay

MENDED = "does not match its checksum; written again"


def found_before(snapshot: Snapshot, ports: Ports) -> tuple[Stay | None, tuple[Note, ...]]:
    """See that what the iteration before found is whole; return what to do first where it is not.

    Raises LostConstantsError when it cannot be made again.
    """
    try:
        return None, _mended(snapshot, ports)
    except LostConstantsError as lost:
        before = snapshot.history[-1]
        # what it started from is needed to find them again
        stage = snapshot.stage_of(before.iteration)
        start = ports.reconstruction.mend_start(stage, before.hashes.constants_before)
        if start is not None:
            note = Note(MENDED, {"file": start.path}, "warning")
            return Stay(snapshot, wait_s=0, notes=(note,)), ()
        return _solved_again(snapshot, before, lost, ports), ()


def _mended(snapshot: Snapshot, ports: Ports) -> tuple[Note, ...]:
    """See that what the iteration before found is whole. Raises LostConstantsError."""
    before = snapshot.history[-1] if snapshot.history else None
    if before is None or before.iteration != snapshot.iteration - 1:
        return ()
    mended = ports.reconstruction.mend_found(before.iteration, before.hashes.constants)
    return () if mended is None else (Note(MENDED, {"file": mended}, "warning"),)


def _solved_again(
    snapshot: Snapshot, before: IterationRecord, lost: LostConstantsError, ports: Ports
) -> Stay:
    """Find the constants of the iteration before again, from its outputs as they are now."""
    if before.by_hand is not None or not before.hashes.constants:
        raise lost
    stage = snapshot.stage_of(before.iteration)
    files = ports.reconstruction.delivered(stage.iteration)
    if len(files) != before.files:
        raise LostConstantsError(
            f"{lost.reason}; {len(files)} of the {before.files} outputs that they were found with "
            "are still there",
            lost.remedy,
        ) from lost
    conversion = ports.millepede.convert(stage, files)
    if conversion.bad:
        bad = ", ".join(f"{spoken(number)} {why}" for number, why in sorted(conversion.bad.items()))
        raise LostConstantsError(
            f"{lost.reason}; outputs that they were found with are bad: {bad}", lost.remedy
        ) from lost
    if conversion.pending:
        return Stay(snapshot)
    try:
        solution = ports.millepede.solve(stage, files)
    except OutdatedError:
        return Stay(snapshot, wait_s=0)
    fields: dict[str, object] = {"of_iteration": before.iteration, "reason": lost.reason}
    note = Note("does not match its checksum; solved again", fields, "warning")
    if solution is None:
        return Stay(snapshot, notes=(note,))
    if solution.hashes.constants != before.hashes.constants:
        raise LostConstantsError(
            f"{lost.reason}; solved again, iteration {before.iteration} gives other constants: its "
            "outputs or the settings are others now",
            lost.remedy,
        ) from lost
    return Stay(snapshot, wait_s=0)


def in_use(snapshot: Snapshot, ports: Ports) -> tuple[Snapshot, tuple[Note, ...]]:
    """See that the constants in use are whole: this iteration's, and those it all began with.

    Outputs that may have been made with damaged ones are set aside. Raises LostConstantsError.
    """
    notes: list[Note] = []
    for stage, expected in _used(snapshot):
        mended = ports.reconstruction.mend_start(stage, expected)
        if mended is None:
            continue
        notes.append(Note(MENDED, {"file": mended.path}, "warning"))
        for number in sorted(mended.suspects) if stage == snapshot.stage else ():
            ports.reconstruction.reject(stage.iteration, number)
            why = "made while the constants were damaged (set aside as *.bad)"
            notes.append(Note("bad output", {"file": number, "reason": why}, "warning"))
            snapshot = brought(snapshot, number)
    with suppress(LostConstantsError):  # this iteration has its own copy
        notes += _mended(snapshot, ports)
    return snapshot, tuple(notes)


def _used(snapshot: Snapshot) -> list[tuple[Stage, str]]:
    first = snapshot.history[0] if snapshot.history else None
    used = [(snapshot.stage, snapshot.constants)]
    if first is not None and first.iteration == 1:
        used.insert(0, (snapshot.stage_of(1), first.hashes.constants_before))
    return used
