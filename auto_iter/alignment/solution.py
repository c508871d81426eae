"""The numbers of a solution that travel: from the solver through the states into the history."""

from __future__ import annotations

from pydantic import Field

from auto_iter.alignment.attempt import Record
from auto_iter.alignment.figures import FIGURES, chi2_ndf_of_tracks, figures_of, largest_pull
from auto_iter.alignment.judges.hold_out import HoldOut


class Hashes(Record):
    """What a solution was made of and what it gave, as hashes; empty: not known (older versions).

    `constants_before`, `constants`: the text that the tracks were made with, and what was found
    (SHA-256, as in the prediction). `root_files`, `mille_binaries`: of all files, in order.
    """

    constants_before: str = ""
    constants: str = ""
    root_files: str = ""
    mille_binaries: str = ""
    settings: str = ""
    strategy: str = ""


class GroupChange(Record):
    """How far the free parameters of one group, e.g. `layer ry` or `side x`, moved in an iteration.

    `largest`, `rms` (µm or mrad), `largest_pull`, `rms_pull` (in uncertainties): of what the data
    determine, weak modes left out; `worst` names the parameter with `largest_pull`. `raw_largest`,
    `raw_rms`: as applied, weak modes and all. `cosine`: between this change and the one before it
    in the group, in units of uncertainties; −1: back again, None: there was none before.
    """

    name: str
    parameters: int
    largest: float
    rms: float
    largest_pull: float
    rms_pull: float
    worst: str = ""
    raw_largest: float
    raw_rms: float
    cosine: float | None = None

    @property
    def is_shift(self) -> bool:
        """Whether it is in µm rather than in mrad."""
        return not self.name.rpartition(" ")[2].startswith("r")

    @property
    def unit(self) -> str:
        """Of `largest`, `rms` and the raw ones."""
        return "µm" if self.is_shift else "mrad"


class SolutionSummary(Record):
    """pede's answer for an iteration.

    `chi2_ndf`: after pede's last fit; `track_chi2_ndf`: of the tracks as reconstructed with the
    iteration's constants. `max_…`: the largest changes, of free parameters only; `pulls`: of each
    group (`layer ry`, `side x`), the largest change in units of its uncertainty - empty where the
    solver tells no uncertainties. All of these have weak modes in them; `groups` do not: empty
    where that could not be told, and of older versions. `free_parameters`, `weak_modes`: how many
    were fitted, and how many of their combinations the data leave open. `gated`: parameters that
    stay where they are for want of tracks or hits. `strategy`, `phase`, `solver`: what it was made
    with. `hold_out`: what tracks say that had no part in it; None: there were none.
    """

    tracks: int
    chi2_ndf: float
    track_chi2_ndf: float | None = None
    max_shift_um: float
    max_rotation_mrad: float
    max_pull: float
    pulls: dict[str, float] = Field(default_factory=dict)
    groups: tuple[GroupChange, ...] = ()
    free_parameters: int | None = None
    weak_modes: int | None = None
    gated: int = 0
    hold_out: HoldOut | None = None
    strategy: str = ""
    phase: str = ""
    solver: str = ""
    warnings: tuple[str, ...] = ()
    hashes: Hashes = Field(default_factory=Hashes)

    @property
    def chi2_ndf_of_tracks(self) -> float:
        """As reconstructed: what the constants so far are worth; older versions tell of the fit."""
        return chi2_ndf_of_tracks(self.model_dump())

    @property
    def largest_pull(self) -> float:
        """The largest change in uncertainties, weak modes left out where that could be told."""
        return largest_pull(self.model_dump())

    @property
    def figures(self) -> dict[str, float]:
        """The numbers for people and the log, rounded, by their names in `FIGURES`."""
        return figures_of(self.model_dump())

    @property
    def in_words(self) -> list[str]:
        """Each of these numbers as a phrase."""
        return [each.words.format(getattr(self, name)) for name, each in FIGURES.items()]
