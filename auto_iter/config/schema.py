"""The typed configuration: what each setting means, its unit, default and limits.

Defaults live here and are written out, with comments, in `conf/default.yaml`; a test keeps the two
equal. Reading files, overrides and the JSON form of the scripts before is in `configfile`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    field_validator,
    model_validator,
)

MOST_ITERATIONS = 1000
"""More is a slip of the finger: an iteration takes hours."""


def _not_a_truth_value(value: object) -> object:
    """Refuse `yes` where a number is meant: Python would count it as 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic makes it a message
    return value


_Numeric = BeforeValidator(_not_a_truth_value)
Count = Annotated[int, _Numeric, Field(ge=0)]
Positive = Annotated[int, _Numeric, Field(gt=0)]
Real = Annotated[float, _Numeric]
Seconds = Annotated[Real, Field(gt=0, allow_inf_nan=False)]
Fraction = Annotated[Real, Field(gt=0, le=1)]
_Length = Annotated[Real, Field(gt=0)]


def _as_written(value: object) -> object:
    """Return a number or truth value as text: HTCondor reads it, YAML only gets it first."""
    return str(value) if isinstance(value, bool | int | float) else value


def _one_line(value: str) -> str:
    """Refuse what would write further lines into the submit description."""
    if len(value.splitlines()) > 1:
        raise ValueError("must be one line")
    return value


def _as_schedule(value: object) -> object:
    """Return one number as a schedule of one value."""
    return (value,) if isinstance(value, int | float) else value


XrootdServer = Annotated[str, Field(pattern=r"^root://[\w.:-]+/?$")]
SubmitText = Annotated[str, BeforeValidator(_as_written)]
Flavour = Literal[
    "espresso", "microcentury", "longlunch", "workday", "tomorrow", "testmatch", "nextweek"
]
"""CERN's names for how long a job may take."""

_SUBMIT_COMMAND = re.compile(r"[+]?[A-Za-z_][\w.]*")

_CONTROL = re.compile(r"[\x00-\x1f\x7f\x85\u2028\u2029]")


class Section(BaseModel):
    """A part of the configuration: immutable, and strict about unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _one_line(cls, value: object) -> object:
        """Refuse line breaks: in a script or a submit description they begin a new command."""
        if any(_CONTROL.search(text) for text in _texts(value)):
            raise ValueError("holds a line break or another control character")
        return value


def _texts(value: object) -> Iterable[str]:
    if isinstance(value, str | Path):
        yield str(value)
    elif isinstance(value, dict):
        yield from (text for item in value.items() for text in _texts(item))
    elif isinstance(value, tuple):
        yield from (text for item in value for text in _texts(item))


class Paths(Section):
    """Where things are."""

    raw_dir: Path = Path("/eos/experiment/faser/raw")
    raw_url: XrootdServer | None = None
    calypso_install: Path | None = None
    pede_install: Path | None = None
    env_script: Path = Path("reco_condor_env.sh")
    work_dir: Path = Path()
    outputs_dir: Path | None = None


class Reco(Section):
    """One reconstruction job, and when its iteration is good enough."""

    preset: SubmitText = "2025"
    writer: str | None = None
    sqlite_schema: str | None = None
    dbname: str | None = None
    pool_file: str | None = None
    output_tag: str | None = None
    global_tag: str | None = None
    geometry: str | None = None
    direction_flag: str | None = None
    program: str = "faser_reco_alignment.py"
    output_level: str = "INFO"
    events: Positive | None = None
    skip_events: Annotated[int, Field(ge=0)] = 0
    arguments: tuple[SubmitText, ...] = ()
    athena: str = "Athena,24.0.41"
    asetup_input: str | None = None
    memory_mb: Positive = 4000
    disk_mb: Positive = 8000
    time_limit_s: Seconds | None = None
    max_attempts: Positive = 3
    max_losses: Positive = 50
    """How often the job of a raw file may be lost (a reboot, a killed starter) in an iteration."""
    min_success_fraction: Fraction = 1.0
    straggler_quantile: Fraction = 0.9
    straggler_factor: Annotated[Real, Field(gt=1)] | None = None
    """Run what is left a second time when it takes so many times longer than the quantile did."""


class Local(Section):
    """The embedded batch system."""

    slots: Positive | None = None
    enforce_memory: bool = True


class Holds(Section):
    """What is done about held jobs."""

    memory_factor: Annotated[Real, Field(gt=1)] = 1.5
    memory_cap_mb: Positive = 16000
    max_releases: Count = 3
    release_pause_s: Seconds = 60.0


class HTCondor(Section):
    """The HTCondor batch system."""

    schedd: str | None = None
    pool: str | None = None
    spool: bool = True
    deliver_url: XrootdServer | None = None
    job_flavour: Flavour | None = "longlunch"
    request_cpus: Positive = 1
    max_retries: Count = 3
    requirements: SubmitText | None = None
    accounting_group: SubmitText | None = None
    send_credential: bool = False
    max_idle: Positive | None = None
    max_jobs_per_submission: Positive | None = None
    max_jobs_in_queue: Positive | None = None
    extra: dict[str, SubmitText] = Field(default_factory=dict)
    call_timeout_s: Seconds = 60.0
    min_poll_interval_s: Seconds = 60.0
    holds: Holds = Field(default_factory=Holds)

    @field_validator("extra")
    @classmethod
    def _are_submit_commands(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _SUBMIT_COMMAND.fullmatch(name) or name.lower() == "queue":
                raise ValueError(f"{name!r} is no command of a submit description to set")
        return value

    @model_validator(mode="after")
    def _spooled_jobs_do_not_deliver(self) -> Self:
        if self.deliver_url is not None and self.spool:
            raise ValueError("deliver_url needs spool=false: spooled outputs come home anyway")
        return self

    @model_validator(mode="after")
    def _late_jobs_are_not_spooled(self) -> Self:
        if self.max_idle is not None and self.spool:
            raise ValueError(
                "max_idle needs spool=false: input cannot be spooled for jobs that do not exist "
                "yet; max_jobs_in_queue limits spooled ones"
            )
        return self


class Batch(Section):
    """Which batch system runs the jobs."""

    system: Literal["auto", "local", "htcondor"] = "auto"


class _AllCuts(Section):
    """What is converted to Mille. Defaults are FASER's; lengths in mm, momenta in GeV.

    Tracks: chi2, pz, hits before cuts on hits; hits: |residual|. `min_independence` is what the
    hits that are left must tell a track's parameters apart by, 1 - ρ² (`local_fit.independence`).
    Sound tracks have 1e-4 and more (x and y by the stereo angle alone: 0.02²). Where single
    precision is all that tells them apart it is below 1e-12, and a local fit's rounding errors,
    1e-16 over this number, grow to the size of the fit. 0 cuts nothing.
    """

    max_chi2: Annotated[Real, Field(gt=0)] = 2000.0
    min_pz_gev: Annotated[Real, Field(ge=0)] = 100.0
    max_pz_gev: Annotated[Real, Field(gt=0)] = 5000.0
    min_hits: Positive = 15
    max_residual_mm: float | tuple[float, ...]
    min_independence: Annotated[float, Field(ge=0, lt=1)] = 1e-8


class TrackCuts(_AllCuts):
    """The cuts of one iteration."""

    max_residual_mm: _Length = 0.05


class Cuts(_AllCuts):
    """The cuts of a phase's iterations: one value each; the last one holds for all that follow."""

    max_residual_mm: Annotated[tuple[_Length, ...], BeforeValidator(_as_schedule)] = (0.05,)

    def changed_by(self, phase: Cuts) -> Cuts:
        """Return these cuts with those that `phase` says."""
        return self.model_copy(update=phase.model_dump(exclude_unset=True))

    def in_iteration(self, within: int) -> TrackCuts:
        """Return the cuts of a phase's iteration `within`, from 1."""
        at = min(within, len(self.max_residual_mm)) - 1
        return TrackCuts(**{**dict(self), "max_residual_mm": self.max_residual_mm[at]})

    @field_validator("max_residual_mm")
    @classmethod
    def _not_empty(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value:
            raise ValueError("needs at least one value")
        return value


class Millepede(Section):
    """The Mille/pede chain."""

    solver: Literal["auto", "builtin", "pede"] = "auto"
    time_limit_s: Seconds = 3600.0
    workers: Positive | None = None
    cuts: Cuts = Field(default_factory=Cuts)
    max_shift_mm: Annotated[Real, Field(gt=0)] = 5.0
    max_rotation_rad: Annotated[Real, Field(gt=0)] = 0.1
    accept_bad_matrix: bool = False
    """Use a solution in spite of pede's exit code 3, or of uncertainties that are none."""


class Guards(Section):
    """What ends an alignment that goes wrong; false or null: it only warns, or says nothing."""

    arrival: bool = True
    """The tracks of an iteration have to show the constants that the one before found."""
    max_track_loss: Fraction | None = 0.2
    max_residual_growth: Annotated[float, Field(gt=1)] | None = 1.2
    max_growing_steps: Positive | None = 2


class Alignment(Section):
    """The loop."""

    default_iterations: Annotated[Positive, Field(le=MOST_ITERATIONS)] = 10
    polling_interval_seconds: Seconds = 300.0
    strategy: str = "auto"
    """A name, a file, or `auto`: the one that is made for the number of stations."""
    initial_constants: Path | None = None
    stop_when_converged: bool = True
    convergence_pull: Annotated[Real, Field(gt=0)] = 0.3
    """Converged when no constant moved by more than this many of its uncertainties."""
    report: Literal["iteration", "end", "never"] = "iteration"
    """When tables and plots are made: after each iteration, at the end only, or not at all."""
    guards: Guards = Field(default_factory=Guards)


class Simulation(Section):
    """Only for simulated detectors."""

    truth: Path | None = None


class Log(Section):
    """The workspace's log."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    max_bytes: Positive = 20_000_000
    backups: Count = 5


class Config(Section):
    """All of it."""

    paths: Paths = Field(default_factory=Paths)
    reco: Reco = Field(default_factory=Reco)
    batch: Batch = Field(default_factory=Batch)
    local: Local = Field(default_factory=Local)
    htcondor: HTCondor = Field(default_factory=HTCondor)
    millepede: Millepede = Field(default_factory=Millepede)
    alignment: Alignment = Field(default_factory=Alignment)
    simulation: Simulation = Field(default_factory=Simulation)
    log: Log = Field(default_factory=Log)
