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

LAST_KILL_AT = 0.8
"""No kill is due in what remains of the alignment after this part, so that all fall into it."""

STATES = ("prepare", "submit_reco", "wait_reco", "mille", "pede", "next_iteration")


@pytest.fixture(scope="module")
def three_iterations(
    simulated: SimulatedDetector, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Return an alignment that nobody disturbed."""
    directory = tmp_path_factory.mktemp("undisturbed")
    assert call(run_command(simulated, iterations=3), directory).returncode in DONE
    return next(directory.glob("Y*"))


def progress(workspace: Path, iterations: int) -> float:
    """Return how much of the alignment is behind the checkpoint, from 0 to 1."""
    snapshot = checkpoint(workspace)
    if not snapshot:
        return 0.0
    if snapshot["state"] not in STATES:
        return 1.0
    states_done = STATES.index(snapshot["state"]) / len(STATES)
    return float(snapshot["iteration"] - 1 + states_done) / iterations


@pytest.mark.long
def test_twenty_kills_change_nothing(
    simulated: SimulatedDetector, three_iterations: Path, tmp_path: Path
) -> None:
    kills_change_nothing(20, 3, simulated, three_iterations, tmp_path)


def test_a_few_kills_change_nothing(
    simulated: SimulatedDetector, two_iterations: Path, tmp_path: Path
) -> None:
    kills_change_nothing(3, 2, simulated, two_iterations, tmp_path)


def kills_change_nothing(
    kills: int, iterations: int, simulated: SimulatedDetector, undisturbed: Path, place: Path
) -> None:
    """Kill the daemon of a new alignment in `place` again and again, then let it end."""
    chance = random.Random(20)
    workspace = place / undisturbed.name
    for part in sorted(chance.uniform(0, LAST_KILL_AT) for _ in range(kills)):
        daemon = start(simulated, workspace, iterations)
        wait_until(
            lambda: progress(workspace, iterations) >= part or daemon.poll() is not None,  # noqa: B023
            "progress",
        )
        # Some of these moments lie before the daemon has loaded its modules, some in a transition.
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(chance.uniform(0, 0.5))
        assert daemon.poll() is None, "the alignment was over before its last kill"
        daemon.send_signal(signal.SIGKILL)
        daemon.wait()
    assert start(simulated, workspace, iterations).wait(PATIENCE_S) in DONE
    assert constants(workspace) == constants(undisturbed)
    assert len(constants(workspace)) == iterations
    assert reconstructions(workspace) == dict.fromkeys(reconstructions(undisturbed), 1)
    assert reconstructions(undisturbed) == dict.fromkeys(reconstructions(undisturbed), 1)


def start(
    simulated: SimulatedDetector, workspace: Path, iterations: int
) -> subprocess.Popen[bytes]:
    """Start the daemon, or resume it when there is something to resume."""
    resumable = (workspace / "state.yaml").exists()
    return subprocess.Popen(
        command("resume", str(workspace))
        if resumable
        else run_command(simulated, iterations=iterations),
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
