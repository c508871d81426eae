"""Two hosts, one workspace, no lock between them but the file: who was away too long gives up."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from auto_iter.daemon.lock import STALE_AFTER_S
from tests.integration.commands import (
    DONE,
    PATIENCE_S,
    SimulatedDetector,
    call,
    checkpoint,
    program,
    run_command,
    wait_until,
)

ROOT = Path(__file__).parents[2]


def on(host: str, command: list[str]) -> list[str]:
    """Return a command line of auto-iter as it would be given on `host`."""
    return [command[0], "-m", "tests.integration.hosts", host, *command[3:]]


def tree(workspace: Path) -> dict[str, bytes]:
    """Return every file of the workspace, with its content, but the local batch system's lock.

    Whoever asks how jobs stand may start a supervisor, which writes that it holds the lock; a
    daemon that was stopped in the midst of asking goes on doing so.
    """
    files = (path for path in workspace.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files if path.name != "supervisor.lock"}


@contextlib.contextmanager
def ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Kill a process at the end: one that is stopped would be waited for for ever."""
    try:
        yield
    finally:
        process.kill()


def test_a_daemon_that_was_stopped_for_long_ends_with_a_sentence_and_writes_nothing(
    one_file: SimulatedDetector, tmp_path: Path
) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = run_command(one_file)
    with subprocess.Popen(
        on("first", run), cwd=tmp_path, env=environment, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
    ) as first, ended(first):  # fmt: skip
        wait_until(lambda: list(tmp_path.glob("Y*/state.yaml")), "a workspace")
        workspace = next(tmp_path.glob("Y*"))
        wait_until(lambda: checkpoint(workspace)["state"] == "wait_reco", "running jobs")
        first.send_signal(signal.SIGSTOP)
        resume = [sys.executable, "-m", "auto_iter", "resume", str(workspace)]
        refused = call(on("second", resume), ROOT)
        assert refused.returncode == 2
        assert "on first" in refused.stderr
        silent = workspace / "daemon.lock"
        long_ago = silent.stat().st_mtime - STALE_AFTER_S - 60
        os.utime(silent, (long_ago, long_ago))
        done = call(on("second", resume), ROOT)
        assert done.returncode in DONE, done.stderr
        assert checkpoint(workspace)["state"] == "done"
        before = tree(workspace)
        first.send_signal(signal.SIGCONT)
        assert first.stderr is not None
        said = first.stderr.read()
        assert first.wait(PATIENCE_S) == 1
    assert said.strip().splitlines()[-1].endswith("this one ends and has written nothing since")
    assert "Traceback" not in said
    assert tree(workspace) == before


def test_a_daemon_that_waits_for_its_jobs_shows_other_hosts_that_it_lives(
    one_file: SimulatedDetector, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    waiting = program(tmp_path / "reco.sh", f"while [ ! -e {go} ]; do sleep 0.1; done; exit 1")
    run = run_command(one_file, "--set", f"reco.program={waiting}")
    with subprocess.Popen(
        on("first", run), cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, text=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as first, ended(first):  # fmt: skip
        try:
            wait_until(lambda: list(tmp_path.glob("Y*/state.yaml")), "a workspace")
            workspace = next(tmp_path.glob("Y*"))
            wait_until(lambda: checkpoint(workspace)["state"] == "wait_reco", "running jobs")
            sign = workspace / "daemon.lock"
            long_ago = sign.stat().st_mtime - STALE_AFTER_S - 60
            os.utime(sign, (long_ago, long_ago))
            wait_until(lambda: sign.stat().st_mtime > long_ago + STALE_AFTER_S, "a sign of life")
            first.send_signal(signal.SIGTERM)
            assert first.wait(PATIENCE_S) == 143
        finally:
            go.touch()
