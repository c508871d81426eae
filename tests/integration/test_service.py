"""The daemon under a supervisor that does what systemd does with Type=notify and a watchdog."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import (
    DONE,
    PATIENCE_S,
    SimulatedDetector,
    call,
    checkpoint,
    command,
    program,
    run_command,
    wait_until,
)

WATCHDOG_S = 2.0


class ServiceSupervisor:
    """Starts a service and listens to it."""

    def __init__(self, arguments: list[str]) -> None:
        self._arguments = arguments
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # the kernel finds an abstract name
        self._socket.settimeout(PATIENCE_S)

    def start(self) -> subprocess.Popen[bytes]:
        """Start the service; return when it is ready."""
        environment = {
            **os.environ,
            "NOTIFY_SOCKET": "@" + self._socket.getsockname()[1:].decode(),
            "WATCHDOG_USEC": str(round(WATCHDOG_S * 1e6)),
        }
        service = subprocess.Popen(
            self._arguments, env=environment,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.wait_for("READY=1")
        return service

    def wait_for(self, message: str) -> None:
        """Read what the service says until it says `message`."""
        while not self._socket.recv(4096).decode().startswith(message):
            pass

    def hears_nothing(self) -> bool:
        """Tell whether the service is silent for as long as its watchdog bears."""
        self._socket.settimeout(WATCHDOG_S)
        try:
            self._socket.recv(4096)
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(PATIENCE_S)
        return False

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def begun(tmp_path: Path, one_file: SimulatedDetector) -> Path:
    """Return a workspace whose job waits for the file `go` beside it."""
    go = tmp_path / "go"
    waiting = program(
        tmp_path / "reco.sh",
        f'while [ ! -e {go} ]; do sleep 0.05; done; exec faser_reco_alignment.py "$@"',
    )
    reco = run_command(one_file, "--set", f"reco.program={waiting}")
    reco[reco.index("run")] = "reco"
    assert call(reco, tmp_path).returncode == 0
    return next(tmp_path.glob("Y*"))


@pytest.fixture
def supervisor(begun: Path) -> Iterator[ServiceSupervisor]:
    made = ServiceSupervisor(command("resume", str(begun), "-i", "1"))
    yield made
    made.close()
    (begun.parent / "go").touch()


def constants(workspace: Path) -> str:
    return (workspace / "iter01/3millepede/inputforalign.txt").read_text()


def test_a_daemon_that_hangs_is_killed_and_its_successor_finds_the_same_constants(
    begun: Path, supervisor: ServiceSupervisor, one_iteration: Path
) -> None:
    hung = supervisor.start()
    supervisor.wait_for("STATUS=wait_reco, iteration 1 of 1: 0 of 1 files reconstructed")
    for _ in range(2):
        supervisor.wait_for("WATCHDOG=1")
    hung.send_signal(signal.SIGSTOP)
    wait_until(supervisor.hears_nothing, "it is silent")
    for number in (signal.SIGABRT, signal.SIGCONT):  # as systemd does
        hung.send_signal(number)
    _, said = hung.communicate(timeout=PATIENCE_S)
    assert hung.returncode == -signal.SIGABRT
    assert b"Fatal Python error: Aborted" in said  # and where it was, for the journal
    successor = supervisor.start()
    (begun.parent / "go").touch()
    supervisor.wait_for("STOPPING=1")
    successor.communicate(timeout=PATIENCE_S)
    assert successor.returncode in DONE
    assert checkpoint(begun)["history"][0]["attempts"] == 1
    assert constants(begun) == constants(one_iteration)
