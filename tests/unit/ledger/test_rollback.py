"""Going back to an earlier iteration: all of it or nothing, wherever it is killed."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.file import dump_config
from auto_iter.config.schema import Config
from auto_iter.daemon.lifecycle import open_workspace
from auto_iter.daemon.lock import WorkspaceLock
from auto_iter.daemon.visits.links import held
from auto_iter.daemon.visits.setting_aside import roll_back
from auto_iter.errors import LockedError, UsageError
from auto_iter.ledger.rollback import rollback
from auto_iter.rawfiles import RawRange
from auto_iter.workspace.paths import Workspace
from tests.support.killed import EVERY, killed_at

NOW = 1_700_000_000.0
TRACKS = ["tracks 1", "tracks 2", "tracks 3"]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Return a finished alignment of three iterations; the first one ended its phase."""
    made = Workspace(tmp_path / "Y2023_R011705_F400-403")
    for number in (1, 2, 3):
        place = made.iteration(number, 11705).millepede
        place.mkdir(parents=True)
        (place / "inputforalign.txt").write_text(f"own {number}")
        outputs = tmp_path / f"elsewhere/iter{number:02d}"
        outputs.mkdir(parents=True)
        (outputs / "tracks.root").write_text(f"tracks {number}")
        (place.parent / "2kfalignment").symlink_to(outputs)
    made.config.write_text(dump_config(Config()))
    arguments = Arguments(year=2023, run=11705, files=RawRange.parse("400-403"), iterations=3)
    history = tuple(
        IterationRecord(
            iteration=number, started_at=NOW, finished_at=NOW + number, attempts=2, files=3,
            tracks=100, chi2_ndf=1.0, max_shift_um=1.0, max_rotation_mrad=0.1, max_pull=2.0,
            ends_phase=number == 1,
        )
        for number in (1, 2, 3)
    )  # fmt: skip
    snapshot = Snapshot(
        workspace_id="w", arguments=arguments, state="done", iteration=3, phase=1, phase_began=2,
        iteration_started_at=NOW, history=history, attempts=(attempt(is_over=True),),
    )  # fmt: skip
    checkpoint.save(made.checkpoint, snapshot)
    return made


def attempt(*, is_over: bool) -> Attempt:
    return Attempt(number=1, key="k", cluster="7", jobs=3, submitted_at=NOW, is_over=is_over)


def tracks(iteration: Path) -> str:
    return (iteration / "2kfalignment" / "tracks.root").read_text()


def there(workspace: Workspace) -> list[str]:
    return sorted(path.name for path in workspace.root.glob("iter*"))


def test_it_goes_on_after_the_iteration_and_the_later_ones_are_kept_aside(
    workspace: Workspace,
) -> None:
    snapshot, words = rollback(workspace.root, 2, NOW)
    assert snapshot == open_workspace(workspace.root).snapshot
    assert (snapshot.state, snapshot.iteration, snapshot.rollback) == ("prepare", 3, None)
    assert [each.iteration for each in snapshot.history] == [1, 2]
    assert (snapshot.phase, snapshot.phase_began) == (1, 2)
    assert there(workspace) == ["iter01", "iter02"]
    kept = workspace.root / "outdated-1/iter03/3millepede/inputforalign.txt"
    assert kept.read_text() == "own 3"
    assert tracks(workspace.root / "outdated-1/iter03") == "tracks 3"
    assert snapshot.made_again == words
    assert "rolled back" in workspace.log.read_text()


def test_the_next_iteration_is_in_the_phase_that_it_had(workspace: Workspace) -> None:
    snapshot, _ = rollback(workspace.root, 1, NOW)
    assert (snapshot.iteration, snapshot.phase, snapshot.phase_began) == (2, 1, 2)


def test_no_attempt_has_the_number_of_one_that_was_made_for_what_is_set_aside(
    workspace: Workspace,
) -> None:
    assert rollback(workspace.root, 2, NOW)[0].attempts_before == 2


@pytest.mark.parametrize(
    ("to", "said"),
    [(4, "1, 2, 3"), (3, "is the last one")],
)
def test_there_has_to_be_something_to_go_back_to(to: int, said: str, workspace: Workspace) -> None:
    before = workspace.checkpoint.read_bytes()
    with pytest.raises(UsageError, match=said):
        rollback(workspace.root, to, NOW)
    assert workspace.checkpoint.read_bytes() == before


def test_not_while_jobs_may_run_or_somebody_has_it(workspace: Workspace) -> None:
    done = open_workspace(workspace.root).snapshot
    running = done.but(attempts=(attempt(is_over=False),), state="wait_reco")
    checkpoint.save(workspace.checkpoint, running)
    with pytest.raises(UsageError, match="may still run"):
        rollback(workspace.root, 1, NOW)
    checkpoint.save(workspace.checkpoint, done)
    lock = WorkspaceLock(workspace.lock)
    lock.acquire()
    try:
        with pytest.raises(LockedError):
            rollback(workspace.root, 1, NOW)
    finally:
        lock.release()
    assert there(workspace) == ["iter01", "iter02", "iter03"]


@EVERY
def test_killed_anywhere_it_is_the_old_alignment_or_the_new_one(
    workspace: Workspace, tmp_path: Path, every: int
) -> None:
    outcomes = set()
    for step in itertools.count(1, every):
        copy = Workspace(tmp_path / str(step) / workspace.root.name)
        _copy_with_outputs(workspace, copy)
        was_killed = killed_at(step, lambda: rollback(copy.root, 1, NOW))  # noqa: B023
        with held(copy.root) as (opened, _):  # whatever is done next with it completes it first
            snapshot = opened.snapshot
        assert snapshot == open_workspace(copy.root).snapshot
        assert [tracks(each) for each in sorted(copy.root.glob("**/iter0*"))] == TRACKS
        outcome = (snapshot.state, snapshot.iteration, tuple(there(copy)))
        assert outcome in {
            ("done", 3, ("iter01", "iter02", "iter03")),
            ("prepare", 2, ("iter01",)),
        }
        # an iteration that is made anew is not taken for one that is outdated
        (copy.root / "iter02").mkdir(exist_ok=True)
        assert roll_back(copy, open_workspace(copy.root).snapshot) == snapshot
        assert (copy.root / "iter02").is_dir()
        outcomes.add(outcome)
        if not was_killed:
            break
    assert len(outcomes) == 2
    assert step > 10


def _copy_with_outputs(workspace: Workspace, copy: Workspace) -> None:
    shutil.copytree(workspace.root, copy.root, symlinks=True)
    elsewhere = copy.root.parent / "elsewhere"
    shutil.copytree(workspace.root.parent / "elsewhere", elsewhere)
    for iteration in copy.root.glob("iter*"):
        (iteration / "2kfalignment").unlink()
        (iteration / "2kfalignment").symlink_to(elsewhere / iteration.name)
