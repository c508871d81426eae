"""`kill -9` at random moments: the same constants to the byte, nothing done twice, nothing lost."""

from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.integration.conftest import SimulatedDetector

KILLS = 20
ITERATIONS = 3
LIMIT_S = 300.0


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "auto_iter", *arguments]


def run_command(simulated: SimulatedDetector) -> list[str]:
    return command(
        "run", "-y", str(simulated.year), "-r", str(simulated.run), "-f", simulated.files,
        "-i", str(ITERATIONS), "--config", str(simulated.config),
        "--set", "alignment.polling_interval_seconds=1",
    )  # fmt: skip


@pytest.fixture(scope="module")
def undisturbed(
    simulated: SimulatedDetector, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, float]:
    """Return an alignment that nobody disturbed, and how long it took."""
    directory = tmp_path_factory.mktemp("undisturbed")
    begun = time.monotonic()
    subprocess.run(run_command(simulated), cwd=directory, check=True, capture_output=True)
    return next(directory.glob("Y*")), time.monotonic() - begun


def test_twenty_kills_change_nothing(
    simulated: SimulatedDetector, undisturbed: tuple[Path, float], tmp_path: Path
) -> None:
    reference, took_s = undisturbed
    moments = random.Random(20)
    workspace = tmp_path / reference.name
    kills = 0
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        resumable = (workspace / "state.yaml").exists()
        start = command("resume", str(workspace)) if resumable else run_command(simulated)
        daemon = subprocess.Popen(
            start, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        if kills == KILLS:
            assert daemon.wait(LIMIT_S) == 0
            break
        # Short lives at first, so that all the kills fall into the alignment.
        try:
            daemon.wait(moments.uniform(0.1, 2 * took_s / KILLS))
        except subprocess.TimeoutExpired:
            daemon.send_signal(signal.SIGKILL)
            daemon.wait()
            kills += 1
        else:
            break
    assert kills >= KILLS - 5, "the alignment was over too soon to be killed often"
    assert constants(workspace) == constants(reference)
    assert reconstructions(workspace) == dict.fromkeys(reconstructions(reference), 1)
    assert reconstructions(reference) == dict.fromkeys(reconstructions(reference), 1)


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
