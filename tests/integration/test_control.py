"""A person's hand on an alignment: while its daemon runs, after it was killed, failed, is done."""

from __future__ import annotations

import json
import signal
import subprocess
from pathlib import Path
from typing import Any

from tests.integration.commands import (
    DONE,
    PATIENCE_S,
    SimulatedDetector,
    call,
    call_here,
    checkpoint,
    command,
    program,
    run_command,
    wait_until,
)

FAILS_FOR_401 = 'case "$*" in *00401*) exit 41;; esac'


def answered(workspace: Path, *words: str) -> dict[str, Any]:
    """Return what a command answers a script."""
    done = call_here(command(*words, "--json"), workspace.parent)
    assert done.returncode == 0, done.stderr
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def said(workspace: Path) -> str:
    return (workspace / "log.jsonl").read_text()


def started(simulated: SimulatedDetector, directory: Path, *more: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        run_command(simulated, *more, iterations=2),
        cwd=directory,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def test_a_pause_holds_across_kill_and_restart_until_resume(
    one_file: SimulatedDetector, tmp_path: Path
) -> None:
    workspace = tmp_path / "Y2023_R011705_F400"
    daemon = started(one_file, tmp_path)
    wait_until(lambda: checkpoint(workspace).get("attempts"), "the job is submitted")
    answer = answered(workspace, "pause", str(workspace))
    assert answer == {
        "workspace": str(workspace), "paused": True, "taken": True, "by_daemon": True,
    }  # fmt: skip
    daemon.send_signal(signal.SIGKILL)
    daemon.wait()
    assert checkpoint(workspace)["paused"]["since"]
    daemon = started(one_file, tmp_path)
    wait_until(lambda: checkpoint(workspace)["iteration"] == 2, "the iteration ends")
    assert "paused since" in call_here(command("status"), tmp_path).stdout
    assert not (workspace / "iter02").exists()
    assert call(command("resume"), tmp_path).stdout == "the daemon goes on\n"
    assert daemon.wait(PATIENCE_S) in DONE
    assert [each["iteration"] for each in checkpoint(workspace)["history"]] == [1, 2]
    assert "paused by hand" in said(workspace)
    assert "goes on by hand" in said(workspace)
    refused = call_here(command("pause"), tmp_path)
    assert (refused.returncode, "done" in refused.stderr) == (2, True)


def test_a_command_that_sleeps_an_hour_delays_nothing_and_ends_with_the_daemon(
    one_file: SimulatedDetector, tmp_path: Path
) -> None:
    told = tmp_path / "told"
    hook = program(tmp_path / "hook.sh", f"cat >> {told}; exec sleep 3600")
    failing = program(tmp_path / "reco.sh", "exit 41")
    settings = {"notify.command": hook, "notify.time_limit_s": 5, "reco.max_attempts": 1}
    settings |= {"reco.program": failing}
    more = [word for key, value in settings.items() for word in ("--set", f"{key}={value}")]
    assert started(one_file, tmp_path, *more).wait(PATIENCE_S) == 1
    (event,) = map(json.loads, told.read_text().splitlines())
    assert (event["kind"], event["state"], event["exit_code"]) == ("failed", "failed", 1)
    workspace = tmp_path / "Y2023_R011705_F400"
    assert event["workspace"] == str(workspace)
    assert "nobody was told" in said(workspace)
    assert checkpoint(workspace)["notices"]["outbox"] == []
    program(hook, "cat > /dev/null")
    test = call(command("notify", "--test", str(workspace)), tmp_path)
    assert (test.returncode, test.stdout.splitlines()[-1]) == (0, "told")


def test_a_file_that_failed_for_good_is_left_out_and_the_rest_goes_on(
    simulated: SimulatedDetector, tmp_path: Path
) -> None:
    workspace = tmp_path / "Y2023_R011705_F400-402"
    failing = program(tmp_path / "reco.sh", f'{FAILS_FOR_401}\nexec faser_reco_alignment.py "$@"')
    more = ("--set", f"reco.program={failing}", "--set", "reco.max_attempts=1")
    assert started(simulated, tmp_path, *more).wait(PATIENCE_S) == 1
    states = {each["file"]: each["state"] for each in answered(workspace, "files", "list")["files"]}
    assert states == {"00400": "reconstructed", "00401": "gave up"}
    for words, why in (("402", "not of this alignment"), ("400-402", "no raw file of the")):
        refused = call_here(command("files", "skip", words), tmp_path)
        assert (refused.returncode, why in refused.stderr) == (2, True), refused.stderr
    assert answered(workspace, "files", "retry", "401")["retry"] == ["00401"]
    assert checkpoint(workspace)["failures"] == {}
    assert answered(workspace, "files", "skip", "401")["taken"]
    assert call(command("resume"), tmp_path).returncode in DONE
    assert [each["left_out"] for each in checkpoint(workspace)["history"]] == [[401]] * 2
    assert "raw files left out by hand" in said(workspace)
    assert (
        "left out by hand: 00401 (from iteration 1)"
        in call_here(command("status"), tmp_path).stdout
    )
