"""pede as a program: found, run with limits, its process group ended when it exceeds them."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psutil

from auto_iter.errors import InputError, PermanentError, PhysicsError
from auto_iter.files import expanded
from auto_iter.millepede.requests import Solver
from auto_iter.processes.orphans import die_with_parent

OUTPUT = "pede.out"
"""What pede prints."""
LEFTOVERS = ("millepede.res", "millepede.end", "millepede.log", "millepede.his", "millepede.eve")
POLL_S = 0.2


@dataclass(frozen=True)
class RunLimits:
    """What a run may take."""

    time_s: float
    memory_mb: float | None = None


def find_pede(install: Path | None, search_path: str | None) -> Path | None:
    """Return the pede to use: `install` (directory or program) when given, else from PATH.

    Raises InputError when `install` is given and there is no program.
    """
    if install is None:
        found = shutil.which("pede", path=search_path)
        return Path(found).absolute() if found else None
    install = expanded(install)
    candidates = [install / "pede", install / "bin" / "pede"] if install.is_dir() else [install]
    for candidate in candidates:
        if candidate.is_file() and os.access(candidate, os.X_OK):
            return candidate.absolute()
    raise InputError(
        f"no pede at {install}",
        "correct paths.pede_install (directory or program), or set millepede.solver=builtin",
    )


def choose_pede(solver: Solver, install: Path | None, env: Mapping[str, str]) -> Path | None:
    """Return the pede that solves; None: the built-in solver. `auto` is pede when there is one.

    Raises InputError when pede is requested, or its place given, and it is not there.
    """
    if solver == "builtin":
        return None
    found = find_pede(install, env.get("PATH"))
    if found is None and solver == "pede":
        raise InputError(
            "solver 'pede' is requested, but there is no pede on PATH",
            "set paths.pede_install, or millepede.solver=builtin",
        )
    return found


def run_pede(
    program: Path,
    steering: str,
    directory: Path,
    *,
    env: Mapping[str, str],
    limits: RunLimits,
) -> None:
    """Run `pede STEERING` in `directory`; how it ended is in `millepede.end`.

    Output is kept in `pede.out`. Raises PhysicsError when a limit is exceeded (the whole process
    group is killed), PermanentError when the program cannot be started.
    """
    for name in LEFTOVERS:
        (directory / name).unlink(missing_ok=True)
    with (directory / OUTPUT).open("wb") as output:
        try:
            process = subprocess.Popen(
                [program, steering],
                cwd=directory,
                env=_environment(program, env),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                process_group=0,
                preexec_fn=partial(die_with_parent, os.getpid(), signal.SIGKILL),  # noqa: PLW1509 - one thread
            )
        except OSError as error:
            raise PermanentError(f"cannot run {program}: {error.strerror}") from error
        try:
            _watch(process, program, limits)
        finally:
            _kill_group(process)


def _watch(process: subprocess.Popen[bytes], program: Path, limits: RunLimits) -> None:
    """Wait for the end. Raises PhysicsError beyond a limit."""
    deadline = time.monotonic() + limits.time_s
    while True:
        if limits.memory_mb is not None and _resident_mb(process.pid) > limits.memory_mb:
            raise PhysicsError(
                f"{program} used more than {limits.memory_mb:.0f} MB of memory and was killed",
                "give it a machine with more memory, or use fewer files",
            )
        try:
            process.wait(min(POLL_S, max(deadline - time.monotonic(), 0.001)))
        except subprocess.TimeoutExpired:
            if time.monotonic() >= deadline:
                raise PhysicsError(
                    f"{program} did not end within its time limit and was killed",
                    "look at pede.out, or raise millepede.time_limit_s",
                ) from None
        else:
            return


def _resident_mb(pid: int) -> float:
    try:
        leader = psutil.Process(pid)
        family = [leader, *leader.children(recursive=True)]
        return float(sum(member.memory_info().rss for member in family)) / 1e6
    except psutil.Error:
        return 0.0


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the process group, also children that outlived their leader."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _environment(program: Path, env: Mapping[str, str]) -> dict[str, str]:
    """Return `env` with pede's own directory among the libraries', as its users set it."""
    libraries = [str(program.parent), env.get("LD_LIBRARY_PATH", "")]
    return {**env, "LD_LIBRARY_PATH": ":".join(filter(None, libraries))}
