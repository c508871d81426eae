"""Is all there that an alignment needs? Each check says what it found, and what to do about it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from auto_iter.batch.htcondor.ads import NONE
from auto_iter.batch.htcondor.child import ScheddProcess
from auto_iter.batch.htcondor.submit import EOS, refuse_path
from auto_iter.config.resolve import condor_config, with_absolute_paths
from auto_iter.config.schema import Config
from auto_iter.detector.constants import read_constants
from auto_iter.errors import AutoIterError, PermanentError
from auto_iter.iteration.envscript import check_calypso, configured_env_script, overruled_calypso
from auto_iter.millepede.pede.program import find_pede, require_pede
from auto_iter.millepede.strategy.file import AUTO, load_strategy
from auto_iter.workspace.paths import openness

ROOM_MB = 2000
"""Constants, outputs and reports of a usual alignment; less than this is worth a warning."""

FULL_PERCENT = 90.0


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """What one check found; `remedy` is for the reader to do."""

    subject: str
    verdict: Verdict
    text: str
    remedy: str = ""


def examine(
    config: Config, env: Mapping[str, str], schedd: ScheddProcess | None = None
) -> list[Finding]:
    """Return all findings, in the order in which things are needed: what `run` would look for."""
    config = with_absolute_paths(config)
    return [
        *_htcondor(config, env, schedd),
        _raw_directory(config.paths.raw_dir),
        *_calypso(config),
        _strategy(config),
        *_initial_constants(config),
        _pede(config, env),
        *_work_directory(config),
    ]


def is_healthy(findings: list[Finding]) -> bool:
    """Tell whether nothing that is needed is missing."""
    return all(finding.verdict is not Verdict.BAD for finding in findings)


def _htcondor(
    config: Config, env: Mapping[str, str], schedd: ScheddProcess | None
) -> Iterator[Finding]:
    where = condor_config(env)
    if config.batch.system == "local" or (config.batch.system == "auto" and where is None):
        why = "local" if config.batch.system == "local" else "auto, and no HTCondor is configured"
        yield Finding("htcondor", Verdict.SKIPPED, f"not used: batch.system is {why}")
        return
    if where is None:
        yield Finding(
            "htcondor configuration",
            Verdict.BAD,
            "neither CONDOR_CONFIG nor /etc/condor/condor_config leads to a file",
            "log in where HTCondor is set up (lxplus), or set CONDOR_CONFIG",
        )
    else:
        yield Finding("htcondor configuration", Verdict.OK, str(where))
    process = schedd or ScheddProcess(
        pool=config.htcondor.pool,
        schedd=config.htcondor.schedd,
        timeout_s=config.htcondor.call_timeout_s,
    )
    try:
        yield from _schedd(process, config)
    finally:
        process.close()


def _schedd(process: ScheddProcess, config: Config) -> Iterator[Finding]:
    """Check bindings, schedd and authentication; each makes sense only after the one before."""
    checks: tuple[tuple[str, Callable[[], str], str], ...] = (
        ("htcondor bindings", process.version, "pip install 'htcondor>=24.12.20,<26'"),
        (
            "schedd",
            lambda: _described(process.locate()),
            "check htcondor.schedd and htcondor.pool; `condor_status -schedd` lists what there is",
        ),
        ("queue", lambda: _queue(process), "the schedd is slow or down: try again later"),
        (
            "authentication",
            lambda: _write_nothing(process),
            "renew the Kerberos ticket (kinit); check SEC_CLIENT_AUTHENTICATION_METHODS",
        ),
    )
    if config.htcondor.send_credential:
        remedy = "kinit; or htcondor.send_credential=false where jobs need no ticket"
        checks += (("credential", lambda: _store_credential(process), remedy),)
    for subject, check, remedy in checks:
        try:
            yield Finding(subject, Verdict.OK, check())
        except AutoIterError as error:
            yield Finding(subject, Verdict.BAD, str(error), remedy)
            return


def _described(located: Mapping[str, str]) -> str:
    return f"{located['name']}, {located['version'].strip('$ ')}"


def _queue(process: ScheddProcess) -> str:
    return f"answers; {process.count('true', at=None).total} jobs of all users in it"


def _write_nothing(process: ScheddProcess) -> str:
    # Reading is allowed to anybody: only an attempt to change something shows who we are.
    process.act("release", NONE, "auto-iter doctor", at=None)
    return "we may change our jobs"


def _store_credential(process: ScheddProcess) -> str:
    process.store_credential(at=None)
    return "stored for our jobs"


def _raw_directory(raw_dir: Path) -> Finding:
    if not raw_dir.is_dir():
        remedy = "set paths.raw_dir; is EOS mounted here (`ls /eos/experiment`)?"
        return Finding("raw data", Verdict.BAD, f"{raw_dir} is no directory", remedy)
    if not os.access(raw_dir, os.R_OK | os.X_OK):
        remedy = "ask for access, or renew the Kerberos ticket (kinit)"
        return Finding("raw data", Verdict.BAD, f"{raw_dir} may not be read", remedy)
    return Finding("raw data", Verdict.OK, str(raw_dir))


def _calypso(config: Config) -> Iterator[Finding]:
    script, install = config.paths.env_script, config.paths.calypso_install
    found = str(script) if script.exists() else f"{script} will be made"
    try:
        configured_env_script(config)
    except AutoIterError as error:
        remedy = "give --calypso_path (paths.calypso_install) or --env_script"
        yield Finding("environment script", Verdict.BAD, str(error), remedy)
    else:
        remark = overruled_calypso(config, script)
        verdict = Verdict.OK if remark is None else Verdict.WARNING
        yield Finding("environment script", verdict, remark or found)
    if install is not None:
        yield _judged("calypso", lambda: check_calypso(config), str(install))


def _strategy(config: Config) -> Finding:
    name = config.alignment.strategy
    if name == AUTO:
        return Finding("strategy", Verdict.OK, "the one made for the stations that are asked for")
    return _judged("strategy", lambda: load_strategy(name), name)


def _initial_constants(config: Config) -> Iterator[Finding]:
    path = config.alignment.initial_constants
    if path is not None:
        yield _judged("initial constants", lambda: read_constants(path), str(path))


def _judged(subject: str, check: Callable[[], object], found: str) -> Finding:
    """Return the finding of a check that raises what `run` would say."""
    try:
        check()
    except PermanentError as error:
        return Finding(subject, Verdict.BAD, error.reason, error.remedy)
    return Finding(subject, Verdict.OK, found)


def _pede(config: Config, env: Mapping[str, str]) -> Finding:
    if config.millepede.solver == "builtin":
        return Finding("pede", Verdict.SKIPPED, "not used: millepede.solver is builtin")
    find = require_pede if config.millepede.solver == "pede" else find_pede
    try:
        found = find(config.paths.pede_install, env.get("PATH"))
    except PermanentError as error:
        return Finding("pede", Verdict.BAD, error.reason, error.remedy)
    if found is None:
        return Finding("pede", Verdict.OK, "not installed: the built-in solver is used")
    return Finding("pede", Verdict.OK, str(found))


def _work_directory(config: Config) -> Iterator[Finding]:
    place = config.paths.work_dir
    if config.batch.system != "local" and not config.htcondor.spool and place.is_relative_to(EOS):
        remedy = "set htcondor.spool=true, or paths.work_dir to a place on AFS"
        text = f"{place} is on EOS, from where only spooled jobs are accepted"
        yield Finding("work directory", Verdict.BAD, text, remedy)
        return
    if config.batch.system == "htcondor":
        try:
            refuse_path(place)
        except AutoIterError as error:
            remedy = "set paths.work_dir to another place; batch.system=local takes any"
            yield Finding("work directory", Verdict.BAD, str(error), remedy)
            return
    while not place.exists():
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        remedy = "set paths.work_dir to a directory of yours"
        yield Finding("work directory", Verdict.BAD, f"{place} cannot be written", remedy)
        return
    open_to_others = openness(place)
    if open_to_others is None or place.stat().st_mode & stat.S_ISVTX:  # as /tmp: each his own
        yield Finding("work directory", Verdict.OK, str(place))
    else:
        remedy = "others could change what runs as you there: close it, or set paths.work_dir"
        yield Finding("work directory", Verdict.WARNING, open_to_others, remedy)
    free_mb = shutil.disk_usage(place).free // 1_000_000
    enough = free_mb >= ROOM_MB
    yield Finding(
        "disk",
        Verdict.OK if enough else Verdict.WARNING,
        f"{free_mb} MB free",
        "" if enough else "remove old workspaces, or set paths.work_dir to a larger disk",
    )
    yield _quota(place)


def _quota(place: Path) -> Finding:
    """Ask the file system's own tool: neither AFS nor EOS tells statvfs about quotas."""
    command = _quota_command(place)
    if command is None:
        return Finding("quota", Verdict.SKIPPED, "no quota tool for this file system here")
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Finding(
            "quota", Verdict.WARNING, f"{command[0]}: {error}", "check the quota by hand"
        )
    lines = asked.stdout.strip().splitlines()
    if asked.returncode != 0 or not lines:
        return Finding("quota", Verdict.SKIPPED, f"{command[0]} says nothing about {place}")
    return quota_finding(lines[-1].strip())


def quota_finding(line: str) -> Finding:
    """Judge what a quota tool says of a directory: the volume's and the disk's percentages."""
    used = [float(percent) for percent in re.findall(r"([\d.]+) ?%", line)]
    if used and max(used) >= FULL_PERCENT:
        remedy = "remove old workspaces, ask for more quota, or set paths.work_dir to another place"
        return Finding("quota", Verdict.WARNING, line, remedy)
    return Finding("quota", Verdict.OK, line)


def _quota_command(place: Path) -> list[str] | None:
    if place.is_relative_to("/afs") and shutil.which("fs"):
        return ["fs", "listquota", str(place)]
    if place.is_relative_to("/eos") and shutil.which("eos"):
        return ["eos", "quota", str(place)]
    return ["quota", "-s"] if shutil.which("quota") else None
