"""Requests in a workspace: what is none harms nobody, and what is one gets in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from auto_iter.alignment.requests import Request
from auto_iter.files import remove_leftovers
from auto_iter.workspace.inbox import FileInbox
from auto_iter.workspace.paths import Workspace

PAUSE = Request(id="1", wish="pause", by="test", at=0.0)


def test_what_is_no_request_is_set_aside(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    inbox = FileInbox(workspace)
    inbox.post(PAUSE)
    (workspace.requests / "directory.json").mkdir()
    (workspace.requests / "text.json").write_bytes(b"\xff")
    assert inbox.pending() == (PAUSE,)
    left = sorted(path.name for path in workspace.requests.iterdir())
    assert left == ["1.json", "directory.bad", "text.bad"]


def test_a_daemon_that_starts_just_now_does_not_make_asking_fail(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace, fsync = Workspace(tmp_path), os.fsync
    workspace.requests.mkdir()
    removed = list[int]()

    def while_a_daemon_starts(descriptor: int) -> None:
        fsync(descriptor)
        if not removed:
            removed.append(remove_leftovers(workspace.directories))

    monkeypatch.setattr(os, "fsync", while_a_daemon_starts)
    inbox = FileInbox(workspace)
    inbox.post(PAUSE)
    assert removed == [1]
    assert inbox.pending() == (PAUSE,)
