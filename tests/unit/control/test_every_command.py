"""Each command on an alignment whose daemon runs, was killed, has failed, is done: told in a table.

What a command says is one line where it refuses, JSON where a script asked for it, and never a
traceback; what only looks changes nothing.
"""

from __future__ import annotations

import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.snapshot import Failure, Progress, Snapshot
from auto_iter.cli import main
from auto_iter.config.file import dump_config
from auto_iter.config.schema import Config
from auto_iter.daemon.lock import locked
from auto_iter.detector.constants import format_constants
from auto_iter.millepede.strategy.file import read_strategy
from auto_iter.rawfiles import RawRange, raw_name
from auto_iter.workspace.inbox import FileInbox
from auto_iter.workspace.paths import Workspace
from states.decisions.requests import taken_in

NOW = 1_700_000_000.0
STANDINGS = ("runs", "killed", "failed", "done")
WAITING = {
    "state": "wait_reco",
    "attempts": (Attempt(number=1, key="w-03-1", cluster="7", jobs=3, submitted_at=NOW),),
    "progress": Progress(wanted=3, delivered=1, running=2, seen_at=NOW),
}
CHANGES = {
    "runs": WAITING,
    "killed": WAITING,
    "failed": {
        "state": "failed",
        "failures": {401: 3},
        "troubles": {401: "exit code 41"},
        "failure": Failure(state="wait_reco", reason="1 of 3 failed", remedy="mend it", at=NOW),
    },
    "done": {
        "state": "done",
        "verdict": Verdict(word=Word.PLATEAU, sentence="not converged, plateau: x moves by 2 σ"),
    },
}

REFUSED = 2
Row = tuple[int | None, int | None, int | None, int | None]
LOOKS: dict[str, Row] = {
    "status": (0, 0, 0, 0),
    "status --json": (0, 0, 0, 0),
    "status --exit-code": (10, 12, 1, 4),
    "logs": (0, 0, 0, 0),
    "logs --json": (0, 0, 0, 0),
    "files list": (0, 0, 0, 0),
    "files list --json": (0, 0, 0, 0),
    "constants log": (0, 0, 0, 0),
    "constants log --json": (0, 0, 0, 0),
    "clean --keep 1 --dry-run": (0, 0, 0, 0),
    "clean --keep 1 --dry-run --json": (0, 0, 0, 0),
    "service install --dry-run": (0, 0, 0, 0),
    "notify": (REFUSED,) * 4,  # nobody is configured
    "watch": (None, None, 0, 0),  # the others it watches on
    "report": (0, 0, 0, 0),
    "constants show": (0, 0, 0, 0),
    "constants plot": (0, 0, 0, 0),
    "constants diff {}/iter01 {}": (0, 0, 0, 0),
    "reproduce {}/iter03": (REFUSED,) * 4,  # without a manifest, or not over
    "survey {} {}.yaml": (REFUSED,) * 4,  # its tracks are not there
    "dag status": (REFUSED,) * 4,  # nobody has handed it to DAGMan
    "dag status --json": (REFUSED,) * 4,
}
"""What only looks: exit codes by standing; None: it would not return."""

TAKES_A_HAND: dict[str, Row] = {
    "pause --json": (0, 0, 0, REFUSED),
    "files retry 401 --json -w": (0, 0, 0, REFUSED),
    "files skip 401 --json -w": (0, 0, 0, 0),
    "files skip 400-403 -w": (REFUSED,) * 4,
    "files skip 999 -w": (REFUSED,) * 4,
    "clean --keep 1 --json": (0, 0, 0, 0),
    "service install": (REFUSED, None, None, REFUSED),
    "rollback --to 1": (REFUSED, REFUSED, 0, 0),
    "rollback --to 7": (REFUSED,) * 4,
    "millepede -i": (REFUSED,) * 4,  # a workspace is no iteration
    "fetch 99": (REFUSED,) * 4,
    "stop": (None, 0, 0, 0),  # of a daemon that runs: it would end this process
    "resume": (REFUSED, None, None, 4),
    "stop --jobs": (None, REFUSED, 0, 0),  # the records of what was killed are not there
    "stop --lost elsewhere": (REFUSED, 0, 0, 0),
    "branch --at 1 --set reco.canary=3 -o {}.branch {}": (0, 0, 0, 0),
    "branch --at 7 -o {}.branch {}": (REFUSED,) * 4,
    "export -o {}.export {}": (REFUSED,) * 4,  # none has converged
    "dag rescue": (REFUSED,) * 4,  # the local batch system knows no DAGMan
    "dag remove": (REFUSED,) * 4,
    "reco -y 2023 -r 011705 -f 400-403 --work_dir {}/..": (REFUSED, None, None, REFUSED),
    "dag -y 2023 -r 011705 -f 400-403 --work_dir {}/..": (REFUSED,) * 4,
}


def record(number: int) -> IterationRecord:
    return IterationRecord(
        iteration=number, started_at=NOW, finished_at=NOW + 3600, attempts=1, files=3, tracks=100,
        chi2_ndf=1.0, max_shift_um=1.0, max_rotation_mrad=0.1, max_pull=2.0,
    )  # fmt: skip


def made(root: Path, standing: str) -> Workspace:
    """Return a workspace with two finished iterations, in its third or with all three."""
    workspace = Workspace(root / "Y2023_R011705_F400-403")
    for number in (1, 2, 3):
        iteration = workspace.iteration(number, 11705)
        iteration.kfalignment.mkdir(parents=True)
        iteration.output(400).write_bytes(b"tracks")
        iteration.millepede.mkdir()
        iteration.new_constants.write_text(format_constants({"20": (0, number / 1e3, 0, 0, 0, 0)}))
    config = Config.model_validate(
        {
            "batch": {"system": "local"},
            "alignment": {"report": "never", "strategy": "3st"},
            "paths": {"raw_dir": str(root), "env_script": str(root / "env.sh")},
        }
    )
    (root / "env.sh").write_text("true\n")
    raw = root / "2023/011705"
    raw.mkdir(parents=True)
    for number in (400, 401, 402):
        (raw / raw_name(11705, number)).write_bytes(b"raw")
    root.joinpath(f"{workspace.root.name}.yaml").write_text("20.y: 0 ± 0.05\n")
    workspace.strategy.write_text(read_strategy("3st"))
    workspace.config.write_text(dump_config(config))
    workspace.log.write_text('{"event": "alignment", "level": "info", "time": "now"}\n')
    arguments = Arguments(year=2023, run=11705, files=RawRange.parse("400-403"), iterations=3)
    history = tuple(map(record, (1, 2, 3) if standing == "done" else (1, 2)))
    snapshot = Snapshot(
        workspace_id="w", arguments=arguments, iteration=3, iteration_started_at=NOW,
        history=history,
    )  # fmt: skip
    checkpoint.save(workspace.checkpoint, snapshot.but(**CHANGES[standing]))
    return workspace


def serve(workspace: Workspace, has_begun: threading.Event, is_over: threading.Event) -> None:
    """Hold the workspace, and take requests in, as a daemon does between two steps."""
    inbox = FileInbox(workspace)
    with locked(workspace.lock) as lock:
        has_begun.set()
        while not is_over.wait(0.01):
            asked = inbox.pending()
            snapshot, notes = taken_in(checkpoint.load(workspace.checkpoint)[0], asked)
            if notes:
                checkpoint.save(workspace.checkpoint, snapshot, lock.check)
            inbox.drop(asked)


@pytest.fixture(params=STANDINGS)
def aligned(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, Workspace]]:
    standing: str = request.param
    workspace = made(tmp_path, standing)
    if standing != "runs":
        yield standing, workspace
        return
    has_begun, is_over = threading.Event(), threading.Event()
    daemon = threading.Thread(target=serve, args=(workspace, has_begun, is_over))
    daemon.start()
    has_begun.wait(30)
    yield standing, workspace
    is_over.set()
    daemon.join()


def answered(words: str, workspace: Workspace, capsys: pytest.CaptureFixture[str]) -> int:
    """Return the exit code of a command whose output is what it has to be."""
    before = workspace.checkpoint.read_bytes()
    given = words if "{}" in words else f"{words} {{}}"
    code = main(given.replace("{}", str(workspace.root)).split())
    said = capsys.readouterr()
    if "--json" in words and not code:
        for line in said.out.splitlines() if words == "logs --json" else [said.out]:
            json.loads(line)
    if code == REFUSED:
        assert said.err.startswith("auto-iter: "), words
        assert len(said.err.splitlines()) == 1, words
    if words in LOOKS or code == REFUSED:
        assert workspace.checkpoint.read_bytes() == before, words
    return code


def test_what_only_looks_answers_however_the_alignment_stands(
    aligned: tuple[str, Workspace], capsys: pytest.CaptureFixture[str]
) -> None:
    standing, workspace = aligned
    column = {words: row[STANDINGS.index(standing)] for words, row in LOOKS.items()}
    expected = {words: code for words, code in column.items() if code is not None}
    assert {words: answered(words, workspace, capsys) for words in expected} == expected


@pytest.mark.parametrize("words", TAKES_A_HAND)
def test_what_takes_a_hand_does_so_or_refuses_in_a_line(
    words: str, aligned: tuple[str, Workspace], capsys: pytest.CaptureFixture[str]
) -> None:
    standing, workspace = aligned
    expected = TAKES_A_HAND[words][STANDINGS.index(standing)]
    if expected is None:
        return  # it would run the alignment, or end this process
    assert answered(words, workspace, capsys) == expected


def test_a_service_that_finds_a_full_disk_when_it_starts_waits_for_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    workspace = made(tmp_path, "done")
    monkeypatch.setattr("auto_iter.cli.resume.AGAIN_S", 0.0)
    looks, fsync = iter([True, True]), os.fsync

    def full_at_first(descriptor: int) -> None:
        if next(looks, False):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", full_at_first)
    assert main(["resume", "--stay-paused", str(workspace.root)]) == 4
    assert capsys.readouterr().err.count("waiting, again in 0 s: ") == 2
    looks = iter([True])
    assert main(["resume", str(workspace.root)]) == 1  # a person is told at once


def test_what_a_person_asks_for_is_in_the_checkpoint_and_in_the_log(
    aligned: tuple[str, Workspace],
) -> None:
    standing, workspace = aligned
    assert main(["files", "skip", "401", "-w", str(workspace.root)]) == 0
    assert checkpoint.load(workspace.checkpoint)[0].skipped == {401: 4 if standing == "done" else 3}
    if standing != "runs":  # there the daemon writes it
        assert "raw files left out by hand" in workspace.log.read_text()
