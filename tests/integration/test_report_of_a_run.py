"""The report of an alignment: made when the configuration says, and never missing at the end."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.commands import DONE, SimulatedDetector, call, command, run_command

WORKSPACE = "Y2023_R011705_F400"


FILES = {"constants.txt", "report.json", "chi2.png", "residuals.png", "pulls.png"}


@pytest.mark.long
def test_it_is_there_at_the_end(tmp_path: Path, one_file: SimulatedDetector) -> None:
    done = call(run_command(one_file, "--set", "alignment.report=iteration"), tmp_path)
    assert done.returncode in DONE, done.stderr
    made(done.stdout, tmp_path / WORKSPACE / "report")


def test_it_is_made_where_the_daemon_was_killed_before_it_was(
    one_iteration: Path, tmp_path: Path
) -> None:
    workspace = shutil.copytree(one_iteration, tmp_path / WORKSPACE)
    wanted = ("--set", "alignment.report=iteration")
    made(call(command("resume", WORKSPACE, *wanted), tmp_path).stdout, workspace / "report")


def made(said: str, report: Path) -> None:
    assert str(report / "report.html") in said
    assert {path.name for path in report.iterdir()} > FILES


def test_who_wants_none_gets_none(one_iteration: Path) -> None:
    assert not (one_iteration / "report").exists()
