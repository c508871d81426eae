"""A workspace's log takes its new name along, but nobody else's file."""

from __future__ import annotations

import os
from pathlib import Path

from auto_iter.log.renamed import take_over

LINE = '{"event": "submitted"}\n'


def test_the_log_and_its_backups_are_renamed(tmp_path: Path) -> None:
    old, new = tmp_path / "auto_iter.log", tmp_path / "log.jsonl"
    for name in ("auto_iter.log", "auto_iter.log.1", "auto_iter.log.2", "auto_iter.log.mine"):
        (tmp_path / name).write_text(LINE)
    take_over(old, new)
    there = {path.name for path in tmp_path.iterdir()}
    assert there == {"log.jsonl", "log.jsonl.1", "log.jsonl.2", "auto_iter.log.mine"}


def test_a_log_of_nohup_stays(tmp_path: Path) -> None:
    old, new = tmp_path / "auto_iter.log", tmp_path / "log.jsonl"
    old.write_text("2026-11-25 01:34:07  iter 1 prepare\n")
    take_over(old, new)
    assert old.exists()
    assert not new.exists()


def test_what_our_output_is_sent_to_stays(tmp_path: Path) -> None:
    # nohup auto-iter resume . &>>auto_iter.log, within a workspace of an earlier version
    old, new = tmp_path / "auto_iter.log", tmp_path / "log.jsonl"
    old.write_text(LINE)
    kept = os.dup(2)
    with old.open("a") as output:
        os.dup2(output.fileno(), 2)
        try:
            take_over(old, new)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
    assert old.exists()
    assert not new.exists()


def test_there_may_be_nothing_or_the_new_one_already(tmp_path: Path) -> None:
    old, new = tmp_path / "auto_iter.log", tmp_path / "log.jsonl"
    take_over(old, new)
    assert not new.exists()
    old.write_text(LINE)
    new.write_text("later\n")
    take_over(old, new)
    assert (old.read_text(), new.read_text()) == (LINE, "later\n")
