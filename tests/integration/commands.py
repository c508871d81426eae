"""How the tests run `auto-iter` as its users do: as a program, in a directory of theirs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

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


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Wait for a condition; fail when it does not come true."""
    deadline = time.monotonic() + PATIENCE_S
    while not is_so():
        assert time.monotonic() < deadline, f"never happened: {what}"
        time.sleep(0.02)


def checkpoint(workspace: Path) -> dict[str, Any]:
    """Return the snapshot in a workspace's checkpoint; empty before there is one."""
    try:
        content = yaml.safe_load((workspace / "state.yaml").read_text())
    except FileNotFoundError:
        return {}
    snapshot: dict[str, Any] = content["snapshot"]
    return snapshot


def program(path: Path, text: str) -> Path:
    """Write an executable that stands in for the reconstruction."""
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)
    return path
