"""What travels with the jobs of an iteration: scripts, constants, and programs given as paths."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

from auto_iter.batch.job import travelling
from auto_iter.config.schema import Reco
from auto_iter.errors import InputError, TransientError
from auto_iter.files import write_atomically
from auto_iter.workspace.paths import Iteration

_ENV_SCRIPT = "reco_condor_env.sh"
_SCRIPTS = ("aligndb_copy.sh", "check_tags.py")


def inputs(paths: Iteration, reco: Reco) -> tuple[Path, ...]:
    """Return the files that each job needs in its sandbox, besides the job script."""
    names = (_ENV_SCRIPT, *_SCRIPTS, *(program.name for program in travelling(reco)))
    return (*(paths.reco / name for name in names), paths.constants)


def recipe(paths: Iteration, reco: Reco) -> list[str]:
    """Return the job script and all `inputs` but the constants; nothing for what is not there.

    Raises TransientError when one cannot be read.
    """
    files_there = (paths.job_script, *inputs(paths, reco))
    return [_text(path) for path in files_there if path != paths.constants]


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise TransientError(f"{path}: cannot be read: {error}") from error


def refuse_missing_programs(reco: Reco) -> None:
    """Raise InputError when a program that is to travel cannot be read."""
    for program in travelling(reco):
        _program_text(program)


def install(paths: Iteration, env_script: str, constants: str, reco: Reco) -> None:
    """Put the job script and all `inputs` into the iteration's directory; may be repeated."""
    write_changed(paths.reco / _ENV_SCRIPT, env_script, 0o755)
    for name in (paths.job_script.name, *_SCRIPTS):
        write_changed(paths.reco / name, files("conf").joinpath("job", name).read_text(), 0o755)
    for program in travelling(reco):
        mode = 0o755 if os.access(program, os.X_OK) else 0o644
        write_changed(paths.reco / program.name, _program_text(program), mode)
    write_changed(paths.constants, constants)


def write_changed(path: Path, text: str, mode: int = 0o644) -> None:
    """Write what is not there yet: jobs of a killed daemon may be reading it."""
    try:
        if path.read_text() == text:
            return
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    write_atomically(path, text, mode=mode)


def _program_text(program: Path) -> str:
    try:
        return program.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{program}: cannot be read: {error}",
            "reco.writer and reco.program are names on PATH, or paths of scripts that travel",
        ) from None
