"""The setting that cost tracks or hits is named."""

from __future__ import annotations

import pytest

from auto_iter.config.cuts import TrackCuts
from auto_iter.millepede.conversion.statistics import LayerResiduals, Spread, Statistics
from auto_iter.millepede.evidence.losses import Losses
from auto_iter.millepede.rejects import Rejects


@pytest.mark.parametrize(
    ("statistics", "told"),
    [
        (
            Statistics(tracks=100, dropped_tracks={"chi2": 3, "hits": 90, "pz_low": 7}),
            "millepede.cuts.min_hits (15) drops 90 of 100 tracks",
        ),
        (
            Statistics(tracks=100, dropped_tracks={"pz_low": 99, "hits": 1}),
            "millepede.cuts.min_pz_gev (100) drops 99 of 100 tracks",
        ),
        (
            Statistics(
                tracks=100,
                hits=1800,
                dropped_tracks={"hits": 10, "degenerate": 90},
                dropped_hits={"track": 900, "residual": 850, "rotation": 5},
            ),
            "millepede.cuts.max_residual_mm (0.001 mm) drops 850 of 1800 hits",
        ),
        (
            Statistics(tracks=9, tracks_kept=9, hits=160, dropped_hits={"residual": 160}),
            "millepede.cuts.max_residual_mm (0.001 mm) drops 160 of 160 hits",
        ),
        (
            Statistics(tracks=9, tracks_kept=9, hits=160, dropped_hits={"not_computed": 160}),
            "160 of 160 hits are dropped because of what the reconstruction wrote (not_computed)",
        ),
        (Statistics(), "the files hold hardly any tracks or hits"),
    ],
)
def test_the_setting_that_cost_most_tracks_is_named(statistics: Statistics, told: str) -> None:
    losses = Losses(statistics, TrackCuts(max_residual_mm=0.001))
    assert losses.of_tracks().startswith(told)
    wanted = losses.of_tracks() if statistics.tracks else "use more raw files"
    assert losses.want_of_hits() == wanted


def test_the_advice_on_rejected_tracks_names_the_setting_that_let_them_in() -> None:
    wide = Spread(hits=100, sum_mm2=100 * 0.8**2)
    statistics = Statistics(
        hits=100, dropped_hits={"residual": 40}, layers={"20": LayerResiduals(after=wide)}
    )
    losses = Losses(statistics, TrackCuts(max_residual_mm=5.0))
    assert losses.by_rejects(Rejects()) == ""
    assert losses.by_rejects(Rejects(singular=5, no_freedom=20, huge=3)).startswith(
        "these tracks have too few hits left for a fit: "
        "millepede.cuts.max_residual_mm (5 mm) drops 40 of 100 hits: loosen it, or"
    )
    for rejects, cut in ((Rejects(huge=30, large=2), "hugecut"), (Rejects(large=9), "chisqcut")):
        advice = losses.by_rejects(rejects)
        assert (
            "residuals are 800 µm (rms, worst layer) after millepede.cuts.max_residual_mm (5 mm)"
            in advice
        )
        assert advice.endswith(f"the strategy's {cut})")
