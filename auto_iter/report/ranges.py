"""What the tracks of each range say in an alignment of several runs: whether they see one detector.

Residuals are those of the last iteration's tracks in the fit, as reconstructed. Where the detector
moved between two ranges, a mean lies on one side in the one and on the other in the other.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from auto_iter.detector.labels import component_of_number
from auto_iter.errors import InputError
from auto_iter.millepede.conversion.statistics import Spread, Statistics, total
from auto_iter.millepede.evidence.hold_out import FEWEST_HITS
from auto_iter.millepede.results import ConversionRecord, read_record
from auto_iter.report.history import History
from auto_iter.several_runs import RunFiles, SeveralRuns

TINY_UM = 1e-6


@dataclass(frozen=True)
class RangeSummary:
    """One range: raw files and tracks in the fit, χ²/ndf of these, residuals (µm) of their hits.

    `mean_um`: the mean of a layer or module, `place`, that is the most of its statistical errors,
    `error_um`, away from zero; None without hits. `width_um`: of all residuals together.
    """

    range: str
    weight: float
    files: int
    tracks: int
    chi2_ndf: float
    mean_um: float | None
    error_um: float
    place: str
    width_um: float


def ranges_of(history: History) -> tuple[RangeSummary, ...]:
    """Return a summary of each range; nothing where there is one run, or no iteration yet."""
    files = None if history.snapshot is None else history.snapshot.arguments.files
    if not isinstance(files, SeveralRuns) or not history.iterations:
        return ()
    records = _records(history)
    return tuple(_summary(part, records) for part in files.parts)


def _records(history: History) -> dict[int, ConversionRecord]:
    """Return the records of the raw files in the last fit, as far as they can be read."""
    in_fit, found = set(history.last.solution.binaries), dict[int, ConversionRecord]()
    for path in sorted(history.last.paths.mille.glob("*.json")):
        if path.with_suffix(".bin").name not in in_fit:
            continue
        try:
            record = read_record(path)
        except InputError:
            continue
        found[record.number] = record
    return found


def _summary(part: RunFiles, records: dict[int, ConversionRecord]) -> RangeSummary:
    own = [records[number].statistics for number in part.numbers if number in records]
    statistics = total(own) if own else Statistics()
    parts = {number: statistics.part(number) for number in statistics.parts}
    means = {number: each for number, each in parts.items() if each.hits >= FEWEST_HITS}
    worst = max(means, key=lambda number: _significance(means[number]), default="")
    return RangeSummary(
        range=f"{part.run:06d}:{part.files.text}",
        weight=part.weight,
        files=len(own),
        tracks=statistics.tracks_kept,
        chi2_ndf=statistics.chi2_kept / max(statistics.ndf_kept, 1),
        mean_um=means[worst].mean_um if worst else None,
        error_um=_error_um(means[worst]) if worst else 0.0,
        place=component_of_number(worst).name if worst else "",
        width_um=sum((each.after for each in statistics.layers.values()), start=Spread()).width_um,
    )


def _error_um(spread: Spread) -> float:
    """Return the statistical error of a mean."""
    return spread.width_um / math.sqrt(spread.hits)


def _significance(spread: Spread) -> float:
    return abs(spread.mean_um) / max(_error_um(spread), TINY_UM)
