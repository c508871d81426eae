"""What a job will find: the environment script is sourced, and each program looked for after it.

The doctor's part that takes a while: CVMFS may have to fetch things first, so there is a limit.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from auto_iter.config.presets import TagChain, tag_chain
from auto_iter.config.schema import Config
from auto_iter.doctor.checks import Diagnosis, Health
from auto_iter.errors import AutoIterError
from auto_iter.iteration.envscript import configured_env_script

TIME_LIMIT_S = 180.0
ATHENA = ("AtlCoolConsole.py", "AtlCoolCopy")
RELEASE = "/cvmfs/faser.cern.ch/repo/sw/database/DBRelease/current"

# What a batch job has: no login shell's settings, a home, a name, perhaps a ticket.
_KEPT = ("HOME", "USER", "LOGNAME", "KRB5CCNAME", "X509_USER_PROXY", "TMPDIR", "LANG")
# A setup script may call exit, print what it likes, and return anything: what counts is what is
# there afterwards, on a descriptor of our own. Programs that are not executable are found as the
# job finds them.
_PROBE = """
exec 3>"$1"; shift
source "$1"; shift
echo "release ${FASER_DBRELEASE:-%s}" >&3
for name in "$@"; do
    path=$(type -P -- "$name")
    IFS=: read -ra directories <<<"$PATH"
    for directory in "${directories[@]}"; do
        [ -n "$path" ] || ! [ -f "$directory/$name" ] || path=$directory/$name
    done
    echo "$name ${path:-}" >&3
done
"""


@dataclass(frozen=True)
class Sourced:
    """What was found after the script: paths by name (empty: nowhere), and how it went."""

    paths: Mapping[str, str]
    release: Path
    seconds: float


def examine_job_environment(
    config: Config, env: Mapping[str, str], time_limit_s: float = TIME_LIMIT_S
) -> Iterator[Diagnosis]:
    """Yield what a job would find, in the order in which it needs it."""
    subject = "job environment"
    if not config.paths.env_script.exists() and config.paths.calypso_install is None:
        yield Diagnosis(subject, Health.SKIPPED, "no environment script to source")
        return
    try:
        chain = tag_chain(config.reco)
        text = configured_env_script(config)
    except AutoIterError as error:
        yield Diagnosis(subject, Health.BAD, str(error))
        return
    names = [name for name in (chain.writer, config.reco.program) if "/" not in name]
    try:
        sourced = _source(text, ["python", *ATHENA, *names], env, time_limit_s)
    except AutoIterError as error:
        remedy = "source it in a clean shell (env -i HOME=$HOME bash --norc) to see why"
        yield Diagnosis(subject, Health.BAD, str(error), remedy)
        return
    yield Diagnosis(subject, Health.OK, f"sourced in {sourced.seconds:.1f} s")
    yield from _programs(config, chain, sourced)
    yield from _tags(chain, sourced.release / "sqlite200" / "ALLP200.db")


def _source(text: str, names: list[str], env: Mapping[str, str], time_limit_s: float) -> Sourced:
    """Source a script as a job does, and look for programs. Raises AutoIterError."""
    clean = {name: env[name] for name in _KEPT if name in env} | {"PATH": "/usr/bin:/bin"}
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="auto-iter-doctor-") as place:
        script, answers = Path(place) / "reco_condor_env.sh", Path(place) / "answers"
        script.write_text(text)
        with subprocess.Popen(
            ["bash", "-c", _PROBE % RELEASE, "doctor", str(answers), str(script), *names],
            cwd=place, env=clean, start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        ) as shell:  # fmt: skip
            try:
                _, stderr = shell.communicate(timeout=time_limit_s)
            except subprocess.TimeoutExpired:
                raise AutoIterError(
                    f"the environment script has not ended after {time_limit_s:g} s"
                ) from None
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(shell.pid, signal.SIGKILL)
        told = answers.read_text().splitlines() if answers.exists() else []
    if not told:
        last = next(reversed(stderr.strip().splitlines()), "it said nothing")
        raise AutoIterError(f"the environment script ended the shell: {last}")
    found = dict(line.partition(" ")[::2] for line in told)
    return Sourced(found, Path(found.pop("release")), time.monotonic() - started)


def _programs(config: Config, chain: TagChain, sourced: Sourced) -> Iterator[Diagnosis]:
    for name in ("python", *ATHENA):
        if not sourced.paths[name]:
            remedy = "asetup did not set up Athena: check reco.asetup_input and reco.athena"
            yield Diagnosis(name, Health.BAD, "not on PATH after the environment script", remedy)
    for setting, name in (("writer", chain.writer), ("program", config.reco.program)):
        if "/" in name:
            readable = os.access(name, os.R_OK)
            text = f"{name} travels with the jobs" if readable else f"{name} cannot be read"
            found = readable
        else:
            found = bool(sourced.paths[name])
            text = sourced.paths[name] or f"{name} is not on PATH after the environment script"
        remedy = f"give reco.{setting} as a path: the file then travels with the jobs"
        yield Diagnosis(
            f"reco.{setting}", *((Health.OK, text) if found else (Health.BAD, text, remedy))
        )


def _tags(chain: TagChain, database: Path) -> Iterator[Diagnosis]:
    """Ask the release which global tag leads to the tag that jobs write under."""
    if not os.access(database, os.R_OK):
        remedy = "is /cvmfs/faser.cern.ch mounted here?"
        yield Diagnosis("conditions", Health.BAD, f"{database} cannot be read", remedy)
        return
    yield Diagnosis("conditions", Health.OK, str(database))
    leading = _check("leading", database, chain)
    if chain.global_tag:
        asked = _check("reads", database, chain, chain.global_tag)
        fits, who = asked.returncode != 1, chain.global_tag
    else:
        fits, who = leading.returncode != 1, leading.stdout.strip() or "an unknown global tag"
    line = str(chain.model_copy(update={"global_tag": who}))
    if fits:
        yield Diagnosis("tags", Health.OK, line)
    else:
        known = leading.stdout.strip() or "none"
        remedy = (
            f"the constants would be ignored: global tags that lead to {chain.output_tag}: {known};"
            " set reco.output_tag, reco.global_tag or reco.preset"
        )
        yield Diagnosis("tags", Health.BAD, line, remedy)


def _check(
    question: str, database: Path, chain: TagChain, *more: str
) -> subprocess.CompletedProcess[str]:
    """Ask the job's own check."""
    with as_file(files("conf").joinpath("job/check_tags.py")) as check:
        return subprocess.run(
            [sys.executable, check, question, database, chain.dbname, chain.output_tag, *more],
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
