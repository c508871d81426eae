"""The chain of evidence as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from auto_iter.detector.constants_table import format_difference
from auto_iter.times import to_the_minute
from auto_iter.workspace.manifest import Link

if TYPE_CHECKING:
    from auto_iter.ledger.difference import Difference
    from auto_iter.ledger.reproduce import Reproduced

HASH = 8
"""So many digits of a hash are shown: enough to tell constants apart."""
LARGEST_PULLS = 3.0
CERTAINLY_OTHER = 1e-3
"""A p-value below is no accident: one comparison in a thousand has it where nothing moved."""


def log_lines(chain: Sequence[Link]) -> Iterator[str]:
    """Yield a line for each iteration, and below it what a person should know of it."""
    yield "iter  finished          files   tracks  chi2/ndf  change/σ  constants  manifest"
    for link in chain:
        record = link.record
        when = to_the_minute(record.finished_at)
        yield (
            f"{record.iteration:4d}  {when}  {record.files:5d} {record.tracks:8d}  "
            f"{record.chi2_ndf_of_tracks:8.4f}  {record.largest_pull:8.2f}  "
            f"{record.hashes.constants[:HASH]:<9}  {record.manifest[:HASH]}".rstrip()
        )
        origin = None if link.manifest is None else link.manifest.origin
        if origin is not None and record.iteration == 1:
            yield f"      branched from {origin.workspace} iteration {origin.iteration}"
        if record.by_hand is not None:
            yield f"      {record.by_hand}"
        yield from (f"      {each}" for each in record.warnings if each.startswith("rolled back"))
        if link.fault:
            yield "      " + (f"BROKEN: {link.fault}" if record.manifest else link.fault)


def agreement_lines(found: Difference) -> Iterator[str]:
    """Yield what a comparison of two samples amounts to."""
    yield (
        f"{found.dof} independent combinations that both data determine "
        f"({found.weak} weakly constrained ones left out): chi2 {found.chi2:.1f}"
    )
    beyond = sum(abs(each) > LARGEST_PULLS for each in found.pulls)
    yield f"largest difference {found.largest_pull:.1f} σ; {beyond} beyond {LARGEST_PULLS:g} σ"
    if found.alone:
        yield (
            f"{found.alone} parameters were free in only one of them: if they are wrong in the "
            "other one, that adds to the difference"
        )
    if found.p_value is None:
        yield (
            f"{found.shared} raw files are in both, so that the two are not independent: these "
            "σ are too large for their difference, and there is no p-value"
        )
        return
    same = found.p_value >= CERTAINLY_OTHER
    words = "compatible with one detector" if same else "NOT the same detector"
    yield f"p-value {found.p_value:.2g}: {words}"


def reproduced_lines(found: Reproduced) -> Iterator[str]:
    """Yield whether an iteration's constants were found again, and if not, why."""
    what = f"iteration {found.iteration}, {found.raw_files} raw files"
    if found.is_identical:
        yield f"{what}: reproduced, byte by byte"
    else:
        yield f"{what}: NOT reproduced"
        yield format_difference(found.moved)
    yield from (f"other than then: {reason}" for reason in found.reasons)
    if not found.is_identical and not found.reasons:
        yield "the same versions, settings and tracks: constants or manifest were changed"
