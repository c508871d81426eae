"""A daemon on another host is stopped there, unless that host has been silent for long."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from auto_iter.daemon.lock import STALE_AFTER_S, Holder
from auto_iter.daemon.visits.stopping import stop_daemon
from auto_iter.errors import UsageError
from auto_iter.workspace.paths import Workspace


def test_from_elsewhere_only_a_daemon_that_is_silent_counts_as_stopped(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    holder = Holder(pid=1, started=1, boot="b2", host="elsewhere", machine="m2", space="s2")
    workspace.lock.write_text(holder.as_text())
    with pytest.raises(UsageError, match=r"runs on elsewhere; stop it there .*30 min"):
        stop_daemon(workspace, 1.0)
    silent_since = time.time() - STALE_AFTER_S - 60
    os.utime(workspace.lock, (silent_since,) * 2)
    assert not stop_daemon(workspace, 1.0)
