"""People around the alignment: one who asks something of it while it runs, one who is told of it.

`python -m tests.crash.people WORKSPACE FILE` asks: at once when there is an alignment, and in its
second iteration, to give a raw file its tries back. That changes nothing, and is taken in as any
request.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.requests import Request
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.errors import AutoIterError
from auto_iter.workspace.inbox import FileInbox, new_id
from auto_iter.workspace.paths import Workspace

ROOT = Path(__file__).parents[2]
COMMAND = "sh -c 'cat >> told'"
"""Whom the alignment tells: appends to a file where it was started, which no power cut keeps."""

PHRASE = "tries given back by hand"
"""What the log says when such a request was taken in."""

PATIENCE_S = 120.0


@dataclass
class Asked:
    """What went wrong with asking, once that is over."""

    said: str = ""


@contextlib.contextmanager
def asking(workspace: Path, number: int, environment: Mapping[str, str]) -> Iterator[Asked]:
    """Have somebody ask in a process of its own, which ends with the block."""
    command = [sys.executable, "-m", "tests.crash.people", str(workspace), str(number)]
    search = f"{ROOT / 'tests/crash/hook'}:{ROOT}:{os.environ.get('PYTHONPATH', '')}"
    full = {**os.environ, "PYTHONPATH": search, **environment}
    asked = Asked()
    with subprocess.Popen(command, env=full, stderr=subprocess.PIPE, text=True) as person:
        try:
            yield asked
        finally:
            person.terminate()
            asked.said = person.communicate()[1]


def told(work: Path) -> frozenset[str]:
    """Return the kinds of events that somebody was told of since the power came back."""
    path = work / "told"
    lines = path.read_text().splitlines() if path.exists() else []
    return frozenset(json.loads(line)["kind"] for line in lines)


@dataclass(frozen=True)
class Owed:
    """What an alignment that goes on has still to do for people."""

    requests: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()

    @classmethod
    def by(cls, workspace: Path) -> Owed:
        """Return what a workspace owes as it lies there."""
        snapshot = _snapshot(workspace)
        if snapshot is None:
            return cls()
        waiting = {event.kind for event in snapshot.notices.outbox}
        return cls(
            requests=FileInbox(Workspace(workspace)).ids() - frozenset(snapshot.taken),
            settled=frozenset(snapshot.notices.told) - waiting,
        )

    def not_kept(self, workspace: Path, wanted: frozenset[str], said: str) -> str | None:
        """Return what of it was not done in the end; `wanted`: the kinds to be told of in all."""
        snapshot, left = _snapshot(workspace), FileInbox(Workspace(workspace)).ids()
        if snapshot is None or snapshot.notices.outbox:
            return "events are left that nobody was told of"
        if missing := wanted - self.settled - told(workspace.parent):
            return f"nobody was told of: {', '.join(sorted(missing))}"
        if left:
            return f"requests are left: {', '.join(sorted(left))}"
        if (often := said.count(PHRASE)) != len(self.requests):
            return f"{len(self.requests)} requests were waiting, {often} were taken in"
        return None


def _snapshot(workspace: Path) -> Snapshot | None:
    try:
        return checkpoint.load(Workspace(workspace).checkpoint)[0]
    except AutoIterError:
        return None


def _ask(workspace: Workspace, number: int) -> None:
    inbox = FileInbox(workspace)
    for is_time in (workspace.checkpoint.exists, (workspace.root / "iter02").is_dir):
        _wait_until(is_time)
        now = time.time()
        inbox.post(Request(id=new_id(now), wish="retry", by="test", at=now, files=(number,)))


def _wait_until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not is_so() and time.monotonic() < deadline:
        time.sleep(0.02)


if __name__ == "__main__":
    try:
        _ask(Workspace(Path(sys.argv[1])), int(sys.argv[2]))
    except OSError as error:
        sys.exit(str(error))
