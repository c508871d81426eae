"""What `dag status` says beside its nodes."""

from __future__ import annotations

from pathlib import Path

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.dag.status import DagStatus


def test_directories_that_take_few_more_files_are_told() -> None:
    snapshot = Snapshot(
        workspace_id="w",
        arguments=Arguments(year=2023, run=11705, files="400-405", iterations=3),
        iteration_started_at=0.0,
        state="submit_reco",
        crowded="iter01/1reco/logs: 40000 entries",
    )
    status = DagStatus(Path("w"), snapshot, {}, seen_at=0.0)
    assert "little room: iter01/1reco/logs: 40000 entries" in status.as_text().splitlines()
    assert status.as_json()["crowded"] == snapshot.crowded
    is_over = DagStatus(Path("w"), snapshot.but(state="done"), {}, seen_at=0.0)
    assert "little room" not in is_over.as_text()
