"""Is all there that an alignment needs? Each check says what it found, and what to do about it."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path

from auto_iter.batch.driver import BatchDriver
from auto_iter.batch.registry import driver_of, resolve_config
from auto_iter.config.schema import Config
from auto_iter.detector.constants import read_constants
from auto_iter.errors import AutoIterError, PermanentError
from auto_iter.iteration.envscript import check_calypso, configured_env_script, overruled_calypso
from auto_iter.millepede.pede.program import choose_pede
from auto_iter.millepede.strategy.file import AUTO, load_strategy
from auto_iter.millepede.survey import load_survey
from auto_iter.workspace.crowded import MOST_FILES, has_few_entries
from auto_iter.workspace.paths import openness

ROOM_MB = 2000
"""Constants, outputs and reports of a usual alignment; less than this is worth a warning."""

FULL_PERCENT = 90.0


class Health(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    BAD = "bad"
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Diagnosis:
    """What one check found; `remedy` is for the reader to do."""

    subject: str
    health: Health
    text: str
    remedy: str = ""


def examine(config: Config, env: Mapping[str, str]) -> list[Diagnosis]:
    """Return all findings, in the order in which things are needed: what `run` would look for."""
    was_auto = config.batch.system == "auto"
    config = resolve_config(config, env)
    return [
        *_batch_system(driver_of(config), env, was_auto=was_auto),
        _raw_directory(config.paths.raw_dir),
        *_calypso(config),
        _strategy(config),
        *_initial_constants(config),
        *_survey(config),
        _pede(config, env),
        *_work_directory(config),
    ]


def is_healthy(findings: list[Diagnosis]) -> bool:
    """Tell whether nothing that is needed is missing."""
    return all(finding.health is not Health.BAD for finding in findings)


def _batch_system(
    driver: BatchDriver, env: Mapping[str, str], *, was_auto: bool
) -> Iterator[Diagnosis]:
    how = (
        "the first one that is set up here (batch.system is auto)" if was_auto else "as configured"
    )
    yield Diagnosis("batch system", Health.OK, f"{driver.name}, {how}")
    with driver.checks(env) as checks:
        for check in checks:
            found = _judged(check.subject, check.look, remedy=check.remedy)
            yield found
            if found.health is Health.BAD:
                return


def _raw_directory(raw_dir: Path) -> Diagnosis:
    if not raw_dir.is_dir():
        remedy = "set paths.raw_dir; is EOS mounted here (`ls /eos/experiment`)?"
        return Diagnosis("raw data", Health.BAD, f"{raw_dir} is not a directory", remedy)
    if not os.access(raw_dir, os.R_OK | os.X_OK):
        remedy = "ask for access, or renew the Kerberos ticket (kinit)"
        return Diagnosis("raw data", Health.BAD, f"{raw_dir} cannot be read", remedy)
    return Diagnosis("raw data", Health.OK, str(raw_dir))


def _calypso(config: Config) -> Iterator[Diagnosis]:
    script, install = config.paths.env_script, config.paths.calypso_install
    found = str(script) if script.exists() else f"{script} will be made"
    remedy = "give --calypso_path (paths.calypso_install) or --env_script"
    judged = _judged("environment script", lambda: configured_env_script(config), found, remedy)
    remark = overruled_calypso(config, script) if judged.health is Health.OK else None
    yield judged if remark is None else replace(judged, health=Health.WARNING, text=remark)
    if install is not None:
        yield _judged("calypso", lambda: check_calypso(config), str(install))


def _strategy(config: Config) -> Diagnosis:
    name = config.alignment.strategy
    if name == AUTO:
        return Diagnosis("strategy", Health.OK, "the one made for the stations that are asked for")
    return _judged("strategy", lambda: load_strategy(name), name)


def _initial_constants(config: Config) -> Iterator[Diagnosis]:
    path = config.alignment.initial_constants
    if path is not None:
        yield _judged("initial constants", lambda: read_constants(path), str(path))


def _survey(config: Config) -> Iterator[Diagnosis]:
    path, name = config.alignment.survey, config.alignment.strategy
    if path is not None:
        strategy = None if name == AUTO else load_strategy(name)
        yield _judged("survey", lambda: load_survey(path, strategy), str(path))


def _judged(
    subject: str, look: Callable[[], object], found: str | None = None, remedy: str = ""
) -> Diagnosis:
    """Return the finding of a look that raises what `run` would say; `found` stands for its answer.

    `remedy` is for errors that have none.
    """
    try:
        answer = look()
    except PermanentError as error:
        return Diagnosis(subject, Health.BAD, error.reason, error.remedy or remedy)
    except AutoIterError as error:
        return Diagnosis(subject, Health.BAD, str(error), remedy)
    return Diagnosis(subject, Health.OK, str(answer) if found is None else found)


def _pede(config: Config, env: Mapping[str, str]) -> Diagnosis:
    if config.millepede.solver == "builtin":
        return Diagnosis("pede", Health.SKIPPED, "not used: millepede.solver is builtin")
    solver, install = config.millepede.solver, config.paths.pede_install
    missing = "not installed: the built-in solver is used"
    return _judged("pede", lambda: choose_pede(solver, install, env) or missing)


def _work_directory(config: Config) -> Iterator[Diagnosis]:
    place = config.paths.work_dir
    refused = _judged(
        "work directory",
        lambda: driver_of(config).refuse_place(place),
        remedy="set paths.work_dir to another place; batch.system=local takes any",
    )
    if refused.health is Health.BAD:
        yield refused
        return
    while not place.exists():
        place = place.parent
    if not (place.is_dir() and os.access(place, os.W_OK | os.X_OK)):
        remedy = "set paths.work_dir to a directory of yours"
        yield Diagnosis("work directory", Health.BAD, f"{place} cannot be written", remedy)
        return
    open_to_others = openness(place)
    if open_to_others is None or place.stat().st_mode & stat.S_ISVTX:  # as /tmp: each his own
        limit = f"; on AFS: at most {MOST_FILES} raw files" if has_few_entries(place) else ""
        yield Diagnosis("work directory", Health.OK, f"{place}{limit}")
    else:
        remedy = (
            "others could change what runs there in your name: restrict its permissions, or set "
            "paths.work_dir"
        )
        yield Diagnosis("work directory", Health.WARNING, open_to_others, remedy)
    free_mb = shutil.disk_usage(place).free // 1_000_000
    enough = free_mb >= ROOM_MB
    yield Diagnosis(
        "disk",
        Health.OK if enough else Health.WARNING,
        f"{free_mb} MB free",
        "" if enough else "remove old workspaces, or set paths.work_dir to a larger disk",
    )
    yield _quota(place)


def _quota(place: Path) -> Diagnosis:
    """Ask the file system's own tool: neither AFS nor EOS tells statvfs about quotas."""
    command = _quota_command(place)
    if command is None:
        return Diagnosis("quota", Health.SKIPPED, "no quota tool for this file system here")
    try:
        asked = subprocess.run(command, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return Diagnosis(
            "quota", Health.WARNING, f"{command[0]}: {error}", "check the quota by hand"
        )
    lines = asked.stdout.strip().splitlines()
    if asked.returncode != 0 or not lines:
        return Diagnosis("quota", Health.SKIPPED, f"{command[0]} says nothing about {place}")
    return quota_finding(lines[-1].strip())


def quota_finding(line: str) -> Diagnosis:
    """Judge what a quota tool says of a directory: the volume's and the disk's percentages."""
    used = [float(percent) for percent in re.findall(r"([\d.]+) ?%", line)]
    if used and max(used) >= FULL_PERCENT:
        remedy = "remove old workspaces, ask for more quota, or set paths.work_dir to another place"
        return Diagnosis("quota", Health.WARNING, line, remedy)
    return Diagnosis("quota", Health.OK, line)


def _quota_command(place: Path) -> list[str] | None:
    if place.is_relative_to("/afs") and shutil.which("fs"):
        return ["fs", "listquota", str(place)]
    if place.is_relative_to("/eos") and shutil.which("eos"):
        return ["eos", "quota", str(place)]
    return ["quota", "-s"] if shutil.which("quota") else None
