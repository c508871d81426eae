"""An alignment as a service of a real systemd user manager: `make service-test`."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.integration.commands import (
    SimulatedDetector,
    call,
    checkpoint,
    command,
    program,
    run_command,
    wait_until,
)

pytestmark = pytest.mark.skipif(
    subprocess.run(
        ["systemctl", "--user", "show-environment"], capture_output=True, check=False
    ).returncode != 0,
    reason="no systemd user manager: tests/service/user_manager.sh gives one",
)  # fmt: skip

HURRY = "[Service]\nWatchdogSec=3\nRestartSec=1\n"


class Service:
    """A workspace, installed, whose one job waits for `go`."""

    def __init__(self, directory: Path, simulated: SimulatedDetector) -> None:
        self._go = directory / "go"
        waiting = program(
            directory / "reco.sh",
            f'while [ ! -e {self._go} ]; do sleep 0.05; done; exec faser_reco_alignment.py "$@"',
        )
        reco = run_command(simulated, "--set", f"reco.program={waiting}")
        reco[reco.index("run")] = "reco"
        assert call(reco, directory).returncode == 0
        self.workspace = next(directory.glob("Y*"))
        shown = self.call("install", "--dry-run").stdout
        path = Path(shown.splitlines()[0].removeprefix("# "))
        self.name = path.name
        drop_in = path.parent / f"{self.name}.d/hurry.conf"
        drop_in.parent.mkdir(parents=True, exist_ok=True)
        drop_in.write_text(HURRY)
        self.unit = path

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        done = call(command("service", *words, str(self.workspace)), self.workspace.parent)
        assert done.returncode == 0, done.stderr
        return done

    def properties(self, *names: str) -> list[str]:
        show = ["systemctl", "--user", "show", "--value", f"--property={','.join(names)}"]
        said = subprocess.run([*show, self.name], capture_output=True, text=True, check=True)
        return [line for line in said.stdout.splitlines() if line]

    def says(self) -> str:
        return self.call("status").stdout

    def pid(self) -> int:
        return int(self.properties("MainPID")[0])

    def let_go(self) -> None:
        self._go.touch()


@pytest.fixture
def service(tmp_path: Path, one_file: SimulatedDetector) -> Service:
    return Service(tmp_path, one_file)


def test_a_service_survives_crash_and_hang_and_finds_the_same_constants(
    service: Service, one_iteration: Path
) -> None:
    assert "runs as auto-iter-" in service.call("install").stdout
    waits = "wait_reco, iteration 1 of 10: 0 of 1 files reconstructed"
    wait_until(lambda: waits in service.says(), "it waits for its job, and says so")
    first = service.pid()
    os.kill(first, signal.SIGKILL)
    wait_until(lambda: service.pid() not in {0, first}, "it is started again after a crash")
    wait_until(lambda: waits in service.says(), "it waits again")
    second = service.pid()
    os.kill(second, signal.SIGSTOP)
    wait_until(lambda: "watchdog" in service.properties("Result"), "the watchdog bites")
    wait_until(lambda: service.pid() not in {0, second}, "it is started again after a hang")
    wait_until(lambda: "(restarted 2 times)" in service.says(), "that is told")
    service.let_go()
    wait_until(lambda: checkpoint(service.workspace)["iteration"] > 1, "an iteration is over")
    found = "iter01/3millepede/inputforalign.txt"
    assert (service.workspace / found).read_text() == (one_iteration / found).read_text()
    assert checkpoint(service.workspace)["history"][0]["attempts"] == 1
    stopped = call(command("stop", str(service.workspace)), service.workspace.parent)
    assert stopped.returncode == 0
    # Stopped on request is no failure, and nothing is started again.
    wait_until(lambda: service.properties("ActiveState") == ["inactive"], "it has stopped")
    assert "does not run; systemctl --user start" in service.says()
    assert "removed" in service.call("uninstall").stdout
    assert not service.unit.exists()
    assert "no service is installed" in service.says()


def test_without_program_and_workspace_it_waits_and_says_so(service: Service) -> None:
    settled = service.workspace / "config.yaml"
    service.unit.write_text(service.call("install", "--dry-run").stdout)
    settled.rename(settled.with_name("away"))  # as on AFS before there is a token
    for words in (["daemon-reload"], ["start", "--no-block", service.name]):
        subprocess.run(["systemctl", "--user", *words], check=True)
    wait_until(lambda: "is there a ticket?" in service.says(), "it waits")
    assert service.pid() == 0
    subprocess.run(["systemctl", "--user", "stop", service.name], check=True)


def test_on_another_host_it_does_not_start(service: Service) -> None:
    shown = service.call("install", "--dry-run").stdout
    (here,) = [line for line in shown.splitlines() if line.startswith("ConditionHost=")]
    service.unit.write_text(shown.replace(here, "ConditionHost=another.cern.ch"))
    for words in (["daemon-reload"], ["start", service.name]):
        subprocess.run(["systemctl", "--user", *words], check=True)
    assert "is a service of another.cern.ch; ask there" in service.says()
    assert service.properties("ActiveState") == ["inactive"]
