"""`auto-iter campaign` as a person runs it: killed, taken up again, looked at, reported."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path

import pytest

from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from tests.integration.commands import (
    SimulatedDetector,
    call,
    call_here,
    checkpoint,
    command,
    wait_until,
)

NAMES = ("Y2023_R011705_F400", "Y2023_R011705_F401")


def campaign_file(directory: Path, simulated: SimulatedDetector) -> Path:
    path = directory / "campaign.yaml"
    path.write_text(
        f"year: 2023\nconfig: {simulated.config}\niterations: 1\nparallel: 1\nstagger_s: 0\n"
        "set: [alignment.polling_interval_seconds=1]\n"
        "intervals:\n  - {run: 011705, files: 400}\n  - {run: 011705, files: 401, name: later}\n"
    )
    return path


def test_a_campaign_that_is_killed_is_taken_up_again_and_reported(
    simulated: SimulatedDetector, tmp_path: Path
) -> None:
    file = campaign_file(tmp_path, simulated)
    first, second = (tmp_path / name for name in NAMES)
    with subprocess.Popen(command("campaign", str(file)), stdout=subprocess.DEVNULL) as killed:
        wait_until(lambda: checkpoint(first).get("attempts"), "the first interval's jobs")
        killed.send_signal(signal.SIGKILL)
    status = call_here(command("campaign", "status", str(file)), tmp_path)
    rows = status.stdout.splitlines()
    assert (len(rows), NAMES[0] in rows[0], "not begun" in rows[1]) == (2, True, True), rows
    assert not second.exists()

    done = call(command("campaign", str(file)), tmp_path)
    assert done.returncode == NOT_CONVERGED_EXIT_CODE, done.stderr
    for workspace in (first, second):
        snapshot = checkpoint(workspace)
        assert (snapshot["state"], snapshot["history"][0]["attempts"]) == ("done", 1)
    told = json.loads((tmp_path / "campaign.json").read_text())
    assert [each["name"] for each in told["intervals"]] == [NAMES[0], "later"]
    assert [each["outcome"] for each in told["tests"]] == ["compatible"]
    page = (tmp_path / "campaign.html").read_text()
    assert page.count("<svg") == 5
    assert "later" in page

    before = {path: path.stat().st_mtime_ns for path in (first, second)}
    again = call(command("campaign", str(file)), tmp_path)
    assert again.returncode == NOT_CONVERGED_EXIT_CODE
    assert {path: path.stat().st_mtime_ns for path in (first, second)} == before


@pytest.mark.long
def test_two_at_once_on_the_local_batch_system_have_nothing_to_share(
    simulated: SimulatedDetector, tmp_path: Path
) -> None:
    file = campaign_file(tmp_path, simulated)
    file.write_text(file.read_text().replace("parallel: 1", "parallel: 2"))
    done = call(command("campaign", str(file)), tmp_path)
    assert done.returncode == NOT_CONVERGED_EXIT_CODE, done.stderr
    for name in NAMES:
        snapshot = checkpoint(tmp_path / name)
        assert (snapshot["state"], snapshot["history"][0]["attempts"]) == ("done", 1)
    assert not (tmp_path / "campaign.polls").exists()


@pytest.mark.long
def test_an_interval_of_several_runs_is_aligned_and_reported_with_the_others(
    tmp_path: Path,
) -> None:
    runs = "011705:400-402,011710:400"
    made = call(command("simulate", "sim", "-r", runs, "--events", "450"), tmp_path)
    assert made.returncode == 0, made.stderr
    file = tmp_path / "campaign.yaml"
    file.write_text(
        "year: 2023\nconfig: sim/config.yaml\niterations: 1\nstagger_s: 0\n"
        "set: [alignment.polling_interval_seconds=1, alignment.report=never]\n"
        "intervals:\n  - {run: [011710:400@0.5, 011705:400], name: both}\n"
        "  - {run: 011705, files: 401}\n"
    )
    done = call(command("campaign", str(file)), tmp_path)
    assert done.returncode == NOT_CONVERGED_EXIT_CODE, done.stderr
    both, later = json.loads((tmp_path / "campaign.json").read_text())["intervals"]
    assert (both["run"], both["files"]) == ("011705,011710", "011705:400,011710:400@0.5")
    assert (later["run"], later["files"]) == ("011705", "401")
    assert both["tracks"] > later["tracks"]
    assert both["files"] in (tmp_path / "campaign.html").read_text()


def test_what_cannot_run_is_refused_before_anything_is_begun(
    simulated: SimulatedDetector, tmp_path: Path
) -> None:
    file = campaign_file(tmp_path, simulated)
    file.write_text(file.read_text() + "  - {run: 011705, files: 999}\n")
    refused = call_here(command("campaign", str(file)), tmp_path)
    assert (refused.returncode, "00999" in refused.stderr) == (2, True), refused.stderr
    assert list(tmp_path.iterdir()) == [file]


def test_a_setting_that_one_interval_cannot_have_is_refused_with_its_name(
    simulated: SimulatedDetector, tmp_path: Path
) -> None:
    file = campaign_file(tmp_path, simulated)
    file.write_text(file.read_text().replace("set: [", "set: [alignment.hold_out=0.5, "))
    refused = call(command("campaign", str(file)), tmp_path)
    assert refused.returncode == 2
    assert f"{file}: {NAMES[0]}: alignment.hold_out 0.5: takes two raw files" in refused.stderr
    assert not [*tmp_path.glob("Y2023*")]
