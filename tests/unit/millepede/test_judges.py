"""What only held-out files are asked, and what only they can be refused for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auto_iter.millepede.conversion.kfalignment import CHARGE, PZ
from auto_iter.millepede.conversion.statistics import Spread
from auto_iter.millepede.converting import convert_sources
from auto_iter.millepede.requests import ConvertRequest, Source
from auto_iter.millepede.results import ConversionRecord, read_record
from tests.support.kfalignment import branches, sources, write

Tracks = dict[str, Any]


@pytest.fixture(scope="module")
def tracks() -> Tracks:
    """Return tracks of the test data, half of them positive."""
    found = branches(sources("clean")[0])
    found[CHARGE] = np.where(np.arange(len(found[PZ])) % 2, 1.0, -1.0)
    return found


def converted(place: Path, tracks: Tracks, *, judges: bool) -> ConversionRecord:
    """Return the record of the tracks' conversion, as it was written."""
    root = write(place / "kfalignment.root", tracks)
    source = Source(
        number=400,
        root=root,
        binary=place / "mp2input.bin",
        statistics=place / "mp2input.json",
        judges=judges,
    )
    (record,) = convert_sources(ConvertRequest(sources=(source,)))
    assert read_record(source.statistics) == record
    return record


def test_only_a_file_that_judges_is_asked_for_what_judges_by(
    tmp_path: Path, tracks: Tracks
) -> None:
    judge = converted(tmp_path, tracks, judges=True)
    in_fit = converted(tmp_path, tracks, judges=False)
    assert (judge.judges, in_fit.judges) == (True, False)
    told = judge.statistics.curvatures
    assert told.keys() == {"+", "-"}
    assert sum(each.tracks for each in told.values()) == judge.statistics.tracks_kept
    assert in_fit.statistics == judge.statistics.model_copy(
        update={"curvatures": {}, "matching": Spread()}
    )
    assert in_fit.binary == judge.binary
    assert in_fit.source.tracks == judge.source.tracks


def test_a_charge_that_is_none_matters_only_where_charges_are_compared(
    tmp_path: Path, tracks: Tracks
) -> None:
    charge = tracks[CHARGE].copy()
    charge[7] = np.nan
    broken = {**tracks, CHARGE: charge}
    assert converted(tmp_path, broken, judges=False).error is None
    error = converted(tmp_path, broken, judges=True).error
    assert error is not None
    assert error.endswith(f"branch {CHARGE!r} holds NaN or infinite numbers")
