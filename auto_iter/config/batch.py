"""The batch systems' sections: which one runs the jobs, and what each can be told."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from auto_iter.config.section import (
    Count,
    Positive,
    Real,
    Seconds,
    Section,
    SubmitText,
    XrootdServer,
)

Flavour = Literal[
    "espresso", "microcentury", "longlunch", "workday", "tomorrow", "testmatch", "nextweek"
]
"""CERN's names for how long a job may take."""

_SUBMIT_COMMAND = re.compile(r"[+]?[A-Za-z_][\w.]*")


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
    site_removes_after_h: Annotated[Real, Field(gt=0)] | None = None
    """So long the site lets a job be held."""


class HTCondor(Section):
    """The HTCondor batch system."""

    schedd: str | None = None
    pool: str | None = None
    spool: bool = True
    deliver_url: XrootdServer | None = None
    job_flavour: Flavour | None = "longlunch"
    flavour_cap: Flavour = "tomorrow"
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
    shared_polls: Path | None = None
    holds: Holds = Field(default_factory=Holds)

    @field_validator("extra")
    @classmethod
    def _are_submit_commands(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _SUBMIT_COMMAND.fullmatch(name) or name.lower() == "queue":
                raise ValueError(f"{name!r} is no command of a submit description to set")
        return value

    @model_validator(mode="after")
    def _fits_spooling(self) -> Self:
        if self.deliver_url is not None and self.spool:
            raise ValueError("deliver_url needs spool=false: spooled outputs come home anyway")
        if self.max_idle is not None and self.spool:
            raise ValueError(
                "max_idle needs spool=false: input cannot be spooled for jobs that do not exist "
                "yet; max_jobs_in_queue limits spooled ones"
            )
        return self


class Dag(Section):
    """The alignment as a DAG: how its Millepede nodes run, and what DAGMan is told."""

    python: str | None = None
    travel: bool = False
    memory_mb: Positive = 4000
    disk_mb: Positive = 4000
    retries: Count = 2
    condor_dagman: Path | None = None
    settings: dict[str, SubmitText] = Field(default_factory=dict)

    @field_validator("settings")
    @classmethod
    def _are_dagmans(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not re.fullmatch(r"DAGMAN_[A-Z_]+", name):
                raise ValueError(f"{name!r} is no setting of DAGMan (DAGMAN_...)")
        return value


class BatchChoice(Section):
    """Which batch system runs the jobs."""

    system: Literal["auto", "local", "htcondor"] = "auto"
