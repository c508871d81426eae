"""The numbers of a solution that travel: from the solver through the states into the history."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field


class Hashes(BaseModel):
    """What a solution was made of and what it gave, as hashes; empty: not known (older versions).

    `constants_before`, `constants`: the text that the tracks were made with, and what was found
    (SHA-256, as in the prediction). `root_files`, `mille_binaries`: of all files, in order.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    constants_before: str = ""
    constants: str = ""
    root_files: str = ""
    mille_binaries: str = ""
    settings: str = ""
    strategy: str = ""


class SolutionSummary(BaseModel):
    """pede's answer for an iteration.

    `chi2_ndf`: after pede's last fit; `track_chi2_ndf`: of the tracks as reconstructed with the
    iteration's constants. `max_…`: the largest changes, of free parameters only; `pulls`: of each
    group (`layer ry`, `side x`), the largest change in units of its uncertainty - empty where the
    solver tells no uncertainties. `strategy`, `phase`, `solver`: what it was made with.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    tracks: int
    chi2_ndf: float
    track_chi2_ndf: float | None = None
    max_shift_um: float
    max_rotation_mrad: float
    max_pull: float
    pulls: dict[str, float] = Field(default_factory=dict)
    strategy: str = ""
    phase: str = ""
    solver: str = ""
    warnings: tuple[str, ...] = ()
    hashes: Hashes = Field(default_factory=Hashes)

    @property
    def chi2_ndf_of_tracks(self) -> float:
        """As reconstructed: what the constants so far are worth; older versions tell of the fit."""
        return self.chi2_ndf if self.track_chi2_ndf is None else self.track_chi2_ndf

    @property
    def figures(self) -> dict[str, float]:
        """The numbers for people and the log, rounded, by their names in `FIGURES`."""
        return {name: round(getattr(self, name), each.decimals) for name, each in FIGURES.items()}

    @property
    def in_words(self) -> list[str]:
        """Each of these numbers as a phrase."""
        return [each.words.format(getattr(self, name)) for name, each in FIGURES.items()]


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
    "max_shift_um": Figure("largest shift {:.2f} µm", "shift [um]", 3),
    "max_rotation_mrad": Figure("largest rotation {:.4f} mrad", "rotation [mrad]", 5),
    "max_pull": Figure("largest change {:.2f} σ", "change [σ]", 2),
}
"""What is shown of a solution wherever one is shown, by its name in the summary."""
