"""How long `auto-iter status` takes to answer, beside a bare Python: the ratio of medians.

Usage: python benchmarks/start.py [--rounds N]

Both run in turn, so that a machine in use has the same to do beside each. What counts is processor
time, wall time is shown as well. `tests/unit/test_light.py` says which imports would spoil it.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.snapshot import Snapshot

WANTED = 5.0
HOUR_S = 3600.0


def write_workspace(root: Path) -> None:
    """Write the checkpoint of an alignment that is in its tenth iteration."""
    history = tuple(
        IterationRecord(
            iteration=number, started_at=number * HOUR_S, finished_at=(number + 1) * HOUR_S,
            attempts=1, files=50, tracks=60_000, chi2_ndf=1.0, track_chi2_ndf=1.0,
            max_shift_um=1.0, max_rotation_mrad=0.1, max_pull=1.0,
            pulls={f"layer {number}": 1.0 for number in range(12)},
        )
        for number in range(1, 10)
    )  # fmt: skip
    snapshot = Snapshot(
        workspace_id="bench",
        arguments=Arguments(year=2023, run=11705, files="400-450", iterations=10),
        state="stopped",
        iteration=10,
        iteration_started_at=10 * HOUR_S,
        history=history,
    )
    checkpoint.save(root / "state.yaml", snapshot)


def cost(command: list[str]) -> tuple[float, float]:
    """Return processor and wall time [s] of one run."""
    before, began = os.times(), time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    after = os.times()
    used = after.children_user + after.children_system
    return used - before.children_user - before.children_system, time.perf_counter() - began


def main() -> int:
    """Print the ratios; return 1 where that of processor times is not below the one wanted."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as place:
        write_workspace(Path(place))
        bare = [sys.executable, "-c", "pass"]
        status = [sys.executable, "-m", "auto_iter", "status", place]
        costs = [(cost(bare), cost(status)) for _ in range(rounds)]
    cpu, wall = (
        [median(both[command][kind] for both in costs) for command in (0, 1)] for kind in (0, 1)
    )
    for name, (alone, ours) in (("processor", cpu), ("wall", wall)):
        times = f"Python {alone * 1e3:5.0f} ms  status {ours * 1e3:5.0f} ms"
        print(f"{name:9}  {times}  {ours / alone:.1f}×")
    return 0 if cpu[1] < WANTED * cpu[0] else 1


if __name__ == "__main__":
    sys.exit(main())
