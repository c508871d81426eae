"""The checkpoint comes back as it was saved, or says why it cannot."""

from __future__ import annotations

import errno
import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.attempt import Attempt, Intent
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.errors import CheckpointError
from auto_iter.rawfiles import RawRange

FRESH = Snapshot(
    workspace_id="0123abcd",
    arguments=Arguments(year=2023, run=11705, files="400-450", iterations=10),
    iteration_started_at=1_700_000_000.25,
)
BUSY = FRESH.but(
    state="wait_reco",
    iteration=2,
    intent=Intent(key="0123abcd-2-1-ff", attempt=1),
    attempts=(Attempt(number=1, key="k", cluster="17", jobs=50, submitted_at=1.5, schedd="bird"),),
    failures={400: 2, 7: 1},
    troubles={400: "µ: exit code 40: 'quoted', [odd] #text", 7: "held"},
    history=(
        IterationRecord(
            iteration=1, started_at=1.0, finished_at=2.0, attempts=1, files=50, tracks=9,
            chi2_ndf=1 / 3, max_shift_um=1e-7, max_rotation_mrad=0.0, max_pull=float(2**60),
        ),
    ),
)  # fmt: skip


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.yaml"


@pytest.mark.parametrize("snapshot", [FRESH, BUSY])
def test_what_was_saved_is_loaded(path: Path, snapshot: Snapshot) -> None:
    checkpoint.save(path, snapshot)
    assert checkpoint.load(path) == (snapshot, None)


def test_a_range_of_raw_files_is_text_in_the_file_and_a_value_in_memory(path: Path) -> None:
    checkpoint.save(path, FRESH)
    assert "    files: 400-450\n" in path.read_text()
    assert checkpoint.load(path)[0].arguments.files == RawRange(400, 450)


@given(
    text=st.text(max_size=40),
    number=st.floats(allow_nan=False, allow_infinity=False),
    counts=st.dictionaries(st.integers(0, 99_999), st.integers(1, 9), max_size=5),
)
def test_any_value_survives(
    tmp_path_factory: pytest.TempPathFactory, text: str, number: float, counts: dict[int, int]
) -> None:
    path = tmp_path_factory.mktemp("any") / "state.yaml"
    snapshot = FRESH.but(
        failures=counts, troubles=dict.fromkeys(counts, text), iteration_started_at=number
    )
    checkpoint.save(path, snapshot)
    assert checkpoint.load(path) == (snapshot, None)


def test_the_one_before_is_kept(path: Path) -> None:
    checkpoint.save(path, FRESH)
    checkpoint.save(path, BUSY)
    assert checkpoint.load(checkpoint.backup_path(path)) == (FRESH, None)


def test_a_checkpoint_cut_anywhere_falls_back_to_the_backup(path: Path) -> None:
    checkpoint.save(path, FRESH)
    checkpoint.save(path, BUSY)
    whole = path.read_bytes()
    last = b"  dag: null\n"
    assert whole.endswith(last)  # without any part of it, nothing is missing
    for length in range(0, len(whole) - len(last), 23):
        path.write_bytes(whole[:length])
        snapshot, damage = checkpoint.load(path)
        assert snapshot == FRESH
        assert damage is not None
        assert str(path) in damage


def test_a_truncated_checkpoint_without_backup_is_one_clear_line(path: Path) -> None:
    checkpoint.save(path, FRESH)
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(
        CheckpointError, match=r"state\.yaml.*(damaged|truncated).*restore"
    ) as caught:
        checkpoint.load(path)
    assert "\n" not in str(caught.value)


def test_a_changed_value_is_noticed(path: Path) -> None:
    checkpoint.save(path, FRESH)
    path.write_text(path.read_text().replace("iteration: 1", "iteration: 3"))
    with pytest.raises(CheckpointError, match="checksum does not match"):
        checkpoint.load(path)


def _edited(path: Path, old: str, new: str) -> None:
    checkpoint.save(path, FRESH)
    document = yaml.safe_load(path.read_text().replace(old, new))
    path.write_text(yaml.safe_dump({**document, "checksum": checkpoint.EDITED}))


def test_a_deliberate_edit_is_taken(path: Path) -> None:
    _edited(path, "iteration: 1", "iteration: 3")
    snapshot, _ = checkpoint.load(path)
    assert snapshot.iteration == 3


BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "\n".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 10)}]"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"checksum: edited\nschema: 1\n{BOMB}\nsnapshot: {{x: *i}}\n", "an alias"),
        ("checksum: edited\nschema: 1\nsnapshot: &s {x: *s}\n", "an alias"),
        ("checksum: edited\nschema: 1\nsnapshot: " + "[" * 100_000, "nested too deeply"),
        ("checksum: edited\nschema: 1\nschema: 2\n", r"schema is there twice, first in line 2"),
        (f"checksum: edited\nschema: 1\nsnapshot: {{x: {'9' * 5001}}}\n", "makes no sense"),
        ("checksum: edited\n" + "#" * 20_000_000, "more than 20 MB"),
    ],
    ids=["bomb", "loop", "deep", "twice", "digits", "large"],
)
def test_what_would_take_for_ever_is_an_error_at_once(path: Path, text: str, said: str) -> None:
    checkpoint.save(path, FRESH)
    checkpoint.save(path, FRESH)
    path.write_text(text)
    begun = time.monotonic()
    if "more than" in said:
        _, damage = checkpoint.load(path)
        assert damage is not None
    else:
        with pytest.raises(CheckpointError, match=said):
            checkpoint.load(path)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize(
    "old_and_new",
    [("iteration: 1", "iteration: one"), ("year: 2023", "year: [2023"), ("run: 11705", "rnu: 1")],
)
def test_an_edit_that_cannot_be_taken_is_refused_not_passed_over_for_the_backup(
    path: Path, old_and_new: tuple[str, str]
) -> None:
    checkpoint.save(path, FRESH)
    checkpoint.save(path, FRESH)
    declared = re.sub("(?m)^checksum: .*$", "checksum: edited", path.read_text())
    edited = declared.replace(*old_and_new)
    path.write_text(edited)
    with pytest.raises(CheckpointError, match=r"state\.yaml.*state\.yaml\.bak over it to undo"):
        checkpoint.load(path)
    assert path.read_text() == edited


def test_a_damaged_checkpoint_is_kept_aside_and_does_not_become_the_backup(path: Path) -> None:
    checkpoint.save(path, FRESH)
    checkpoint.save(path, BUSY)
    damaged = path.read_bytes()[:-20]
    path.write_bytes(damaged)
    checkpoint.save(path, BUSY)
    assert checkpoint.load(checkpoint.backup_path(path)) == (FRESH, None)
    assert checkpoint.damaged_path(path).read_bytes() == damaged


def test_a_checkpoint_that_is_a_symbolic_link_stays_one(path: Path) -> None:
    real = path.with_name("elsewhere.yaml")
    checkpoint.save(real, FRESH)
    path.symlink_to(real)
    checkpoint.save(path, BUSY)
    assert path.is_symlink()
    assert checkpoint.load(real) == (BUSY, None)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        ("iteration: 1", "iteration: one", "iteration"),
        ("iteration: 1", "iteration: -1", "iteration"),
        ("year: 2023", "yaer: 2023", "arguments.year"),
    ],
)
def test_a_wrong_edit_says_where(path: Path, old: str, new: str, where: str) -> None:
    _edited(path, old, new)
    with pytest.raises(CheckpointError, match=where):
        checkpoint.load(path)


def test_a_newer_schema_is_refused_even_with_a_backup(path: Path) -> None:
    checkpoint.save(path, FRESH)
    checkpoint.save(path, FRESH)
    path.write_text(path.read_text().replace("schema: 1", "schema: 99"))
    with pytest.raises(CheckpointError, match=r"schema 99 is newer.*upgrade"):
        checkpoint.load(path)


def test_old_schemas_are_migrated(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(path, FRESH)
    path.write_text(path.read_text().replace("checksum: ", "checksum: edited #"))
    monkeypatch.setattr(checkpoint, "SCHEMA", 2)
    monkeypatch.setattr(checkpoint, "MIGRATIONS", {1: lambda body: {**body, "iteration": 7}})
    snapshot, _ = checkpoint.load(path)
    assert snapshot.iteration == 7


def test_a_full_disk_leaves_the_old_checkpoint(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.save(path, FRESH)

    def full(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("auto_iter.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        checkpoint.save(path, BUSY)
    assert checkpoint.load(path) == (FRESH, None)
    assert sorted(entry.name for entry in path.parent.iterdir()) == ["state.yaml"]


def test_the_size_does_not_grow_with_the_files(path: Path) -> None:
    sizes = []
    for stop in (401, 10_400):
        arguments = FRESH.arguments.model_copy(update={"files": RawRange(400, stop)})
        checkpoint.save(path, FRESH.but(arguments=arguments))
        sizes.append(path.stat().st_size)
    assert sizes[1] - sizes[0] < 10
