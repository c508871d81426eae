"""A daemon's children end with it; what outlived it is ended by the next one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from auto_iter.processes.children import Child, start_child
from auto_iter.processes.orphans import PARENT, die_with_parent, end_orphans

SLEEP = ["sleep", "600"]


def test_orphans_of_this_workspace_are_ended_with_what_they_started(tmp_path: Path) -> None:
    ours, other = tmp_path / "ours", tmp_path / "other"
    pid = tmp_path / "pid"
    orphan = start_child(
        ["bash", "-c", f"setsid sleep 600 & echo $! > {pid}.new; mv {pid}.new {pid}; wait"],
        env=os.environ,
        workspace=ours,
    )
    stranger = start_child(SLEEP, env=os.environ, workspace=other)
    while not pid.exists():
        assert not orphan.has_ended
    end_orphans(ours)
    assert orphan.finish() == "killed by SIGKILL"
    assert not Path(f"/proc/{pid.read_text().strip()}/exe").exists()
    assert not stranger.has_ended
    stranger.stop()


def test_a_child_whose_parent_was_faster_dead_ends_at_once(tmp_path: Path) -> None:
    request = tmp_path / "request.json"
    statistics = tmp_path / "out.json"
    source = {"number": 1, "root": "gone.root", "binary": "x.bin", "statistics": str(statistics)}
    cuts = {
        "max_chi2": 1.0, "min_pz_gev": 1.0, "max_pz_gev": 2.0, "min_hits": 1,
        "max_residual_mm": 1.0,
    }  # fmt: skip
    content = {"sources": [source], "cuts": cuts}
    request.write_text(json.dumps(content))
    worker = [sys.executable, "-m", "auto_iter.iteration.worker", "convert", str(request)]
    root = Path(__file__).parents[3]
    for parent, is_written in (("1", False), (str(os.getpid()), True)):
        env = {**os.environ, PARENT: parent}
        subprocess.run(worker, env=env, cwd=root, check=False, timeout=60)
        assert statistics.exists() is is_written


def test_a_process_of_another_parent_does_not_return() -> None:
    child = os.fork()
    if not child:
        die_with_parent(os.getppid() + 1)
        os._exit(77)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 1


def test_a_child_that_cannot_be_watched_does_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(_pid: int) -> int:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(os, "pidfd_open", none_left)
    with pytest.raises(OSError, match="Too many"):
        _started(tmp_path)
    monkeypatch.undo()
    own = psutil.Process().children()
    assert not [child for child in own if child.name() == "sleep"]


def _started(workspace: Path) -> Child:
    return start_child(SLEEP, env=os.environ, workspace=workspace)
