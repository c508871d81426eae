"""How the tests run `auto-iter` as its users do: as a program, in a directory of theirs."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import structlog
import yaml

from auto_iter.cli import main
from auto_iter.errors import NOT_CONVERGED_EXIT_CODE

PATIENCE_S = 240.0


@dataclass(frozen=True)
class SimulatedDetector:
    """A small simulation: raw files 400 and 401 of run 11705, and the configuration to align it."""

    directory: Path
    config: Path
    year: int = 2023
    run: int = 11705
    files: str = "400-402"


DONE = (0, NOT_CONVERGED_EXIT_CODE)
"""Exit codes of an alignment that came to its end; a few iterations need not converge."""


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "auto_iter", *arguments]


def run_command(simulated: SimulatedDetector, *more: str, iterations: int = 1) -> list[str]:
    return command(
        "run", "-y", str(simulated.year), "-r", str(simulated.run), "-f", simulated.files,
        "-i", str(iterations), "--config", str(simulated.config),
        "--set", "alignment.polling_interval_seconds=1", *more,
    )  # fmt: skip


def call(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; whatever it says, it may not be a traceback."""
    done = subprocess.run(
        arguments, cwd=cwd, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert "Traceback" not in done.stderr + done.stdout
    return done


def call_here(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    """Do the same in this process: where only what a command answers matters, not how it ends.

    What it starts are processes as ever. Most of a short command's time goes into starting Python.
    """
    out, error = io.StringIO(), io.StringIO()
    streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(error)
    with contextlib.chdir(cwd), streams[0], streams[1]:
        try:
            code = main(arguments[len(command()) :])
        except SystemExit as end:  # argparse's way
            code = int(end.code or 0)
    structlog.reset_defaults()  # as other tests in this process find it
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), error.getvalue())


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail when it does not come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def checkpoint(workspace: Path) -> dict[str, Any]:
    """Return the snapshot in a workspace's checkpoint; empty before there is one."""
    path = workspace / "state.yaml"
    try:
        status = path.stat()
        return _snapshot(path, (status.st_ino, status.st_mtime_ns))
    except FileNotFoundError:
        return {}


@lru_cache(maxsize=8)  # whoever waits for something reads the same one fifty times a second
def _snapshot(path: Path, _version: tuple[int, int]) -> dict[str, Any]:
    snapshot: dict[str, Any] = yaml.load(path.read_bytes(), _LOADER)["snapshot"]  # noqa: S506
    return snapshot


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def program(path: Path, text: str) -> Path:
    """Write an executable that stands in for the reconstruction."""
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path
