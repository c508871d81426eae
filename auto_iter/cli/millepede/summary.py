"""What a conversion or a solution was, in a few lines for a terminal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from sys import float_info

from auto_iter.detector.labels import STATIONS, Scheme, places
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.results import ModeRecord, SolutionRecord


def format_statistics(statistics: Statistics) -> str:
    """Return tracks, hits, reasons and residual widths per layer, one subject a line."""
    tracks, hits = _reasons(statistics.dropped_tracks), _reasons(statistics.dropped_hits)
    lines = [
        f"tracks {statistics.tracks}, kept {statistics.tracks_kept}{tracks}",
        f"hits {statistics.hits}, kept {statistics.hits_kept}{hits}",
        f"records {statistics.records}",
    ]
    lines += [
        f"layer {number}: residual width {layer.before.width_um:.1f} µm, "
        f"{layer.after.width_um:.1f} µm after cuts ({layer.after.hits} hits)"
        for number, layer in sorted(statistics.layers.items())
    ]
    return "\n".join(lines)


def _reasons(dropped: dict[str, int]) -> str:
    told = ", ".join(f"{reason} {count}" for reason, count in dropped.items() if count)
    return f" (dropped: {told})" if told else ""


def format_solution(record: SolutionRecord) -> str:
    """Return what pede found, one subject a line."""
    lines = [
        f"strategy {record.strategy}, {record.phase}, solver {record.solver}",
        *(
            f"step {number}{f' ({step.name})' if step.name else ''}: "
            f"exit code {step.exit_code}, {step.meaning}; "
            f"chi2/ndf {step.chi2 / step.ndf if step.ndf else 0:.4f}, "
            f"{step.rejects} of {step.records} records rejected"
            for number, step in enumerate(record.steps)
        ),
        *record.in_words,
    ]
    return "\n".join([*lines, *(f"warning: {warning}" for warning in record.warnings)])


def format_spectrum(eigenvalues: Sequence[float]) -> list[str]:
    """Return the spectrum of the data's matrix by decades, largest first; nothing for no values.

    An eigenvalue (in 1/mm², 1/rad², or mixed) is 1/σ² of its combination. What is below the
    rounding errors of the largest is not fixed by the data.
    """
    if not len(eigenvalues):
        return []
    floor = max(eigenvalues[0], 0.0) * len(eigenvalues) * float_info.epsilon
    decades = Counter(math.floor(math.log10(e)) if e > floor else None for e in eigenvalues)
    ordered = sorted((d for d in decades if d is not None), reverse=True)
    lines = [f"{len(eigenvalues)} combinations by eigenvalue, 1/σ² in mm and rad:"]
    lines += [f"  10^{decade:<3d} … 10^{decade + 1:<3d} {decades[decade]:5d}" for decade in ordered]
    return [*lines, f"  not fixed by the data {decades[None]}"] if decades[None] else lines


def format_modes(modes: Iterable[ModeRecord], names: Mapping[int, str]) -> list[str]:
    """Return a line for each combination: how well the data fix it, and what it is made of.

    `names`: what labels stand for.
    """
    return [
        f"mode {number}: {_uncertainty(mode)}; "
        + ", ".join(
            f"{share:+.2f} {names.get(label, f'label {label}')}"
            for label, share in mode.components.items()
        )
        for number, mode in enumerate(modes, 1)
    ]


def _uncertainty(mode: ModeRecord) -> str:
    if mode.uncertainty is None:
        return "not fixed by the data"
    return f"fixed to ±{1e3 * mode.uncertainty:.3g} (µm, mrad)"


def names_of(scheme: Scheme) -> dict[int, str]:
    """Return what each label of a scheme stands for, in words."""
    return {label: place.name for label, place in places(range(STATIONS), scheme).items()}
