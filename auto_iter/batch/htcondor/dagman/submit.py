"""Submit descriptions of a DAG's nodes, the DAG's own settings, and what its POST script goes by.

Nodes of one iteration share `reco.sub`: DAGMan hands in (`VARS`) `number` and `rawfile`, of several
runs also `run` and `file`; all else is the description that the daemon submits. What a daemon does
for held jobs, expressions do here.
Commands: HTCondor manual, `condor_submit`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from auto_iter.alignment.model import Action, Batch
from auto_iter.batch.exitcodes import SAME_FOR_EVERY_FILE, SETTINGS_DISAGREE
from auto_iter.batch.holds import (
    BY_JOB_POLICY,
    BY_MACHINE,
    BY_SITE_POLICY,
    KINDS,
    OUT_OF_RESOURCES,
    SUBCODE_DISK,
    most_releases,
)
from auto_iter.batch.htcondor.dagman.text import Nodes, names
from auto_iter.batch.htcondor.flavours import SECONDS
from auto_iter.batch.htcondor.submit import (
    delivery_arguments,
    quote,
    site_commands,
    submit_description,
)
from auto_iter.config.batch import HTCondor
from auto_iter.errors import InputError

DAG_ATTRIBUTE: Final = "AutoIterDag"
"""The job-ad attribute of a node's job that carries the key of its DAG."""

MEMORY_FILE: Final = "memory.sub"
"""Beside `reco.sub`: what memory a raw file's job asks for; the POST script keeps it."""

FLAVOUR_FILE: Final = "flavour.sub"
"""Beside it: which flavour."""

ENDS_ALIKE: Final = frozenset({10, 43})
"""Exit codes that another try of the same raw file would end with, too."""

SEVERAL: Final = 3
"""On so many machines a job has to fail in the same way until all are taken to."""

_RELEASED: Final = frozenset({Action.RELEASE, Action.ELSEWHERE})

_DROPPED: Final = ("on_exit_remove", "max_retries", "retry_until", "max_idle", "My.AutoIterKey")
"""DAGMan tries again (`RETRY`), and limits how many are idle."""


def reco_text(batch: Batch, config: HTCondor, key: str) -> str:
    """Return the content of `reco.sub`: one job, of the raw file that DAGMan names.

    Raises InputError where the jobs of `batch` differ by more than their number.
    """
    description = submit_description(batch, config)
    for name in _DROPPED:
        description.pop(name, None)
    first = batch.jobs[0]
    by_hand = " ".join(f"{name}={value}" for name, value in names(first.number).items())
    arguments = [
        _template(tokens, batch)
        for tokens in zip(
            *(delivery_arguments(job, batch, config) for job in batch.jobs), strict=True
        )
    ]
    outfile = _template([job.output for job in batch.jobs], batch)
    place = _template([job.directory for job in batch.jobs], batch)
    description |= {
        "arguments": " ".join(arguments),
        "request_memory": _memory(config, "$(memory)"),
        "periodic_release": _periodic_release(config, "$(memory)"),
        "periodic_remove": _periodic_remove(config),
        f"My.{DAG_ATTRIBUTE}": quote(key),
        "My.AutoIterRawFile": "$(rawfile)",
    }
    if config.job_flavour:
        # Evaluated at submission: what a site makes of it would not be sure to do so.
        description["My.JobFlavour"] = '"$EVAL(flavour)"'
    if config.spool:
        description["transfer_output_remaps"] = f'"{outfile} = {place}/{outfile}"'
    description |= config.extra
    lines = [
        "# Reconstruction of one raw file, as a node of alignment.dag. By hand, for example:",
        f"# condor_submit reco.sub {by_hand} rawfile={first.number}",
        *(f"include : {batch.directory / name}" for name in (MEMORY_FILE, FLAVOUR_FILE)),
        *(f"{name} = {value}" for name, value in description.items()),
        "queue",
    ]
    return "\n".join(lines) + "\n"


def _template(tokens: Iterable[str], batch: Batch) -> str:
    """Return the one text that all jobs' `tokens` are, their number put in."""
    values = list(tokens)
    if len(set(values)) == 1:
        return values[0]
    named = [names(job.number) for job in batch.jobs]
    template, at = "", 0
    while at < len(values[0]):
        name = next((each for each in named[0] if _say(values, named, each, at)), None)
        template += values[0][at] if name is None else f"$({name})"
        at += 1 if name is None else len(named[0][name])
    for value, each in zip(values, named, strict=True):
        if value != _filled(template, each):
            raise InputError(f"{value}: jobs of one DAG may differ by their raw file only")
    return template


def _say(values: list[str], named: list[dict[str, str]], name: str, at: int) -> bool:
    """Tell whether, from `at` on, each of `values` has its own raw file's variable `name`."""
    return all(v.startswith(each[name], at) for v, each in zip(values, named, strict=True))


def _filled(template: str, variables: Mapping[str, str]) -> str:
    for name, value in variables.items():
        template = template.replace(f"$({name})", value)
    return template


_STARTS: Final = "(NumShadowStarts ?: 0)"
"""How often a job was started; `NumHolds` counts one hold of a running job up to three times."""


def _memory(config: HTCondor, base: str) -> str:
    """Return a request (MiB) that grows from `base` with each start that ended in a hold.

    At least by the factor that the daemon takes, and to more than was used.
    """
    holds = config.holds
    used = f"(MemoryUsage ?: 0) * {holds.memory_factor}"
    asked = f"({base}) * pow({holds.memory_factor}, {_STARTS})"
    grown = f"int(min({{{holds.memory_cap_mb}, max({{{used}, {asked}}})}}))"
    return f"ifThenElse((NumHolds ?: 0) > 0, max({{{base}, {grown}}}), {base})"


def _listed(codes: Iterable[int]) -> str:
    return ", ".join(str(code) for code in codes)


POLICIES: Final = (BY_JOB_POLICY, BY_MACHINE, BY_SITE_POLICY)
"""By these codes a policy holds a job, for its memory or for anything else."""

ABOUT_MEMORY: Final = (
    f"((HoldReasonCode == {OUT_OF_RESOURCES} && HoldReasonSubCode =!= {SUBCODE_DISK}) || "
    f"(member(HoldReasonCode, {{{_listed(POLICIES)}}}) && "
    f'(HoldReasonSubCode =?= {OUT_OF_RESOURCES} || regexp("memory", HoldReason, "i"))))'
)
"""`holds.is_about_memory` of a job's own ad."""


def _periodic_release(config: HTCondor, base: str) -> str:
    """Return when a held job runs again: where `holds.decide` releases it, and as often."""
    holds = config.holds
    released = [code for code, remedy in KINDS.items() if remedy.action in _RELEASED]
    limits = {code: _no_more_than(most_releases(code, holds)) for code in released}
    known = [f"(HoldReasonCode == {code} && {limit})" for code, limit in limits.items()]
    others = f"!member(HoldReasonCode, {{{_listed(KINDS)}}})"
    unknown = f"({others} && {_no_more_than(most_releases(None, holds))})"
    allowed = " || ".join([*known, unknown])
    return f"{_held(config)} && ifThenElse({ABOUT_MEMORY}, {_may_grow(config, base)}, {allowed})"


def _no_more_than(releases: int) -> str:
    # A job that is held before it was ever started has no start to count.
    return f"{_STARTS} <= {releases} && NumHolds <= {3 * releases}"


def _periodic_remove(config: HTCondor) -> str:
    """Return when a held job is given up: its node fails then, and may be tried again.

    After twice the pause of a release: what was not released by then will not be.
    """
    left_alone = [code for code, kind in KINDS.items() if kind.action is Action.LEAVE]
    return f"{_held(config, pauses=2)} && !member(HoldReasonCode, {{{_listed(left_alone)}}})"


def _held(config: HTCondor, pauses: int = 1) -> str:
    pause_s = round(pauses * config.holds.release_pause_s)
    return f"JobStatus == 5 && time() - EnteredCurrentStatus > {pause_s}"


def _may_grow(config: HTCondor, base: str) -> str:
    """Return whether the last run had less than the most that may be asked for."""
    holds = config.holds
    had = f"({base}) * pow({holds.memory_factor}, {_STARTS} - 1)"
    return f"{_no_more_than(holds.max_releases)} && {had} < {holds.memory_cap_mb}"


@dataclass(frozen=True)
class Program:
    """How a Millepede node's job gets auto-iter, and what it asks for.

    `python`: an interpreter that worker nodes see, or, with `travelling` (an archive that goes
    along), the name of one there. `env_script`: sourced before, for pede; None: nothing is.
    """

    python: str
    memory_mb: int
    disk_mb: int
    env_script: Path | None = None
    travelling: Path | None = None


def millepede_text(root: Path, place: Path, config: HTCondor, program: Program, key: str) -> str:
    """Return the content of `millepede.sub`; `place` is an iteration's `3millepede` of `root`."""
    iteration = int(place.parent.name.removeprefix("iter"))
    env = "-" if program.env_script is None else str(program.env_script)
    description = {
        "universe": "vanilla",
        "executable": str(place / "run_millepede.sh"),
        "arguments": f"{root} {iteration} {program.python} {env}",
        "initialdir": str(place),
        "output": "millepede.out",
        "error": "millepede.err",
        "log": "millepede.log",
        "should_transfer_files": "YES",
        "when_to_transfer_output": "ON_EXIT",
        "transfer_output_files": '""',
        "request_cpus": "1",
        "request_memory": _memory(config, str(program.memory_mb)),
        "periodic_release": _periodic_release(config, str(program.memory_mb)),
        "periodic_remove": _periodic_remove(config),
        "request_disk": f"{program.disk_mb}MB",
        f"My.{DAG_ATTRIBUTE}": quote(key),
    }
    if program.travelling is not None:
        description["transfer_input_files"] = str(program.travelling)
    description |= site_commands(config)
    lines = ["# Everything between two reconstructions, as a node of alignment.dag"]
    lines += [f"{name} = {value}" for name, value in (description | config.extra).items()]
    return "\n".join([*lines, "queue"]) + "\n"


def policy_text(nodes: Nodes, min_success_fraction: float, memory_mb: int, config: HTCondor) -> str:
    """Return the content of `dag.json`, by which the POST script judges.

    Of the raw files of the fit enough have to succeed; of those that are held out none.
    """
    of_fit = len(nodes.numbers) - len(nodes.held_out)
    canary = None if nodes.canary is None else [f"iter{nodes.current:02d}", nodes.canary]
    policy: dict[str, Any] = {
        "tolerated": of_fit - _least(of_fit, min_success_fraction),
        "held_out": sorted(nodes.held_out),
        "canary": canary,
        "settings_disagree": sorted(SETTINGS_DISAGREE),
        "same_for_every_file": sorted(SAME_FOR_EVERY_FILE),
        "several": SEVERAL,
        "ends_alike": sorted(ENDS_ALIKE),
        "out_of_resources": OUT_OF_RESOURCES,
        "disk": SUBCODE_DISK,
        "policies": POLICIES,
        "memory_mb": memory_mb,
        "memory_cap_mb": config.holds.memory_cap_mb,
        "retries": config.max_retries,
        "flavours": dict(SECONDS),
        "flavour": config.job_flavour,
        "flavour_cap": config.flavour_cap,
    }
    return json.dumps(policy, indent=1) + "\n"


def _least(wanted: int, fraction: float) -> int:
    """Return how many files have to succeed: the same comparison as the states make."""
    return next((count for count in range(1, wanted) if count / wanted >= fraction), wanted)
