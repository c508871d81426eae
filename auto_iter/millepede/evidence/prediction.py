"""What a solution predicts of the tracks that it was found with, before its constants are applied.

What they show afterwards is looked at where they are converted (`second_look`): solving reads no
ROOT files, and starts without what that takes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from auto_iter.detector.labels import Scheme
from auto_iter.files import digest
from auto_iter.millepede.evidence.amplitude import look_at
from auto_iter.millepede.mille.file import read_blocks
from auto_iter.millepede.mille.records import Measurements
from auto_iter.millepede.results import ConversionRecord, Prediction


def predict(
    change: Mapping[int, float],
    constants: str,
    labels: Scheme,
    records: Sequence[ConversionRecord],
    binaries: Sequence[Path],
) -> Prediction | None:
    """Return what the Mille `binaries` show of `change`, which leads to `constants` (their text).

    `change`: by label, in mm and rad, to be added to the constants. `records`: of their
    conversions, in the same order, with the same cuts. None without any. Formulas: `amplitude`.
    Raises MilleError when a binary is damaged.
    """
    sound = [(r, b) for r, b in zip(records, binaries, strict=True) if r.error is None]
    if not sound:
        return None
    cuts = sound[0][0].cuts
    stations = sorted(set[int]().union(*(record.statistics.stations for record, _ in sound)))
    parts = [sorted(change.items()), cuts.model_dump(), asdict(labels), stations]
    return Prediction(
        key=digest(json.dumps(parts).encode()),
        constants=digest(constants.encode()),
        cuts=cuts,
        labels=labels,
        stations=tuple(stations),
        files={r.number: look_at(_records(b), change, r.statistics) for r, b in sound},
    )


def _records(binary: Path) -> Iterator[Measurements]:
    return (block.measurements(binary) for block in read_blocks(binary, fortran=False))
