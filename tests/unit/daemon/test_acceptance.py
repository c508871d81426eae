"""Constants accepted by hand: all of it or nothing, wherever it is killed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.file import dump_config
from auto_iter.config.schema import Config
from auto_iter.daemon.lifecycle import Opened, open_workspace
from auto_iter.daemon.visits import acceptance
from auto_iter.errors import InputError, UsageError
from auto_iter.workspace.paths import Iteration, Workspace
from tests.support.world import Killed, Killer

ITERATIONS = 3
NOW = 1_700_000_000.0


def record(number: int) -> IterationRecord:
    return IterationRecord(
        iteration=number, started_at=NOW + number, finished_at=NOW + number, attempts=1, files=3,
        tracks=100, chi2_ndf=1.0, max_shift_um=1.0, max_rotation_mrad=0.1, max_pull=2.0,
    )  # fmt: skip


def solve(directory: Path, constants: str) -> None:
    directory.mkdir(parents=True)
    (directory / "inputforalign.txt").write_text(constants)
    figures = dict.fromkeys(("chi2_ndf", "max_shift_um", "max_rotation_mrad", "max_pull"), 9.0)
    (directory / "solution.json").write_text(
        json.dumps({"tracks": 7, "warnings": [], "binaries": [], **figures})
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a finished alignment of three iterations, with a what-if in the second."""
    made = Workspace(tmp_path / "Y2023_R011705_F400-403")
    for number in range(1, ITERATIONS + 1):
        solve(made.iteration(number, 11705).millepede, f"own {number}")
    solve(what_if(made), "by hand")
    made.config.write_text(dump_config(Config()))
    arguments = Arguments(year=2023, run=11705, files="400-403", iterations=ITERATIONS)
    history = tuple(record(number) for number in range(1, ITERATIONS + 1))
    snapshot = Snapshot(
        workspace_id="w", arguments=arguments, state="done", iteration=ITERATIONS,
        iteration_started_at=NOW, history=history,
    )  # fmt: skip
    checkpoint.save(made.checkpoint, snapshot)
    return made


def what_if(workspace: Workspace, number: int = 2) -> Path:
    return workspace.iteration(number, 11705).root / "3millepede.by-hand" / "other"


def accept(workspace: Workspace, number: int = 2) -> None:
    found = what_if(workspace, number)
    if number != 2 and number <= ITERATIONS:
        solve(found, "by hand")
    decided = acceptance.decide(open_workspace(workspace.root), number, found, NOW)
    acceptance.complete(workspace, decided.snapshot)


def go_on(workspace: Workspace) -> Opened:
    """Do what whoever goes on with the workspace does first."""
    opened = open_workspace(workspace.root)
    acceptance.complete(workspace, opened.snapshot)
    return opened


def constants(workspace: Workspace) -> dict[str, str]:
    """Return directory of an iteration → its constants, of all that are among the iterations."""
    return {
        path.name: Iteration(path, 11705).new_constants.read_text()
        for path in sorted(workspace.root.glob("iter*"))
    }


def test_accepted_constants_count_and_what_came_after_is_set_aside(workspace: Workspace) -> None:
    accept(workspace)
    assert constants(workspace) == {"iter01": "own 1", "iter02": "by hand"}
    second = workspace.iteration(2, 11705).root
    assert (second / "3millepede.replaced-1/inputforalign.txt").read_text() == "own 2"
    assert (workspace.root / "outdated-1/iter03/3millepede/inputforalign.txt").exists()
    snapshot = open_workspace(workspace.root).snapshot
    assert (snapshot.state, snapshot.iteration) == ("next_iteration", 2)
    assert [each.iteration for each in snapshot.history] == [1]
    assert snapshot.solution is not None
    assert snapshot.solution.tracks == 7
    assert snapshot.by_hand is not None
    assert "3millepede.by-hand/other; iter03 outdated" in snapshot.by_hand.words


@pytest.mark.parametrize(("number", "phase", "began"), [(1, 0, 1), (2, 1, 2), (3, 1, 2)])
def test_it_is_back_in_the_phase_that_the_iteration_had(
    number: int, phase: int, began: int, workspace: Workspace
) -> None:
    finished = open_workspace(workspace.root).snapshot
    first, *others = finished.history
    history = (first.model_copy(update={"ends_phase": True}), *others)
    checkpoint.save(workspace.checkpoint, finished.but(history=history, phase=1, phase_began=2))
    accept(workspace, number)
    back = open_workspace(workspace.root).snapshot
    assert (back.phase, back.phase_began) == (phase, began)


def test_outputs_that_lie_elsewhere_make_room_for_new_ones(
    workspace: Workspace, tmp_path: Path
) -> None:
    (tmp_path / "home-u").mkdir()
    (tmp_path / "eos").symlink_to(tmp_path / "home-u")
    elsewhere = tmp_path / "eos/iter03/2kfalignment"
    elsewhere.mkdir(parents=True)
    (elsewhere / "kfalignment_011705_00400.root").touch()
    workspace.iteration(3, 11705).kfalignment.symlink_to(elsewhere)
    accept(workspace)
    assert not elsewhere.exists()
    kept = workspace.root / "outdated-1/iter03/2kfalignment"
    assert [path.name for path in kept.iterdir()] == ["kfalignment_011705_00400.root"]
    assert kept.readlink().parent == elsewhere.parent  # as it was given, not where that leads


@contextmanager
def killed_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Kill the program before or after its nth change of the disk."""
    killer = Killer(step)
    with monkeypatch.context() as patch:
        for name in ("rename", "mkdir", "replace"):
            _watch(patch, name, killer)
        with suppress(Killed):
            yield


def _watch(patch: pytest.MonkeyPatch, name: str, killer: Killer) -> None:
    original = getattr(Path, name)

    def call(self: Path, *args: object, **kwargs: object) -> object:
        killer.tick()
        result = original(self, *args, **kwargs)
        killer.tick()
        return result

    patch.setattr(Path, name, call)


@pytest.mark.parametrize("step", range(1, 20))
def test_killed_anywhere_the_alignment_goes_on_from_one_truth(
    step: int, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(step, monkeypatch):
        accept(workspace)
    opened = go_on(workspace)
    now = (opened.snapshot.state, opened.snapshot.iteration, constants(workspace))
    before = ("done", 3, {"iter01": "own 1", "iter02": "own 2", "iter03": "own 3"})
    after = ("next_iteration", 2, {"iter01": "own 1", "iter02": "by hand"})
    assert now in (before, after)
    # and a what-if of the same name, made since, is not taken for it
    if not what_if(workspace).exists():
        solve(what_if(workspace), "another")
    go_on(workspace)
    assert constants(workspace) == now[2]


def test_the_kills_reach_beyond_the_end(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with killed_at(20, monkeypatch):
        accept(workspace)
        return
    pytest.fail("there are more steps than are killed above")


def test_while_jobs_may_run_nothing_is_replaced(workspace: Workspace) -> None:
    running = Attempt(number=1, key="k", cluster="7", jobs=3, submitted_at=NOW)
    snapshot = open_workspace(workspace.root).snapshot
    checkpoint.save(workspace.checkpoint, snapshot.but(attempts=(running,), state="wait_reco"))
    with pytest.raises(UsageError, match=r"may still run; .* `auto-iter stop --jobs "):
        accept(workspace)
    assert constants(workspace)["iter02"] == "own 2"
    assert what_if(workspace).exists()


def test_only_what_has_been_reached_and_solved_can_be_accepted(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="is at iteration 3, not yet at 4"):
        accept(workspace, number=4)
    (what_if(workspace) / "solution.json").unlink()
    with pytest.raises(InputError, match="no solution in there"):
        accept(workspace)


def test_a_solution_for_the_current_iteration_keeps_what_is_known_of_its_jobs(
    workspace: Workspace,
) -> None:
    over = Attempt(number=1, key="k", cluster="7", jobs=3, submitted_at=NOW, is_over=True)
    snapshot = open_workspace(workspace.root).snapshot
    unsolved = snapshot.but(
        state="failed", iteration=2, attempts=(over,), history=snapshot.history[:1]
    )
    checkpoint.save(workspace.checkpoint, unsolved)
    accept(workspace)
    accepted = open_workspace(workspace.root).snapshot
    assert accepted.attempts == (over,)
    assert accepted.history == unsolved.history
