"""What is asked of the Mille/pede chain, and what it answers: JSON between processes."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from auto_iter.alignment.arrival import Look
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.millepede.conversion.convert import TrackCuts
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.strategy.parts import Labels

Solver = Literal["auto", "builtin", "pede"]


class _Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Cuts(_Message):
    """The cuts of one iteration; see the configuration's `millepede.cuts`."""

    max_chi2: float = 2000.0
    min_pz_gev: float = 100.0
    max_pz_gev: float = 5000.0
    min_hits: int = 15
    max_residual_mm: float = 0.05
    min_independence: float = 1e-8

    def track_cuts(self) -> TrackCuts:
        """Return the cuts as the converter takes them."""
        return TrackCuts(**self.model_dump())


class Source(_Message):
    """One ROOT file, and where its Mille binary and its statistics go."""

    number: int
    root: Path
    binary: Path
    statistics: Path


class ConvertRequest(_Message):
    """Convert `sources`, one after the other.

    `prediction`: the solution whose constants the sources were reconstructed with; what they show
    of its change is noted beside the statistics.
    """

    sources: tuple[Source, ...]
    cuts: Cuts = Field(default_factory=Cuts)
    labels: Labels = Field(default_factory=Labels)
    prediction: Path | None = None


class RootFile(_Message):
    """Which ROOT file the statistics were made from, to notice when it was replaced.

    `digest`: of the file; `tracks`: of chi2 and momentum of its tracks, which no other raw file's
    output has.
    """

    size: int
    mtime_ns: int
    digest: str = ""
    tracks: str = ""


class BinaryFile(_Message):
    """The Mille binary as it was written; its number of records is in the statistics."""

    size: int
    digest: str


class ConversionRecord(_Message):
    """The content of a statistics file. With an `error` (one line) there is no binary.

    `look`: what the tracks show of the change of the prediction with the key `predicted_by`.
    """

    number: int
    root: str
    source: RootFile
    binary: BinaryFile | None = None
    error: str | None = None
    cuts: Cuts
    labels: Labels = Field(default_factory=Labels)
    statistics: Statistics = Field(default_factory=Statistics)
    predicted_by: str = ""
    look: Look | None = None
    checksum: str = ""


class SolveRequest(_Message):
    """Solve one iteration in `directory` (3millepede); `binaries` in sorted order.

    `phase`: which of the strategy's, from 0; `within`: the iteration within it, from 1.
    `previous`: the constants that the tracks were made with; `centre`: those that the alignment
    began with, to which priors pull; None: the nominal geometry. `stations`: how many the tracks
    were reconstructed in; None: not known. `earlier`: the constants that the phase's iterations
    started from up to this one, to see whether they walk. `fingerprint` goes into the solution.
    """

    directory: Path
    binaries: tuple[Path, ...]
    statistics: tuple[Path, ...]
    previous: Path
    centre: Path | None = None
    earlier: tuple[Path, ...] = ()
    strategy: str = "3st"
    iteration: int = 1
    phase: int = 0
    within: int = 1
    stations: int | None = None
    fingerprint: str = ""
    solver: Solver = "auto"
    pede_install: Path | None = None
    time_limit_s: float = 3600.0
    max_shift_mm: float = 5.0
    max_rotation_rad: float = 0.1
    accept_bad_matrix: bool = False
    eigen: bool = False


class ParameterRecord(_Message):
    """One label after the last step: value (mm, rad), uncertainty where there is one."""

    label: int
    name: str
    value: float
    sigma: float | None
    presigma: float


class ChangeRecord(_Message):
    """What one constant moved by in this iteration (mm, rad)."""

    key: str
    parameter: str
    change: float
    sigma: float | None
    free: bool


class StepRecord(_Message):
    """One run of pede: `chi2` after the fit, `ndf` reduced by the fitted parameters."""

    name: str
    exit_code: int
    meaning: str
    records: int
    rejects: int
    chi2: float
    ndf: int


class ModeRecord(_Message):
    """A weakly constrained combination of parameters: their share in it, by label.

    `uncertainty`: from the data alone, in units of mm and rad; None: the data say nothing.
    """

    eigenvalue: float
    uncertainty: float | None
    components: dict[int, float]


class Prediction(_Message):
    """What the tracks show of an iteration's change of the constants before it is applied.

    `files`: by raw file. The same tracks are to be looked at again with the same `cuts` and
    `labels`, on the same `stations` (from 0). `key` stands for all but `files`, `constants` for the
    constants that the change leads to.
    """

    key: str
    constants: str
    cuts: Cuts
    labels: Labels
    stations: tuple[int, ...]
    files: dict[int, Look]


class SolutionRecord(SolutionSummary):
    """The content of `solution.json`: the numbers that travel, and where they come from.

    `chi2`, `ndf`, `records`, `rejects`: pede's, after the last step.
    """

    iteration: int
    within: int = 1
    track_chi2_ndf: float
    fingerprint: str = ""
    binaries: tuple[str, ...] = ()
    records: int
    rejects: int
    chi2: float
    ndf: int
    exit_codes: tuple[int, ...]
    steps: tuple[StepRecord, ...]
    statistics: Statistics
    parameters: tuple[ParameterRecord, ...]
    changes: tuple[ChangeRecord, ...]
    weakest_modes: tuple[ModeRecord, ...] = ()
    prediction: Prediction | None = None
    checksum: str = ""
