"""The typed configuration: what each setting means, its unit, default and limits.

Defaults live here (and in `batch`) and are written out, with comments, in `conf/default.yaml`; a
test keeps the two equal. `file` reads files, overrides and the JSON form of the scripts before.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from auto_iter.config.batch import BatchChoice, Dag, HTCondor, Local
from auto_iter.config.cuts import Cuts
from auto_iter.config.notify import Notify
from auto_iter.config.section import (
    Count,
    Fraction,
    Positive,
    Real,
    Seconds,
    Section,
    SubmitText,
    XrootdServer,
)

MOST_ITERATIONS = 1000
"""More is a slip of the finger: an iteration takes hours."""


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
    reader: str | None = None
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
    canary: Literal["auto"] | bool | Positive = "auto"
    """What was never tried is tried with one raw file: where there are more than so many."""
    max_attempts: Positive = 3
    max_losses: Positive = 50
    """How often the job of a raw file may be lost (a reboot, a killed starter) in an iteration."""
    min_success_fraction: Fraction = 1.0
    lost_files: Literal["retry", "same"] = "retry"
    """What an iteration did without is tried again by the next one, or stays left out."""
    straggler_quantile: Fraction = 0.9
    straggler_factor: Annotated[Real, Field(gt=1)] | None = None
    """Run what is left a second time when it takes so many times longer than the quantile did."""


class Millepede(Section):
    """The Mille/pede chain."""

    solver: Literal["auto", "builtin", "pede"] = "auto"
    time_limit_s: Seconds = 3600.0
    workers: Positive | None = None
    cuts: Cuts = Field(default_factory=Cuts)
    least_hits: Positive | None = None
    """A parameter with fewer stays in place in that iteration; null: as pede says (`entries`)."""
    least_tracks: Count = 10
    """Likewise; 0: tracks are not counted."""
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
    survey: Path | None = None
    hold_out: Annotated[Real, Field(ge=0, lt=1)] = 0.0
    """The share of the raw files that stays out of the fit, and judges it."""
    stop_when_converged: bool = True
    convergence_pull: Annotated[Real, Field(gt=0)] = 0.3
    """Still: the r.m.s. change of a group, along what the data determine, in uncertainties."""
    convergence_largest_pull: Annotated[Real, Field(gt=0)] = 1.0
    """… and the largest change of any of its members."""
    convergence_shift_um: Annotated[Real, Field(ge=0)] = 0.0
    """Smaller changes are none, whatever their uncertainty."""
    convergence_rotation_mrad: Annotated[Real, Field(ge=0)] = 0.0
    convergence_iterations: Positive = 2
    """Converged: all groups were still in so many iterations running."""
    patience: Positive = 3
    """So many iterations that are no better than those before: a plateau, or an oscillation."""
    stop_when_stuck: bool = True
    """A phase ends there, too: the same tracks would give the same again."""
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
    batch: BatchChoice = Field(default_factory=BatchChoice)
    local: Local = Field(default_factory=Local)
    htcondor: HTCondor = Field(default_factory=HTCondor)
    dag: Dag = Field(default_factory=Dag)
    millepede: Millepede = Field(default_factory=Millepede)
    alignment: Alignment = Field(default_factory=Alignment)
    notify: Notify = Field(default_factory=Notify)
    simulation: Simulation = Field(default_factory=Simulation)
    log: Log = Field(default_factory=Log)

    def but(self, section: str, **changes: object) -> Config:
        """Return it with some settings of one section changed."""
        return self.model_copy(update={section: getattr(self, section).model_copy(update=changes)})
