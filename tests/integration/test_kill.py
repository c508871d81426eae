"""`kill -9` at random moments: the same constants to the byte, nothing done twice, nothing lost."""

from __future__ import annotations

import contextlib
import json
import random
import re
import signal
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.commands import (
    DONE,
    PATIENCE_S,
    SimulatedDetector,
    call,
    checkpoint,
    command,
    run_command,
    wait_until,
)

KILLS = 20
ITERATIONS = 3
LAST_KILL_AT = 0.8
"""No kill is due in what remains of the alignment after this part, so that all 20 fall into it."""

STATES = ("prepare", "submit_reco", "wait_reco", "mille", "pede", "next_iteration")


@pytest.fixture(scope="module")
def undisturbed(simulated: SimulatedDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an alignment that nobody disturbed."""
    directory = tmp_path_factory.mktemp("undisturbed")
    assert call(run_command(simulated, iterations=ITERATIONS), directory).returncode in DONE
    return next(directory.glob("Y*"))


def progress(workspace: Path) -> float:
    """Return how much of the alignment is behind the checkpoint, from 0 to 1."""
    snapshot = checkpoint(workspace)
    if not snapshot:
        return 0.0
    if snapshot["state"] not in STATES:
        return 1.0
    states_done = STATES.index(snapshot["state"]) / len(STATES)
    return float(snapshot["iteration"] - 1 + states_done) / ITERATIONS


def live_until(
    daemon: subprocess.Popen[bytes], workspace: Path, part: float, more_s: float
) -> None:
    """Let the daemon work until so much is done, and a little longer."""
    wait_until(lambda: progress(workspace) >= part or daemon.poll() is not None, "progress")
    with contextlib.suppress(subprocess.TimeoutExpired):
        daemon.wait(more_s)


def test_twenty_kills_change_nothing(
    simulated: SimulatedDetector, undisturbed: Path, tmp_path: Path
) -> None:
    chance = random.Random(20)
    workspace = tmp_path / undisturbed.name
    for part in sorted(chance.uniform(0, LAST_KILL_AT) for _ in range(KILLS)):
        daemon = start(simulated, workspace)
        # Some of these moments lie before the daemon has loaded its modules, some in a transition.
        live_until(daemon, workspace, part, chance.uniform(0, 0.5))
        assert daemon.poll() is None, "the alignment was over before its last kill"
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    assert start(simulated, workspace).wait(PATIENCE_S) in DONE
    assert constants(workspace) == constants(undisturbed)
    assert len(constants(workspace)) == ITERATIONS
    assert reconstructions(workspace) == dict.fromkeys(reconstructions(undisturbed), 1)
    assert reconstructions(undisturbed) == dict.fromkeys(reconstructions(undisturbed), 1)


def start(simulated: SimulatedDetector, workspace: Path) -> subprocess.Popen[bytes]:
    """Start the daemon, or resume it when there is something to resume."""
    resumable = (workspace / "state.yaml").exists()
    return subprocess.Popen(
        command("resume", str(workspace))
        if resumable
        else run_command(simulated, iterations=ITERATIONS),
        cwd=workspace.parent,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def constants(workspace: Path) -> dict[str, bytes]:
    found = workspace.glob("iter*/3millepede/inputforalign.txt")
    return {path.parent.parent.name: path.read_bytes() for path in found}


def reconstructions(workspace: Path) -> dict[tuple[str, int], int]:
    """Count how often each raw file's job was started, from the batch system's own journal."""
    started: Counter[tuple[str, int]] = Counter()
    for journal in workspace.glob("batch/*/journal"):
        batch = json.loads((journal.parent / "submission.json").read_text())
        iteration = re.search(r"iter\d\d", json.dumps(batch))
        assert iteration is not None
        for line in filter(None, journal.read_text().splitlines()):
            event = json.loads(line)
            if event["event"] == "started":
                started[iteration.group(), event["job"]] += 1
    assert started
    return dict(started)
