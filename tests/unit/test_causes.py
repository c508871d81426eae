"""A refusal names the setting that is behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.errors import PhysicsError
from auto_iter.millepede.causes import (
    RefusalError,
    Rejects,
    cut_to_blame,
    cuts_are_suspected,
    read_rejects,
)
from auto_iter.millepede.statistics import Statistics

PEDE_OUT = """
 Data rejected in previous loop:   
             618  (rank deficit/NaN)          278  (Ndf=0)              0  (huge)              5  (large)
 Too many rejects (>33.3%) - stop
"""  # noqa: E501, W291 - as pede prints it


@pytest.mark.parametrize(
    ("rejects", "setting"),
    [
        (Rejects(618, 278, 0, 5), "millepede.cuts.max_residual_mm"),
        (Rejects(0, 5, 4, 3), "millepede.cuts.max_residual_mm"),
        (Rejects(1, 1, 30, 3), "pede.hugecut"),
        (Rejects(1, 1, 3, 30), "chisqcut"),
    ],
)
def test_the_setting_behind_most_rejects_is_named(rejects: Rejects, setting: str) -> None:
    assert setting in rejects.remedy
    settings = ("max_residual_mm", "hugecut", "chisqcut")
    assert sum(name in rejects.remedy for name in settings) == 1


def test_what_pede_prints_before_it_stops_is_read(tmp_path: Path) -> None:
    (tmp_path / "pede.out").write_text(PEDE_OUT)
    assert read_rejects(tmp_path / "pede.out") == Rejects(618, 278, 0, 5)
    (tmp_path / "pede.out").write_text("nothing of that kind")
    assert read_rejects(tmp_path / "pede.out") is None
    assert read_rejects(tmp_path / "none.out") is None


def statistics(
    tracks: dict[str, int] | None = None, hits: dict[str, int] | None = None
) -> Statistics:
    return Statistics(tracks=100, hits=2000, dropped_tracks=tracks or {}, dropped_hits=hits or {})


@pytest.mark.parametrize(
    ("found", "setting"),
    [
        (statistics(tracks={"chi2": 60}), "millepede.cuts.max_chi2 leaves out 60 of 100 tracks"),
        (statistics(tracks={"pz_low": 60}), "millepede.cuts.min_pz_gev"),
        (statistics(tracks={"pz_high": 60}), "millepede.cuts.max_pz_gev"),
        (statistics(tracks={"hits": 60}), "millepede.cuts.min_hits"),
        (
            statistics(tracks={"hits": 40}, hits={"track": 1000, "residual": 600}),
            "millepede.cuts.max_residual_mm leaves out 600 of 1000 hits",
        ),
    ],
)
def test_the_cut_that_takes_most_is_blamed(found: Statistics, setting: str) -> None:
    assert setting in str(cut_to_blame(found))
    with pytest.raises(RefusalError, match=r"^refused; ") as caught, cuts_are_suspected(found):
        raise RefusalError("refused", "something general")
    assert setting in caught.value.remedy
    assert "general" not in str(caught.value)


def test_no_cut_is_blamed_for_what_it_does_not_do() -> None:
    usual = statistics(tracks={"hits": 9, "chi2": 5}, hits={"track": 280, "residual": 100})
    assert cut_to_blame(usual) is None
    with pytest.raises(RefusalError, match="refused; general"), cuts_are_suspected(usual):
        raise RefusalError("refused", "general")
    narrow = statistics(hits={"residual": 1900})
    with pytest.raises(PhysicsError, match="too long; raise"), cuts_are_suspected(narrow):
        raise PhysicsError("too long", "raise millepede.time_limit_s")
