"""Files are there whole or not at all; errors name what was asked for."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from auto_iter.detector import constants
from auto_iter.files import TEMPORARY, expanded, remove_leftovers, write_atomically, write_whole
from auto_iter.millepede import results
from auto_iter.millepede.mille import file as mille_file
from auto_iter.millepede.pede import result_files


@pytest.mark.parametrize("call", ["fsync", "fchmod", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EMFILE])
def test_every_refusal_of_the_disk_names_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, number: int
) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, call, refuse)
    with pytest.raises(OSError, match=str(path)) as caught:
        write_atomically(path, "after")
    monkeypatch.undo()
    assert caught.value.errno == number
    # After the rename only the directory could not be synced: the file is whole either way.
    assert path.read_text() in {"before", "after"}
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_a_home_that_nobody_has_stays_as_it_was_written() -> None:
    assert expanded("~nobody-here/a") == Path("~nobody-here/a")
    assert expanded("~/a") == Path.home() / "a"


def test_another_file_s_error_keeps_its_name(tmp_path: Path) -> None:
    with (
        pytest.raises(FileNotFoundError, match=r"source"),
        write_whole(tmp_path / "file") as sink,
    ):
        sink.write((tmp_path / "source").read_bytes())
    assert list(tmp_path.iterdir()) == []


def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    link = tmp_path / "state.yaml"
    link.symlink_to(elsewhere / "real.yaml")
    for text in ("first", "second"):
        write_atomically(link, text)
        assert link.is_symlink()
        assert (elsewhere / "real.yaml").read_text() == text


def test_a_device_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    with pytest.raises(OSError, match="a device or a pipe"):
        write_atomically(fifo, "text")
    assert fifo.is_fifo()


def test_what_killed_writers_left_is_removed_and_nothing_else(tmp_path: Path) -> None:
    kept = {".hidden", "file.tmp", "file", ".scratch_00400"}
    for name in kept:
        (tmp_path / name).touch()
    for name in (f".state.yaml.x{TEMPORARY}", f".convert-1-1.json{TEMPORARY}", ".a.root.partial"):
        (tmp_path / name).touch()
    (tmp_path / f".out.bin.y{TEMPORARY}").mkdir()
    assert remove_leftovers([tmp_path, tmp_path / "gone"]) == 4
    assert {path.name for path in tmp_path.iterdir()} == kept


@pytest.mark.parametrize(
    "read",
    [
        constants.read_constants,
        result_files.read_result,
        results.read_record,
        mille_file.detect_flavour,
    ],
)
@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.EMFILE])
def test_what_cannot_be_read_just_now_is_not_bad(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], object], number: int
) -> None:
    path = tmp_path / "file"
    path.write_text("")

    def refuse(*_arguments: object, **_more: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    monkeypatch.setattr("io.open", refuse)
    with pytest.raises(OSError, match=str(path)) as caught:
        read(path)
    assert caught.value.errno == number
