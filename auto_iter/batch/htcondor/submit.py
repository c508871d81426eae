"""The HTCondor submit description of a batch of jobs. Pure functions on values.

The daemon, the DAG and a person with `condor_submit` use the same text. Commands are those of the
HTCondor manual, `condor_submit`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from auto_iter.alignment.model import Batch, Job
from auto_iter.batch.exitcodes import SETTINGS_DISAGREE
from auto_iter.batch.htcondor.flavours import flavour_for
from auto_iter.batch.job import delivering, through
from auto_iter.config.batch import HTCondor
from auto_iter.errors import InputError, UsageError
from auto_iter.rawfiles import file_tag

KEY_ATTRIBUTE = "AutoIterKey"
"""The job-ad attribute that carries the submission key."""

ITEM_VARIABLES = ("number", "directory", "outfile", "memory", "flavour", "options")
"""The columns of `queue ... from`; the last one takes the rest of its line, spaces and all."""

AVOIDED_FOR_S = 1800
"""So long a job would rather wait than run on a machine where others failed."""

EOS: Final = Path("/eos")
"""Schedds do not mount it; CERN's refuse it in everything that they would have to read there."""

_PLAIN_PATH = re.compile(r"[\w./:@%+=~-]+")


def submit_description(batch: Batch, config: HTCondor) -> dict[str, str]:
    """Return the submit commands of `batch`, to be used with the rows of `items`.

    Spooled, everything travels by file transfer and an output lands in its job's directory; direct,
    jobs put their output into `batch.deliver_to` themselves. `config.extra` has the last word.
    """
    description = {
        "universe": "vanilla",
        "executable": str(batch.executable),
        "arguments": "$(options)",
        "initialdir": str(batch.directory),
        "output": "logs/reco_$(number).out",
        "error": "logs/reco_$(number).err",
        "log": "logs/reco_$(number).log",
        "should_transfer_files": "YES",
        "transfer_input_files": ", ".join(str(path) for path in batch.inputs),
        **_output_transfer(spool=config.spool),
        **_resources(batch, config),
        **_policy(batch, config),
    }
    if config.job_flavour:
        description["My.JobFlavour"] = '"$(flavour)"'
    if batch.key:
        description[f"My.{KEY_ATTRIBUTE}"] = quote(batch.key)
    return description | config.extra


def _output_transfer(*, spool: bool) -> dict[str, str]:
    if not spool:
        return {"when_to_transfer_output": "ON_EXIT", "transfer_output_files": '""'}
    return {
        # No list of outputs: all that a job leaves in its sandbox travels. A listed file that a
        # failed job did not make puts the job on hold (12/2) instead of ending it with its exit
        # code; ON_SUCCESS prevents neither that, nor does it bring the logs of failed jobs.
        "when_to_transfer_output": "ON_EXIT",
        "transfer_output_remaps": '"$(outfile) = $(directory)/$(outfile)"',
    }


def refuse_path(path: Path) -> None:
    """Raise UsageError where a submit description would split or expand a path, as `$(HOME)`."""
    if not _PLAIN_PATH.fullmatch(str(path)):
        raise UsageError(
            f"{path}: HTCondor would split or expand this path; use only letters, digits and "
            "./:@%+=~-_ in it"
        )


_NOT_FROM_EOS = (
    "executable", "initialdir", "output", "error", "log", "input", "transfer_input_files",
    "transfer_output_files", "dagman_log",
)  # fmt: skip
"""Submit commands in whose values CERN's schedds refuse EOS, unless the submission is spooled."""


def refuse_eos(description: Mapping[str, str], config: HTCondor) -> None:
    """Raise InputError where the schedd would refuse: before anything is written or submitted."""
    if config.spool:
        return
    named = {name.lower(): value for name, value in description.items()}
    for name in _NOT_FROM_EOS:
        for path in re.split(r"[\s,]+", named.get(name, "").strip('"')):
            if Path(path).is_relative_to(EOS):
                raise InputError(
                    f"{name}: {path}: jobs that are not spooled cannot be submitted from EOS",
                    "set htcondor.spool=true, or work on AFS (paths.outputs_dir may be on EOS)",
                )


def _resources(batch: Batch, config: HTCondor) -> dict[str, str]:
    resources = batch.resources
    commands = {"request_cpus": str(max(config.request_cpus, resources.cpus))}
    if resources.memory_mb is not None:
        commands["request_memory"] = "$(memory)MB"
    if resources.disk_mb is not None:
        commands["request_disk"] = f"{resources.disk_mb}MB"
    if resources.time_limit_s is not None:
        commands["allowed_job_duration"] = str(round(resources.time_limit_s))
    return commands


def _policy(batch: Batch, config: HTCondor) -> dict[str, str]:
    late = {} if config.max_idle is None else {"max_idle": str(config.max_idle)}
    return {
        "on_exit_remove": "(ExitBySignal == False) && (ExitCode == 0)",
        "max_retries": str(config.max_retries),
        # Another run, on whatever machine, would end the same way, and we would hear of it late.
        "retry_until": " || ".join(f"ExitCode =?= {code}" for code in sorted(SETTINGS_DISAGREE)),
        **site_commands(config, batch.avoid_machines),
        **late,
    }


def site_commands(config: HTCondor, avoid: Iterable[str] = ()) -> dict[str, str]:
    """Return where and as whose any job of ours may run; not on machines to `avoid`, at first."""
    commands = {}
    requirements = _requirements(config.requirements, avoid)
    if requirements:
        commands["requirements"] = requirements
    if config.job_flavour:
        commands["My.JobFlavour"] = quote(config.job_flavour)
    if config.accounting_group:
        commands["accounting_group"] = config.accounting_group
    if config.send_credential:
        commands["My.SendCredential"] = "True"
    return commands


def _requirements(configured: str | None, avoid: Iterable[str]) -> str:
    parts = [f"({configured})"] if configured else []
    # Not for ever: where nothing else is free, or there is no other machine, it is tried again.
    parts += [
        f"(TARGET.Machine =!= {quote(machine)} || time() - QDate > {AVOIDED_FOR_S})"
        for machine in avoid
    ]
    return " && ".join(parts)


def quote(text: str) -> str:
    """Return `text` as a ClassAd string literal."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def items(batch: Batch, config: HTCondor) -> list[dict[str, str]]:
    """Return one row for each job: the values of `ITEM_VARIABLES`."""
    return [_item(job, batch, config) for job in batch.jobs]


def delivery_arguments(job: Job, batch: Batch, config: HTCondor) -> tuple[str, ...]:
    """Return the arguments of a job's script; not spooled, it delivers by itself."""
    if config.spool:
        return job.arguments
    return delivering(job.arguments, through(config.deliver_url, batch.deliver_to))


def _item(job: Job, batch: Batch, config: HTCondor) -> dict[str, str]:
    memory_mb = job.memory_mb or batch.resources.memory_mb or 0
    values = (
        file_tag(job.number),
        job.directory or ".",
        job.output,
        str(memory_mb),
        flavour_for(job.time_s, config.job_flavour) if config.job_flavour else "-",
        " ".join(delivery_arguments(job, batch, config)),
    )
    return dict(zip(ITEM_VARIABLES, values, strict=True))


def describe(
    batch: Batch, config: HTCondor, event_log: Path | None
) -> tuple[dict[str, str], list[dict[str, str]]]:
    """Return the submit description and its rows, with what we later want to read off the ads.

    Raises InputError when the schedd would refuse the paths.
    """
    description = submit_description(batch, config) | {
        f"My.{KEY_ATTRIBUTE}": quote(batch.key),
        "My.AutoIterJobs": str(len(batch.jobs)),
        "My.AutoIterSpool": str(config.spool),
        "My.AutoIterDeliverTo": quote(str(batch.deliver_to)),
        "My.AutoIterRawFile": "$(rawfile)",
        "My.AutoIterOutput": '"$(outfile)"',
        "My.AutoIterPlace": '"$(directory)/$(outfile)"',
    }
    if event_log is not None:
        # The schedd writes all of a cluster's events here too, beside each job's own log.
        description["dagman_log"] = str(event_log)
    refuse_eos(description, config)
    rows = [
        {**row, "rawfile": str(job.number)}
        for job, row in zip(batch.jobs, items(batch, config), strict=True)
    ]
    return description, rows


def submit_file(batch: Batch, config: HTCondor) -> tuple[str, str]:
    """Return name and content of `reco.sub`, which `condor_submit` takes as it is."""
    name, spool = "reco.sub", " -spool" if config.spool else ""
    lines = [
        f"# Reconstruction of {len(batch.jobs)} raw files; by hand: condor_submit{spool} {name}",
        *(f"{key} = {value}" for key, value in submit_description(batch, config).items()),
        f"queue {', '.join(ITEM_VARIABLES)} from (",
        *(f"  {', '.join(row.values())}" for row in items(batch, config)),
        ")",
    ]
    return name, "\n".join(lines) + "\n"
