"""What tracks and hits were lost to, in words that name the setting, for whoever mends it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from auto_iter.config.cuts import TrackCuts
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.rejects import Rejects

TRACK_SETTINGS = {
    "chi2": "max_chi2",
    "pz_low": "min_pz_gev",
    "pz_high": "max_pz_gev",
    "hits": "min_hits",
}
"""The cut (of `millepede.cuts`) behind a reason to drop a track."""


@dataclass(frozen=True)
class Losses:
    """The statistics of a conversion, and the cuts that it was made with."""

    statistics: Statistics
    cuts: TrackCuts

    def of_tracks(self) -> str:
        """Return what most tracks, or their hits, were lost to: the setting and its value.

        A track without hits, or without those that tell its parameters apart, lost them to cuts on
        hits.
        """
        tracks = self.statistics
        lost = dict(tracks.dropped_tracks)
        by_hits = lost.pop("degenerate", 0) + max(tracks.tracks_kept - tracks.records, 0)
        reason = _most(lost)
        if reason not in TRACK_SETTINGS or lost[reason] <= by_hits:
            return self.of_hits()
        name = TRACK_SETTINGS[reason]
        return (
            f"millepede.cuts.{name} ({getattr(self.cuts, name):g}) drops {lost[reason]} of "
            f"{tracks.tracks} tracks: loosen it, or look at these tracks"
        )

    def of_hits(self) -> str:
        """Return what most hits of the tracks within the cuts were lost to."""
        lost = {r: n for r, n in self.statistics.dropped_hits.items() if r != "track"}
        reason = _most(lost)
        if not lost.get(reason):
            return "the files hold hardly any tracks or hits"
        share = f"{lost[reason]} of {self.statistics.hits} hits"
        if reason != "residual":
            return f"{share} are dropped because of what the reconstruction wrote ({reason})"
        return (
            f"millepede.cuts.max_residual_mm ({self.cuts.max_residual_mm:g} mm) drops {share}: "
            "loosen it, or look at the constants that the tracks were reconstructed with"
        )

    def want_of_hits(self) -> str:
        """Return what to do about too few hits: more files, unless cuts took most of the tracks."""
        if 2 * self.statistics.records < self.statistics.tracks:
            return self.of_tracks()
        return "use more raw files"

    def by_rejects(self, rejects: Rejects) -> str:
        """Return what to do about tracks that the solver rejected; empty where it rejected none."""
        if rejects == Rejects():
            return ""
        if rejects.lack_hits:
            return f"these tracks have too few hits left for a fit: {self.of_hits()}"
        layers = self.statistics.layers.values()
        widest = max((layer.after.rms_um for layer in layers), default=0.0)
        return (
            f"the tracks do not fit: residuals are {widest:.0f} µm (rms, worst layer) after "
            f"millepede.cuts.max_residual_mm ({self.cuts.max_residual_mm:g} mm); tighten that, or "
            "look at the constants that they were reconstructed with (the cut that they failed is "
            f"the strategy's {rejects.steering_cut})"
        )


def _most(lost: Mapping[str, int]) -> str:
    return max(lost, key=lambda reason: lost[reason], default="")
