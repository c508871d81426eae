"""The sample: whether raw files that an iteration did without are tried again by the next ones."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from auto_iter.alignment.snapshot import Snapshot
from states.step import Note


def with_sample(
    snapshot: Snapshot, left_out: Iterable[int], lost_files: Literal["retry", "same"]
) -> tuple[Snapshot, tuple[Note, ...]]:
    """Return the snapshot after an iteration that `left_out` raw files, and what to say of them.

    `same`: they stay left out, so that later iterations have its sample and chi2 can be compared.
    `retry`: those that were left out in that way before are tried again, too.
    """
    by_hand = {n: first for n, first in snapshot.skipped.items() if n not in snapshot.lost}
    if lost_files == "retry":
        back = sorted(snapshot.lost)
        notes = (Note("tried again from now on", {"files": back}),) if back else ()
        return snapshot.but(skipped=by_hand, lost=()), notes
    new = sorted(set(left_out) - set(snapshot.skipped))
    if not new:
        return snapshot, ()
    note = Note("left out from now on", {"files": new, "because": "reco.lost_files"}, "warning")
    skipped = {**snapshot.skipped, **dict.fromkeys(new, snapshot.iteration + 1)}
    return snapshot.but(skipped=skipped, lost=(*snapshot.lost, *new)), (note,)
