"""Who asks where no daemon is at work gets the jobs as they are, or hears why not."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.snapshot import Progress, Snapshot
from auto_iter.config.file import dump_config
from auto_iter.config.schema import Config
from auto_iter.daemon.lifecycle import Opened, open_workspace
from auto_iter.daemon.lock import Holder
from auto_iter.daemon.screen.status_text import status_text
from auto_iter.daemon.status import Status
from auto_iter.daemon.visits.look import look_for
from auto_iter.workspace.paths import Workspace

NOW = 1_700_000_000.0


@pytest.fixture
def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Opened:
    """Return a workspace whose jobs are with a schedd that nobody can reach."""
    monkeypatch.setenv("CONDOR_CONFIG", "/dev/null")
    workspace = Workspace(tmp_path)
    tree = {
        "alignment": {"strategy": "3st"},
        "batch": {"system": "htcondor"},
        "htcondor": {"call_timeout_s": 5, "schedd": "none"},
    }
    workspace.config.write_text(dump_config(Config.model_validate(tree)))
    attempt = Attempt(number=1, key="k@none", cluster="7", jobs=3, submitted_at=NOW)
    snapshot = Snapshot(
        workspace_id="w", state="wait_reco", iteration_started_at=NOW, attempts=(attempt,),
        arguments=Arguments(year=2023, run=11705, files="400-403", iterations=1),
        progress=Progress(wanted=3, running=3),
    )  # fmt: skip
    checkpoint.save(workspace.checkpoint, snapshot)
    return open_workspace(tmp_path)


def status(opened: Opened) -> Status:
    return Status.of(opened.workspace, opened.snapshot, NOW)


def test_a_schedd_that_does_not_answer_leaves_what_is_known_and_is_said(opened: Opened) -> None:
    paths = opened.workspace.iteration(1, 11705)
    paths.kfalignment.mkdir(parents=True)
    paths.output(400).touch()
    seen = look_for(opened, status(opened))
    assert (seen.record["progress"]["running"], seen.record["progress"]["delivered"]) == (3, 1)
    assert seen.remark is not None
    assert seen.remark.startswith("the numbers of jobs are as last seen: ")
    assert seen.remark in " ".join(status_text(seen).split())
    assert seen.as_json()["remark"] == seen.remark
    # looking changes nothing
    assert open_workspace(opened.workspace.root).snapshot == opened.snapshot


def test_only_ones_own_jobs_that_nobody_watches_are_looked_at(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status(opened).needs_a_look
    watched = Status.seen(opened.workspace, opened.snapshot, Holder.this_process(), NOW)
    assert not watched.needs_a_look
    over = opened.snapshot.attempts[0].model_copy(update={"is_over": True})
    ended = Status.seen(opened.workspace, opened.snapshot.but(attempts=(over,)), None, NOW)
    assert not ended.needs_a_look
    somebody_else = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: somebody_else)
    assert not status(opened).needs_a_look
