"""What is written survives a power cut at any moment: whole, in order, or as it was before."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.requests import Request
from auto_iter.batch.local.records import Ledger
from auto_iter.files import write_atomically
from auto_iter.millepede.workflow import solve
from auto_iter.workspace.inbox import FileInbox
from auto_iter.workspace.paths import Workspace
from states.decisions.requests import taken_in
from tests.crash.alignment import HOOK
from tests.crash.disk import Disk, Tree, read_log, restore
from tests.crash.hook.recorder import REFUSE, REFUSED, VARIABLE, Recorder, RefusedEffect
from tests.integration.commands import wait_until
from tests.integration.test_local_batch import alive, open_batch, settled, starters, wait_for
from tests.integration.test_millepede_workflow import (
    ENV,
    REFERENCE,
    SINGLE,
    convert_request,
    worker,
)
from tests.integration.test_millepede_workflow import request as solve_request
from tests.support.batch_contract import make_batch
from tests.unit.alignment.test_checkpoint import BUSY, FRESH

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Recorded:
    """A directory, and what was recorded of it."""

    root: Path
    record: Path

    def recorder(self) -> Recorder:
        return Recorder(self.record, self.root)

    def disks(self) -> Iterator[Tree]:
        """Return what a power cut leaves after each side effect."""
        disk = Disk()
        for op in read_log(self.record):
            disk.apply(op)
            yield disk.tree()

    def content(self, tree: Tree, path: Path) -> bytes | None:
        """Return what a file holds then; None when it is not there."""
        node = tree.get(str(path.relative_to(self.root)))
        if node is None:
            return None
        return (self.record / "blobs" / node[1]).read_bytes() if node[1] else b""


@pytest.fixture
def disk(tmp_path: Path) -> Recorded:
    root = tmp_path / "disk"
    root.mkdir()
    return Recorded(root, tmp_path / "record")


def test_a_file_is_old_or_new_and_new_once_it_is_written(disk: Recorded) -> None:
    path = disk.root / "file"
    lengths = []
    with disk.recorder().at_work():
        for text in ("first", "second"):
            write_atomically(path, text)
            lengths.append(len(read_log(disk.record)))
    contents = [disk.content(tree, path) for tree in disk.disks()]
    assert contents[lengths[0] - 1] == b"first"
    assert contents[-1] == b"second"
    assert set(contents[: lengths[0]]) <= {None, b"first"}
    assert set(contents[lengths[0] :]) <= {b"first", b"second"}


def test_a_checkpoint_can_be_loaded_after_every_cut(disk: Recorded, tmp_path: Path) -> None:
    path = disk.root / "state.yaml"
    with disk.recorder().at_work():
        checkpoint.save(path, FRESH)
        first = len(read_log(disk.record))
        checkpoint.save(path, BUSY)
    again = tmp_path / "again"
    for tree in list(disk.disks())[first - 1 :]:
        restore(tree, disk.record, again)
        snapshot, damage = checkpoint.load(again / path.name)
        assert snapshot in (FRESH, BUSY)
        assert damage is None
    assert snapshot == BUSY


def test_a_request_is_never_lost_and_never_taken_in_twice(disk: Recorded, tmp_path: Path) -> None:
    workspace, path = Workspace(disk.root), disk.root / "state.yaml"
    inbox = FileInbox(workspace)
    checkpoint.save(path, FRESH)
    with disk.recorder().at_work():
        checkpoint.save(path, FRESH)
        inbox.post(Request(id="1", wish="pause", by="test", at=0.0))
        posted = len(read_log(disk.record))
        pending = inbox.pending()
        checkpoint.save(path, taken_in(FRESH, pending)[0])
        inbox.drop(pending)
    again = tmp_path / "again"
    for tree in list(disk.disks())[posted - 1 :]:
        restore(tree, disk.record, again)
        snapshot, _ = checkpoint.load(again / path.name)
        left = FileInbox(Workspace(again)).pending()
        assert left or snapshot.paused is not None
        after, notes = taken_in(snapshot, left)
        assert after.paused is not None
        assert bool(notes) == (snapshot.paused is None)


def test_a_request_that_was_followed_by_another_is_not_brought_back(
    disk: Recorded, tmp_path: Path
) -> None:
    path, inbox, snapshot = disk.root / "state.yaml", FileInbox(Workspace(disk.root)), FRESH
    with disk.recorder().at_work():
        inbox.post(Request(id="1", wish="pause", by="test", at=0.0))
        first = inbox.pending()
        snapshot, _ = taken_in(snapshot, first)
        checkpoint.save(path, snapshot)
        inbox.post(Request(id="2", wish="go on", by="test", at=1.0))
        inbox.drop(first)
        snapshot, _ = taken_in(snapshot, inbox.pending())
        checkpoint.save(path, snapshot)
        taken = len(read_log(disk.record))
        inbox.drop(inbox.pending())
    again = tmp_path / "again"
    for tree in list(disk.disks())[taken - 1 :]:
        restore(tree, disk.record, again)
        after, _ = checkpoint.load(again / path.name)
        left = FileInbox(Workspace(again)).pending()
        assert taken_in(after, left)[0].paused is None


def test_a_submission_is_found_once_it_was_made_and_whole_or_not_before(
    disk: Recorded, tmp_path: Path
) -> None:
    system = open_batch(disk.root)
    with disk.recorder().at_work():
        # Made before a job runs: its script cannot be written while it does.
        batches = [make_batch(disk.root, key, 40, 41) for key in ("1", "2")]
        first, second = map(system.submit, batches)
    for number, tree in enumerate(disk.disks()):
        again = tmp_path / f"again{number}"
        restore(tree, disk.record, again)
        found = [open_batch(again).find(key) for key in ("1", "2")]
        assert found in ([None, None], [first, None], [first, second])
        for each in filter(None, found):
            assert Ledger.of(again / "batch" / each.cluster).tally().idle == 2
    assert found == [first, second]
    for each in (first, second):
        system.remove(each, "the test is over")
    system.close()


def test_a_job_that_has_ended_for_good_has_its_output_for_good(
    disk: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{HOOK}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv(VARIABLE, f"{disk.record}:{disk.root}")
    disk.recorder()
    batch = make_batch(disk.root, "key", 10, 11)
    system = open_batch(disk.root)
    submission = system.submit(batch)
    settled(system, submission, lambda tally: tally.is_over)
    system.close()
    journal = disk.root / "batch" / submission.cluster / "journal"

    def ended(tree: Tree) -> set[int]:
        lines = (disk.content(tree, journal) or b"").splitlines()
        events = [json.loads(line) for line in lines if line]
        return {event["job"] for event in events if event["event"] == "ended"}

    # The tally reads a line that is written; on the disk it is a little later.
    wait_until(lambda: ended(list(disk.disks())[-1]) == {10, 11}, "the jobs ended for good")
    for tree in disk.disks():
        for number in ended(tree):
            output = disk.content(tree, batch.deliver_to / f"result_{number}")
            assert output == f"out of {number}\n".encode()


def test_a_starter_whose_disk_fails_at_the_very_end_ends_quietly(
    disk: Recorded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job counts as ended by then; what is left to remove tells nothing any more."""
    above = ("_become_starter", "_start", "_start_what_fits")
    place = " < ".join(["unlink starter.run", *(f"supervisor.{each}" for each in above)])
    monkeypatch.setenv("PYTHONPATH", f"{HOOK}:{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv(VARIABLE, f"{disk.record}:{disk.root}")
    monkeypatch.setenv(REFUSE, RefusedEffect(errno.EIO, 1, place).as_text())
    system = open_batch(disk.root)
    submission = system.submit(make_batch(disk.root, "key", 10))
    assert settled(system, submission, lambda tally: tally.is_over).problems == ()
    system.close()
    wait_for((disk.record / REFUSED).exists)
    wait_for(lambda: not alive(starters(disk.root, submission.cluster)[10]))
    assert (disk.root / "batch/supervisor.log").read_text() == ""


def test_a_solution_is_there_only_with_its_constants(disk: Recorded) -> None:
    mille = disk.root / "mille"
    mille.mkdir()
    roots = sorted((REFERENCE / "clean/2kfalignment").glob("*.root"))
    assert worker("convert", convert_request(mille, roots), mille).returncode == 0
    directory = disk.root / "3millepede"
    files = (directory / "solution.json", directory / "inputforalign.txt")
    pairs = []
    with disk.recorder().at_work():
        for strategy in (SINGLE, "3st"):
            solve(solve_request(mille, directory, strategy=str(strategy)), ENV)
            pairs.append(tuple(path.read_bytes() for path in files))
    assert pairs[0] != pairs[1]
    for tree in disk.disks():
        solution, constants = (disk.content(tree, path) for path in files)
        if solution is not None:
            assert (solution, constants) in pairs
    assert (solution, constants) == pairs[1]


@pytest.mark.long
def test_power_cuts_and_errors_of_the_disk_change_nothing() -> None:
    """A sample of what `make crash-test` and `make error-test` do at every side effect."""
    options = ("--cuts", "--errors", "--sample", "3", "--workers", "2")
    done = subprocess.run(
        [sys.executable, "-m", "tests.crash", *options],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    counts = [int(number) for number in re.findall(r"side effects: (\d+)", done.stdout)]
    assert len(counts) == 2
    assert min(counts) > 200
    assert done.stdout.count("divergences: 0") == 2
