"""The daemon as a process: signals, terminals that close, a second start, and who looks on."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from auto_iter.daemon.lock import read_holder
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

JOBS = 2

STOPPED = 143
"""The exit code of what SIGTERM ended."""


class RunningAlignment:
    """An alignment of one iteration whose jobs wait for `let_go`."""

    def __init__(self, directory: Path, simulated: SimulatedDetector) -> None:
        self.directory = directory
        self.workspace = directory / "Y2023_R011705_F400-402"
        self._go = directory / "go"
        waiting = program(
            directory / "reco.sh",
            f'while [ ! -e {self._go} ]; do sleep 0.05; done; exec faser_reco_alignment.py "$@"',
        )
        settings = ("--set", f"reco.program={waiting}", "--set", f"local.slots={JOBS}")
        self.command = run_command(simulated, *settings)
        self.started: list[psutil.Popen] = []

    def start(self) -> psutil.Popen:
        """Start the daemon; return when its jobs run."""
        daemon = psutil.Popen(
            self.command,
            cwd=self.directory,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self.started.append(daemon)
        self.wait_for_jobs()
        return daemon

    def wait_for_jobs(self) -> None:
        def all_run() -> bool:
            progress = checkpoint(self.workspace).get("progress", {})
            return bool(progress.get("running") == JOBS == len(self.jobs()))

        wait_until(all_run, "all reconstructions run, and the daemon knows")

    def let_go(self) -> None:
        self._go.touch()

    def jobs(self) -> set[int]:
        """Return the pids of the waiting reconstructions."""
        mine = re.compile(rf"{re.escape(str(self.directory))}/.*/reco\.sh")
        found = {}
        for process in psutil.process_iter(["cmdline", "ppid"]):
            line = process.info["cmdline"] or []
            if any(map(mine.fullmatch, line)) and "--alignment" in line:
                found[process.pid] = process.info["ppid"]
        # A child that the shell has just forked looks like the shell until it runs its command.
        return {pid for pid, parent in found.items() if parent not in found}

    def is_done(self) -> bool:
        return bool(checkpoint(self.workspace).get("state") == "done")


@pytest.fixture
def alignment(tmp_path: Path, simulated: SimulatedDetector) -> Iterator[RunningAlignment]:
    made = RunningAlignment(tmp_path, simulated)
    yield made
    made.let_go()
    for daemon in made.started:
        if daemon.is_running():
            daemon.kill()
            daemon.wait()
    wait_until(lambda: not made.jobs(), "its jobs ended, too")


@pytest.mark.parametrize(
    ("asked_by", "code"),
    [(signal.SIGTERM, STOPPED), pytest.param(signal.SIGINT, 130, marks=pytest.mark.long)],
)
def test_asked_to_stop_it_leaves_the_jobs_and_says_how_to_go_on(
    asked_by: signal.Signals, code: int, alignment: RunningAlignment
) -> None:
    daemon = alignment.start()
    jobs = alignment.jobs()
    daemon.send_signal(asked_by)
    said, _ = daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode == code
    assert said == f"stopped; resume with: auto-iter resume {alignment.workspace}\n"
    assert alignment.jobs() == jobs
    assert checkpoint(alignment.workspace)["state"] == "wait_reco"
    alignment.let_go()
    resumed = call(command("resume", str(alignment.workspace)), alignment.directory)
    assert resumed.returncode in DONE
    snapshot = checkpoint(alignment.workspace)
    assert snapshot["state"] == "done"
    assert snapshot["history"][0]["attempts"] == 1


def test_a_second_start_says_who_is_there_and_disturbs_nothing(alignment: RunningAlignment) -> None:
    daemon = alignment.start()
    for second in (alignment.command, command("resume", str(alignment.workspace))):
        refusal = call_here(second, alignment.directory)
        assert refusal.returncode == 2
        assert refusal.stderr.count("\n") == 1
        assert f"held by pid {daemon.pid} on " in refusal.stderr
    assert daemon.is_running()
    alignment.let_go()
    daemon.communicate(timeout=PATIENCE_S)
    assert daemon.returncode in DONE


def test_others_see_where_it_is(alignment: RunningAlignment) -> None:
    daemon = alignment.start()
    text = call_here(command("status"), alignment.directory).stdout
    assert "wait_reco, iteration 1 of 1" in text
    assert f"daemon: pid {daemon.pid}" in text
    status = json.loads(call_here(command("status", "--json"), alignment.directory).stdout)
    assert status["state"] == "wait_reco"
    assert status["daemon"]["pid"] == daemon.pid
    assert status["jobs"]["wanted"] == JOBS
    log = call_here(command("logs"), alignment.directory).stdout
    assert "→ wait_reco (submitted)" in log
    old_terminal = {**os.environ, "PYTHONIOENCODING": "ascii"}
    plain = subprocess.run(
        command("logs"), cwd=alignment.directory, env=old_terminal, capture_output=True, check=True
    )
    assert b"? wait_reco (submitted)" in plain.stdout
    for line in (alignment.workspace / "log.jsonl").read_text().splitlines():
        assert json.loads(line)["event"]


def test_stop_ends_daemon_and_jobs_when_asked(alignment: RunningAlignment) -> None:
    daemon = alignment.start()
    stopped = call(command("stop", "--jobs"), alignment.directory)
    assert stopped.returncode == 0
    assert daemon.wait(PATIENCE_S) == STOPPED
    assert not alignment.jobs()
    assert checkpoint(alignment.workspace)["state"] == "stopped"


def test_a_broken_configuration_keeps_nobody_from_stopping(alignment: RunningAlignment) -> None:
    daemon = alignment.start()
    config = alignment.workspace / "config.yaml"
    good = config.read_text()
    config.write_text("reco: [")
    stopped = call(command("stop", "--jobs"), alignment.directory)
    assert stopped.returncode == 0, stopped.stderr
    assert daemon.wait(PATIENCE_S) == STOPPED
    assert not alignment.jobs()
    assert "the jobs are found without it" in stopped.stdout
    assert f"jobs of {JOBS} raw files are removed" in stopped.stdout
    config.write_text(good)
    alignment.let_go()
    resumed = call(command("resume", str(alignment.workspace)), alignment.directory)
    assert resumed.returncode in DONE, resumed.stderr
    assert checkpoint(alignment.workspace)["state"] == "done"


def in_a_terminal(alignment: RunningAlignment, line: str) -> Callable[[], None]:
    """Type `line` into a shell on a terminal of its own; return what closes that terminal."""
    shell, terminal = pty.fork()
    if shell == 0:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)  # whoever runs the tests may be under nohup
        os.chdir(alignment.directory)
        os.execv("/bin/bash", ["bash", "--norc", "-i"])  # noqa: S606 - the test's own shell
    os.write(terminal, f"{line}\n".encode())

    def close() -> None:
        os.close(terminal)
        os.kill(shell, signal.SIGHUP)  # as a terminal's program does
        os.waitpid(shell, 0)

    return close


def quoted(words: list[str]) -> str:
    return " ".join(f"'{word}'" for word in words)


def test_under_nohup_it_outlives_its_terminal(alignment: RunningAlignment) -> None:
    close = in_a_terminal(alignment, f"nohup {quoted(alignment.command)} &>>auto_iter.log &")
    alignment.wait_for_jobs()
    holder = read_holder(alignment.workspace / "daemon.lock")
    assert holder is not None
    close()
    assert holder.is_alive
    alignment.let_go()
    wait_until(alignment.is_done, "it went on to its end")
    log = (alignment.directory / "auto_iter.log").read_text()
    assert "→ done (finish)" in log
    assert "\x1b" not in log  # plain lines where no terminal is


def test_without_nohup_a_closed_terminal_is_a_request_to_stop(alignment: RunningAlignment) -> None:
    close = in_a_terminal(alignment, quoted(alignment.command))
    alignment.wait_for_jobs()
    holder = read_holder(alignment.workspace / "daemon.lock")
    assert holder is not None
    close()
    wait_until(lambda: not holder.is_alive, "it stopped")
    assert checkpoint(alignment.workspace)["state"] == "wait_reco"
    assert len(alignment.jobs()) == JOBS


def test_a_terminal_shows_how_far_it_is(alignment: RunningAlignment) -> None:
    shell, terminal = pty.fork()
    if shell == 0:
        os.chdir(alignment.directory)
        os.execv(alignment.command[0], alignment.command)  # noqa: S606 - the program under test
    shown = ""
    while f"0 of {JOBS} reconstructed" not in shown:
        shown += os.read(terminal, 4096).decode(errors="replace")
    alignment.let_go()
    while True:
        try:
            shown += os.read(terminal, 4096).decode(errors="replace")
        except OSError:  # the other end is closed
            break
    _, status = os.waitpid(shell, 0)
    assert os.waitstatus_to_exitcode(status) in DONE
    assert "1 of 1" in shown
    assert "iter files   tracks  chi2/ndf" in shown
