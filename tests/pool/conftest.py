"""The real pool, as tests see it: its schedd, batch systems on it, an empty queue at the end."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from auto_iter.alignment.model import Submission, Tally
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.batch import HTCondor
from auto_iter.errors import TransientError
from tests.pool.alignments import (
    DONE,
    HTCONDOR,
    ITERATIONS,
    Aligner,
    PoolAlignment,
    PoolDetector,
    made_detector,
    make_detector,
    of_place,
    with_own_raw_files,
)
from tests.pool.processes import is_in_the_pool
from tests.support.once import made_once

PATIENCE_S = 180.0
LOOK_S = 0.2

_SUBJECTS = ("alignment", "contract", "dag", "failures", "fetch", "holds", "raw_files", "site")
SHARING = frozenset(f"test_pool_{subject}.py" for subject in _SUBJECTS)
"""Files whose tests look at nobody's jobs but their own."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        item.add_marker(pytest.mark.pool)
        alone = {"schedd_daemon", "small_disk"} & set(getattr(item, "fixturenames", ()))
        if item.path.name in SHARING and not alone:
            item.add_marker(pytest.mark.shares_pool)


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


Mine = Callable[..., str]


@pytest.fixture
def mine(tmp_path: Path) -> Mine:
    """Narrow a constraint to jobs of this test: others have theirs in the pool."""
    return lambda which="true": f"({which}) && {of_place(tmp_path)}"


@pytest.fixture(autouse=True)
def _empty_queue(
    calls: ScheddProcess, tmp_path: Path, request: pytest.FixtureRequest
) -> Iterator[None]:
    yield
    shares = request.node.get_closest_marker("shares_pool") is not None
    jobs = of_place(tmp_path) if shares else "true"

    def is_empty() -> bool:
        calls.act("remove", jobs, "end of the test")
        return not calls.query(jobs, ("ClusterId",))

    wait_for(is_empty, "the queue does not empty")


class ScheddDaemon:
    """The condor_schedd process: killed, stopped, or let go on."""

    def process(self) -> psutil.Process:
        """Return the one that runs now. Raises LookupError when none does."""
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "condor_schedd" and is_in_the_pool(process.pid):
                return process
        raise LookupError("no condor_schedd in the pool")

    def runs(self) -> bool:
        """Tell whether there is one."""
        try:
            return self.process().is_running()
        except LookupError:
            return False

    def kill(self) -> None:
        """End it without warning, once it is there; the master starts another."""
        wait_for(self.runs, "the schedd does not come back")
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
    wait_for(daemon.runs)
    daemon.go_on()


@pytest.fixture
def site(schedd_daemon: ScheddDaemon) -> Iterator[Callable[[str], None]]:
    """Give the schedd settings of a site that is less generous; they are gone at the end."""
    settings = Path(os.environ["POOL_DIR"], "etc/condor/config.d/99-z-site.conf")

    def become(text: str) -> None:
        settings.write_text(f"{text}\n")
        schedd_daemon.process().send_signal(signal.SIGHUP)
        time.sleep(1)  # it does not say when it has read them

    yield become
    become("")


Opener = Callable[..., HTCondorBatch]


@pytest.fixture
def open_batch() -> Iterator[Opener]:
    """Make batch systems, as daemons do that have just started; keywords configure them."""
    opened: list[ScheddProcess] = []
    workspace = secrets.token_hex(4)  # the schedd remembers the keys of other tests

    def make(*, timeout_s: float = 30.0, **settings: object) -> HTCondorBatch:
        usual = {"job_flavour": None, "max_retries": 0, "min_poll_interval_s": 1e-6}
        config = HTCondor.model_validate({**usual, **settings})
        opened.append(ScheddProcess(timeout_s=timeout_s))
        return HTCondorBatch(workspace, config, opened[-1])

    yield make
    for process in opened:
        process.close()


@pytest.fixture
def small_disk() -> Iterator[Path]:
    """Give a file system of 40 MB that only this test uses."""
    disk = Path(os.environ["SMALL_DISK"])
    yield disk
    for path in disk.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def fill(disk: Path) -> Path:
    """Use up all space of a file system; return the file to remove."""
    filler = disk / "filler"
    with suppress(OSError), filler.open("wb", buffering=0) as content:
        while True:
            content.write(bytes(1 << 16))
    with suppress(OSError), filler.open("ab", buffering=0) as content:
        while True:
            content.write(bytes(1 << 10))
    return filler


@pytest.fixture(scope="session")
def detector(tmp_path_factory: pytest.TempPathFactory) -> PoolDetector:
    """Give a detector that no test changes."""
    return made_detector(made_once(tmp_path_factory, "detector", make_detector))


@pytest.fixture
def fragile(detector: PoolDetector, tmp_path: Path) -> PoolDetector:
    """Give the same detector with raw files that this test may spoil."""
    return with_own_raw_files(detector, tmp_path / "detector")


@pytest.fixture(scope="session")
def reference(detector: PoolDetector, tmp_path_factory: pytest.TempPathFactory) -> PoolAlignment:
    """Give the alignment of the local batch system, which those of the pool are measured by."""
    settings = ("batch.system=local", "alignment.polling_interval_seconds=1")

    def make(place: Path) -> None:
        ran = PoolAlignment(detector, place, settings).run()
        assert ran.returncode in DONE, ran.stdout + ran.stderr

    return PoolAlignment(detector, made_once(tmp_path_factory, "reference", make), settings)


@pytest.fixture
def on_the_pool(detector: PoolDetector, tmp_path: Path) -> Iterator[Aligner]:
    """Make alignments that run on the pool; settings come after the usual ones."""
    made: list[PoolAlignment] = []

    def make(
        *settings: str,
        of: PoolDetector = detector,
        iterations: int = ITERATIONS,
        place: Path = tmp_path,
    ) -> PoolAlignment:
        made.append(PoolAlignment(of, place, (*HTCONDOR, *settings), iterations))
        return made[-1]

    yield make
    for alignment in made:
        alignment.end()


@pytest.fixture
def condor_submit_dag() -> Path:
    """Give the pool's own program, as a person has it on PATH."""
    found = shutil.which("condor_submit_dag")
    assert found is not None
    return Path(found)
