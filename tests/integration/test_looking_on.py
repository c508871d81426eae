"""Looking on from a terminal, and a dry run: nothing is touched."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shutil
import signal
import struct
import subprocess
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.commands import (
    PATIENCE_S,
    SimulatedDetector,
    call_here,
    command,
    run_command,
    wait_until,
)


def tree(root: Path) -> dict[str, tuple[int, int]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.stat().st_size) for path in root.rglob("*")
    } | {str(root): (root.stat().st_mtime_ns, 0)}


@pytest.mark.parametrize("verb", ["run", "reco"])
def test_a_dry_run_shows_the_submission_and_writes_nothing(
    simulated: SimulatedDetector, tmp_path: Path, verb: str
) -> None:
    words = [*run_command(simulated, "--dry-run", iterations=1)]
    words[words.index("run")] = verb
    before = tree(tmp_path), tree(simulated.directory)
    ran = call_here(words, tmp_path)
    assert ran.returncode == 0, ran.stderr
    assert "==> " in ran.stdout
    assert "iter01/1reco/reco.sub <==" in ran.stdout
    assert "queue " in ran.stdout
    assert "iteration 1: 2 jobs would be submitted" in ran.stdout
    assert (tree(tmp_path), tree(simulated.directory)) == before


def test_a_dry_run_of_what_is_done_says_so(
    one_file: SimulatedDetector, one_iteration: Path
) -> None:
    before = tree(one_iteration)
    ran = call_here(run_command(one_file, "--dry-run"), one_iteration.parent)
    assert (ran.returncode, ran.stdout) == (0, "it is done: nothing would be submitted\n")
    reco = [*run_command(one_file, "--dry-run", iterations=2)]
    reco[reco.index("run")] = "reco"
    assert "iter02/1reco/reco.sub <==" in call_here(reco, one_iteration.parent).stdout
    assert tree(one_iteration) == before


class Terminal:
    """`auto-iter watch` in a terminal of so many columns and rows."""

    def __init__(self, *arguments: str, size: tuple[int, int] = (80, 24)) -> None:
        self._screen, inside = pty.openpty()
        self.resize(*size)
        self.before = termios.tcgetattr(inside)
        self.inside = inside
        # No size that is set for all (the test runner's), and no SIGINT that nohup has ignored.
        size_set = {"COLUMNS", "LINES"}
        environment = {name: value for name, value in os.environ.items() if name not in size_set}
        self.process = subprocess.Popen(
            ["env", "--default-signal=INT", *command("watch", "--every", "0.2", *arguments)],
            stdin=inside, stdout=inside, stderr=inside, start_new_session=True,
            env=environment | {"TERM": "xterm"},
        )  # fmt: skip
        self.shown = ""

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._screen, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def read(self) -> str:
        while select.select([self._screen], [], [], 0.05)[0]:
            self.shown += os.read(self._screen, 65536).decode(errors="replace")
        return self.shown

    def shows(self, text: str) -> None:
        self.shown = ""
        try:
            wait_until(lambda: text in self.read(), f"{text!r} on the screen")
        except AssertionError as error:
            error.add_note(f"shown since: {self.shown[-4000:]!r}; ended: {self.process.poll()}")
            raise

    def press(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def end(self) -> int:
        code = self.process.wait(PATIENCE_S)
        assert termios.tcgetattr(self.inside) == self.before, "the terminal is not as it was"
        assert "\x1b[?1049l" in self.read(), "the other screen is not back"
        return code

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        os.close(self._screen)
        os.close(self.inside)


@pytest.fixture
def finished(one_iteration: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(one_iteration, tmp_path / one_iteration.name))


@pytest.fixture
def terminal(finished: Path) -> Iterator[Terminal]:
    shown = Terminal(str(finished), str(finished.parent / "nothing"))
    yield shown
    shown.close()


def test_watch_goes_on_through_what_happens_until_q(terminal: Terminal, finished: Path) -> None:
    terminal.shows("done")
    terminal.shows("no such workspace")
    terminal.press("x")
    away = finished.rename(finished.with_name("away"))
    terminal.shows(f"{finished.name}  no such workspace")
    away.rename(finished)
    terminal.shows("1/1")
    terminal.resize(200, 50)
    terminal.shows("give the directory that `auto-iter run` made")  # there is room for all of it
    terminal.press("q")
    assert terminal.end() == 0


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_watch_leaves_the_terminal_as_it_was(
    terminal: Terminal, number: signal.Signals, code: int
) -> None:
    terminal.shows("done")
    terminal.process.send_signal(number)
    assert terminal.end() == code


def test_without_a_terminal_watch_prints_and_ends(finished: Path) -> None:
    ran = call_here(command("watch", str(finished)), finished.parent)
    assert ran.returncode == 0
    assert len(ran.stdout.splitlines()) == 1
    assert "\x1b" not in ran.stdout


def test_status_of_several_has_a_line_each(finished: Path) -> None:
    ran = call_here(command("status", "--exit-code", str(finished), "nothing"), finished.parent)
    assert ran.returncode == 2
    first, second = ran.stdout.splitlines()
    assert "done" in first
    assert "no such workspace" in second
