"""The real pool, as tests see it: its schedd, batch systems on it, an empty queue at the end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from auto_iter.batch.htcondor import HTCondorBatch
from auto_iter.batch.htcondor_child import ScheddProcess
from auto_iter.config import HTCondor
from auto_iter.errors import TransientError
from auto_iter.model import Submission, Tally

PATIENCE_S = 60.0
LOOK_S = 0.2

pytestmark = pytest.mark.pool


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.pool)


def wait_for(condition: Callable[[], bool], what: str = "") -> None:
    """Wait until something is true; a schedd that is down for a while does not matter."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if condition():
                return
        except TransientError as error:
            what = str(error)
        assert time.monotonic() < deadline, what
        time.sleep(LOOK_S)


def managed(call: Callable[[], object]) -> None:
    """Try a call until the schedd is not in trouble any more."""

    def is_through() -> bool:
        call()
        return True

    wait_for(is_through)


def settled(system: HTCondorBatch, submission: Submission, until: Callable[[Tally], bool]) -> Tally:
    """Poll until a tally is as it should be."""
    last: list[Tally] = []

    def reached() -> bool:
        last.append(system.poll(submission))
        return until(last[-1])

    wait_for(reached)
    return last[-1]


@pytest.fixture
def calls() -> Iterator[ScheddProcess]:
    """Give calls to the schedd, for what a test wants to know or do by hand."""
    process = ScheddProcess(timeout_s=30)
    yield process
    process.close()


@pytest.fixture(autouse=True)
def _empty_queue(calls: ScheddProcess) -> Iterator[None]:
    yield

    def is_empty() -> bool:
        calls.act("remove", "true", "end of the test", at=None)
        return calls.count("true", at=None).total == 0

    wait_for(is_empty, "the queue does not empty")


class ScheddDaemon:
    """The condor_schedd process: killed, stopped, or let go on."""

    def process(self) -> psutil.Process:
        """Return the one that runs now. Raises LookupError when none does."""
        for process in psutil.process_iter(["name", "uids"]):
            if process.info["name"] == "condor_schedd":
                uids = process.info["uids"]
                if uids is not None and uids.real == os.getuid():
                    return process
        raise LookupError("no condor_schedd of this user")

    def kill(self) -> None:
        """End it without warning; the master starts another."""
        self.process().send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """Make it hang."""
        self.process().send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self.process().send_signal(signal.SIGCONT)


@pytest.fixture
def schedd_daemon() -> Iterator[ScheddDaemon]:
    """Give the schedd's process, running again at the end."""
    daemon = ScheddDaemon()
    yield daemon
    wait_for(lambda: _runs(daemon))
    daemon.go_on()


def _runs(daemon: ScheddDaemon) -> bool:
    try:
        return daemon.process().is_running()
    except LookupError:
        return False


Opener = Callable[..., HTCondorBatch]


@pytest.fixture
def open_batch() -> Iterator[Opener]:
    """Make batch systems, as daemons do that have just started; keywords configure them."""
    opened: list[ScheddProcess] = []

    def make(*, timeout_s: float = 30.0, **settings: object) -> HTCondorBatch:
        config = HTCondor.model_validate({"job_flavour": None, "max_retries": 0, **settings})
        opened.append(ScheddProcess(timeout_s=timeout_s))
        return HTCondorBatch("ws", config, opened[-1])

    yield make
    for process in opened:
        process.close()
