"""What conversions and solutions leave on the disk as JSON, and reading it again."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import Field, ValidationError

from auto_iter.alignment.judges.arrival import Look
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.labels import Scheme
from auto_iter.errors import InputError, raise_what_passes
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.requests import Message
from auto_iter.workspace.hashes import is_intact
from auto_iter.workspace.records import FileVersion


class RootFile(FileVersion):
    """Which ROOT file the statistics were made from, to notice when it was replaced.

    `digest`: of the file; `tracks`: of chi2 and momentum of its tracks, which no other raw file's
    output has.
    """

    digest: str = ""
    tracks: str = ""


NO_FILE = RootFile(size=0, mtime_ns=0)


class BinaryFile(Message):
    """The Mille binary as it was written; its number of records is in the statistics."""

    size: int
    digest: str


class ConversionRecord(Message):
    """The content of a statistics file. With an `error` (one line) there is no binary.

    `look`: what the tracks show of the change of the prediction with the key `predicted_by`.
    `judges`: the statistics have what held-out tracks are asked for.
    """

    number: int
    root: str
    source: RootFile
    binary: BinaryFile | None = None
    error: str | None = None
    cuts: TrackCuts
    labels: Scheme = Scheme()
    statistics: Statistics = Field(default_factory=Statistics)
    predicted_by: str = ""
    judges: bool = False
    look: Look | None = None
    checksum: str = ""


class ParameterRecord(Message):
    """One label after the last step: value (mm, rad), uncertainty where there is one."""

    label: int
    name: str
    value: float
    sigma: float | None
    presigma: float


class ChangeRecord(Message):
    """What one constant moved by in this iteration (mm, rad)."""

    key: str
    parameter: str
    change: float
    sigma: float | None
    free: bool


class StepRecord(Message):
    """One run of pede: `chi2` after the fit, `ndf` reduced by the fitted parameters."""

    name: str
    exit_code: int
    meaning: str
    records: int
    rejects: int
    chi2: float
    ndf: int


class ModeRecord(Message):
    """A weakly constrained combination of parameters: their share in it, by label.

    `uncertainty`: from the data alone, in units of mm and rad; None: the data say nothing.
    """

    eigenvalue: float
    uncertainty: float | None
    components: dict[int, float]


class Prediction(Message):
    """What the tracks show of an iteration's change of the constants before it is applied.

    `files`: by raw file. The same tracks are to be looked at again with the same `cuts` and
    `labels`, on the same `stations` (from 0). `key` stands for all but `files`, `constants` for the
    constants that the change leads to.
    """

    key: str
    constants: str
    cuts: TrackCuts
    labels: Scheme
    stations: tuple[int, ...]
    files: dict[int, Look]


class SolutionRecord(SolutionSummary):
    """The content of `solution.json`: the numbers that travel, and where they come from.

    `chi2`, `ndf`, `records`, `rejects`: pede's, after the last step. `statistics`: of the raw files
    in the fit, `held_out`: of those that stayed out of it; None: there were none. `held`: the
    parameters that are `gated`, by name. `weights`: of those of `binaries` where it is not 1.
    """

    iteration: int
    within: int = 1
    track_chi2_ndf: float
    fingerprint: str = ""
    binaries: tuple[str, ...] = ()
    weights: dict[str, float] = Field(default_factory=dict)
    records: int
    rejects: int
    chi2: float
    ndf: int
    exit_codes: tuple[int, ...]
    steps: tuple[StepRecord, ...]
    statistics: Statistics
    held_out: Statistics | None = None
    parameters: tuple[ParameterRecord, ...]
    changes: tuple[ChangeRecord, ...]
    weakest_modes: tuple[ModeRecord, ...] = ()
    held: tuple[str, ...] = ()
    prediction: Prediction | None = None
    checksum: str = ""


def read_solution(path: Path) -> SolutionRecord:
    """Return the content of a `solution.json`. Raises InputError."""
    try:
        return SolutionRecord.model_validate_json(_content(path))
    except ValidationError as error:
        raise InputError(f"{path}: not a solution; solve that iteration again") from error


def read_record(path: Path) -> ConversionRecord:
    """Return the conversion record in a statistics file. Raises InputError."""
    content = _content(path)
    try:
        record = ConversionRecord.model_validate_json(content)
    except ValidationError as error:
        raise InputError(
            f"{path}: not the statistics of a conversion; convert the file again"
        ) from error
    if not is_intact(json.loads(content)):
        raise InputError(f"{path}: does not match its checksum; convert the file again")
    return record


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise_what_passes(error, path)
        raise InputError(f"{path}: cannot be read ({error.strerror})") from error
