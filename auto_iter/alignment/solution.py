"""The numbers of a solution that travel: from the solver through the states into the history."""

from __future__ import annotations

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
