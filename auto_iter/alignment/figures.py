"""How numbers of solutions and jobs are shown, wherever they are: in words and in columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Figure:
    """How a number is shown: in words, and in a column with a heading and so many decimals."""

    words: str
    heading: str
    decimals: int

    @property
    def width(self) -> int:
        """Of its column."""
        return max(8, len(self.heading) + 1)


FIGURES = {
    "tracks": Figure("tracks {:d}", "tracks", 0),
    "chi2_ndf_of_tracks": Figure("chi2/ndf {:.4f} as reconstructed", "chi2/ndf", 4),
    "max_shift_um": Figure("largest shift {:.2f} µm", "shift/µm", 3),
    "max_rotation_mrad": Figure("largest rotation {:.4f} mrad", "rot./mrad", 5),
    "largest_pull": Figure("largest change {:.2f} σ, weak modes out", "change/σ", 2),
}
"""What is shown of a solution wherever one is shown, by its name in the summary."""

HOLD_OUT = {
    "chi2/ndf": "{chi2_ndf:.4g}",
    "largest mean of a module (µm)": "{largest_mean_um:+.1f}",
    "r.m.s. of their widths (µm)": "{rms_width_um:.1f}",
    "q/p bias (1/TeV)": "{qop_bias_per_tev:+.4f} ± {qop_bias_error_per_tev:.4f}",
    "IFT from the spectrometer's tracks (µm)": "{ift_mean_um:+.1f} ± {ift_mean_error_um:.1f}",
    "width of that (µm)": "{ift_width_um:.0f}",
}
"""What is shown of held-out tracks: what it is, and how."""


def chi2_ndf_of_tracks(record: Mapping[str, Any]) -> float:
    """As reconstructed: what the constants so far are worth; older versions tell of the fit."""
    told = record.get("track_chi2_ndf")
    return float(record["chi2_ndf"] if told is None else told)


def largest_pull(record: Mapping[str, Any]) -> float:
    """Return the largest change in uncertainties, weak modes left out where that could be told."""
    largest = (float(group["largest_pull"]) for group in record.get("groups", ()))
    return max(largest, default=record["max_pull"])


def figures_of(record: Mapping[str, Any]) -> dict[str, float]:
    """Return the numbers for people and the log, rounded, by their names in `FIGURES`.

    `record`: a summary's plain values.
    """
    made = {"chi2_ndf_of_tracks": chi2_ndf_of_tracks, "largest_pull": largest_pull}
    values = {**record, **{name: of(record) for name, of in made.items()}}
    return {name: round(values[name], each.decimals) for name, each in FIGURES.items()}


def jobs_in_words(progress: Mapping[str, Any]) -> str:
    """Return how the jobs stand: plain values of a `Progress`."""
    words = "{running} running, {idle} idle, {held} held".format_map(progress)
    return f"{words}, {progress['unknown']} not to be found" if progress["unknown"] else words


def hold_out_lines(history: Sequence[Mapping[str, Any]]) -> list[str]:
    """Say what held-out tracks showed at the beginning of the last phase and at its end.

    `history`: plain values of its records. Nothing where none was held out.
    """
    if not history:
        return []
    started = history[-1]["iteration"] - history[-1].get("within", 1) + 1
    of_phase = (each for each in history if each["iteration"] >= started)
    judged = [each for each in of_phase if each.get("hold_out") is not None]
    if not judged:
        return []
    first_and_last = [judged[0], *judged[1:][-1:]]
    when = " -> ".join(str(each["iteration"]) for each in first_and_last)
    ends = [each["hold_out"] for each in first_and_last]
    now = ends[-1]
    files = "1 file" if now["files"] == 1 else f"{now['files']} files"
    values = {what: _went(ends, how) for what, how in HOLD_OUT.items()}
    shown = [f"{what} {value}" for what, value in values.items() if value]
    head = f"held out ({files}, {now['tracks']} tracks), iteration {when}: "
    return [head + "; ".join(shown)]


def _went(ends: Sequence[Mapping[str, Any]], how: str) -> str:
    """Return a number before and after; empty where one of them is not known."""
    try:
        return " -> ".join(how.format(**each) for each in ends)
    except TypeError:  # None has no decimals
        return ""
