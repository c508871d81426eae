"""What systemd is told, on a socket of the test's own."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from auto_iter.processes.service_manager import ServiceManager


@pytest.fixture(params=["in the file system", "abstract"])
def listener(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "s") if request.param != "abstract" else "")
        made.setblocking(False)
        yield made


def environment(listener: socket.socket, **more: str) -> dict[str, str]:
    name = listener.getsockname()
    address = name if isinstance(name, str) else "@" + name[1:].decode()
    return {"NOTIFY_SOCKET": address, **more}


def said(listener: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found


def test_start_status_and_end_are_told_in_one_line_each(listener: socket.socket) -> None:
    manager = ServiceManager.of(environment(listener))
    manager.ready()
    manager.tell("pede,\n iteration 2")
    manager.tell("pede, iteration 2")
    manager.beat()  # nobody asked for signs of life
    manager.stopping()
    assert said(listener) == ["READY=1", "STATUS=pede, iteration 2", "STOPPING=1"]


def test_signs_of_life_come_four_times_as_often_as_they_must(listener: socket.socket) -> None:
    now = [0.0]
    address = environment(listener)["NOTIFY_SOCKET"]
    manager = ServiceManager(address, watchdog_s=60.0, monotonic=lambda: now[0])
    for _ in range(120):
        manager.beat()
        now[0] += 1.0
    assert said(listener) == ["WATCHDOG=1"] * 8


@pytest.mark.parametrize(("is_ours", "beats"), [(True, 1), (False, 0)])
def test_a_watchdog_for_another_process_is_not_fed(
    is_ours: bool, beats: int, listener: socket.socket
) -> None:
    pid = os.getpid() if is_ours else os.getppid()
    env = environment(listener, WATCHDOG_USEC="60000000", WATCHDOG_PID=str(pid))
    ServiceManager.of(env).beat()
    assert len(said(listener)) == beats


@pytest.mark.parametrize("env", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1"}])
def test_without_a_manager_nothing_is_said(env: dict[str, str]) -> None:
    manager = ServiceManager.of(env)
    assert not manager.is_there
    for say in (manager.ready, manager.beat, manager.stopping):
        say()


def test_a_manager_that_has_gone_costs_nothing(tmp_path: Path) -> None:
    manager = ServiceManager.of({"NOTIFY_SOCKET": str(tmp_path / "gone"), "WATCHDOG_USEC": "1"})
    manager.ready()
    manager.beat()
    manager.tell("pede")
