"""Cleaning removes what is bulky of iterations that are over, and nothing else."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.cli.main import main
from auto_iter.config.file import dump_config
from auto_iter.config.schema import Config
from auto_iter.control.cleaning import bulk_of
from auto_iter.workspace.paths import Workspace
from tests.support.killed import EVERY, killed_at

RUN = 11705
BULKY = (
    "1reco/011705/00400/kfalignment.root",
    "2kfalignment/kfalignment_011705_00400.root",
    "2kfalignment/kfalignment_011705_00401.root.bad",
    "3millepede/mille/mp2input_011705_00400.bin",
    "3millepede.by-hand/what-if/mille/mp2input_011705_00400.bin",
)
STAYS = (
    "1reco/inputforalign.txt",
    "1reco/reco.sub",
    "1reco/logs/reco_00400.out",
    "3millepede/inputforalign.txt",
    "3millepede/millepede.res",
    "3millepede/solution.json",
    "3millepede/mille/mp2input_011705_00400.json",
)


def record(number: int) -> IterationRecord:
    return IterationRecord(
        iteration=number, started_at=0.0, finished_at=1.0, attempts=1, files=1, tracks=1,
        chi2_ndf=1.0, max_shift_um=1.0, max_rotation_mrad=1.0, max_pull=1.0,
    )  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    for number in (1, 2, 3, 4):
        for name in (*BULKY, *STAYS):
            path = tmp_path / f"iter{number:02d}" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"x" * 100)
    return Workspace(tmp_path)


def at_4(history: int = 3) -> Snapshot:
    return Snapshot(
        workspace_id="w",
        arguments=Arguments(year=2023, run=RUN, files="400-402", iterations=4),
        iteration=4,
        iteration_started_at=0.0,
        history=tuple(map(record, range(1, history + 1))),
    )


def names(workspace: Workspace, iteration: int) -> set[str]:
    root = workspace.iteration(iteration, RUN).root
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


@pytest.mark.parametrize(("keep", "cleaned"), [(1, [1, 2]), (2, [1]), (3, []), (9, [])])
def test_the_last_ones_and_the_current_one_stay_whole(
    workspace: Workspace, keep: int, cleaned: list[int]
) -> None:
    found = bulk_of(workspace, at_4(), keep)
    assert [each.number for each in found] == cleaned
    assert [each.size for each in found] == [100 * len(BULKY)] * len(cleaned)
    for each in found:
        each.remove(now=0.0)
    for number in (1, 2, 3, 4):
        is_whole = number not in cleaned
        left = {*BULKY, *STAYS} if is_whole else {*STAYS, "cleaned.json"}
        assert names(workspace, number) == left


def test_an_interrupted_cleaning_is_completed_and_a_complete_one_is_over(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = bulk_of(workspace, at_4(), 2)
    with monkeypatch.context() as patched:
        patched.setattr(Path, "unlink", refuse)
        with pytest.raises(OSError, match="no"):
            first.remove(now=0.0)
    assert "cleaned.json" in names(workspace, 1)
    (again,) = bulk_of(workspace, at_4(), 2)
    again.remove(now=0.0)
    assert names(workspace, 1) == {*STAYS, "cleaned.json"}
    assert bulk_of(workspace, at_4(), 2) == []


@EVERY
def test_nothing_is_gone_that_nobody_noted_wherever_it_is_killed(
    workspace: Workspace, tmp_path: Path, every: int
) -> None:
    workspace.config.write_text(dump_config(Config()))
    checkpoint.save(workspace.checkpoint, at_4())
    for step in itertools.count(1, every):
        copy = Workspace(tmp_path / "copies" / str(step))
        shutil.copytree(tmp_path, copy.root, ignore=shutil.ignore_patterns("copies"))
        was_killed = killed_at(step, lambda: main(["clean", str(copy.root), "--keep", "2"]))  # noqa: B023
        first = checkpoint.load(copy.checkpoint)[0].history[0]
        if not set(BULKY) <= names(copy, 1):
            assert first.cleaned_at is not None
        if not was_killed:
            break
    assert first.cleaned_at is not None
    assert step > 10


def refuse(self: Path, missing_ok: bool = False) -> None:
    del missing_ok
    if self.suffix in {".root", ".bin", ".bad"}:
        raise OSError(5, "no")
