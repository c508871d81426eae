"""The report of an alignment: made when the configuration says, and never missing at the end."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.integration.commands import DONE, SimulatedDetector, call, command, run_command

WORKSPACE = "Y2023_R011705_F400"


def test_it_is_there_at_the_end_also_where_the_daemon_was_killed_before_it_was_made(
    tmp_path: Path, one_file: SimulatedDetector
) -> None:
    report = tmp_path / WORKSPACE / "report"
    done = call(run_command(one_file, "--set", "alignment.report=iteration"), tmp_path)
    assert done.returncode in DONE, done.stderr
    names = {path.name for path in report.iterdir()}
    assert {"constants.txt", "report.json", "chi2.png", "residuals.png", "pulls.png"} <= names
    page = str(report / "report.html")
    assert page in done.stdout
    shutil.rmtree(report)
    again = call(command("resume", WORKSPACE), tmp_path)
    assert page in again.stdout
    assert {path.name for path in report.iterdir()} == names


def test_who_wants_none_gets_none(one_iteration: Path) -> None:
    assert not (one_iteration / "report").exists()
