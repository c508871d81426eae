"""What a person reads of the log, and of the progress."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

import pytest

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import Progress, Snapshot
from auto_iter.config.schema import Log
from auto_iter.daemon.screen.progress import summary
from auto_iter.log.line import readable
from auto_iter.log.setup import get_logger, logging_to
from auto_iter.times import duration

STAMP = "2026-11-25T01:34:07.123456Z"


@pytest.fixture(autouse=True)
def _in_geneva() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TZ", "Europe/Zurich")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("entry", "line"),
    [
        (
            {"event": "submitted", "iteration": 2, "state": "submit_reco", "cluster": "4"},
            "2026-11-25 02:34:07  iter 2 submit_reco    submitted              cluster=4",
        ),
        (
            {
                "event": "transition", "event_fired": "prepared", "from_state": "prepare",
                "to": "submit_reco", "iteration": 1, "state": "prepare",
            },
            "2026-11-25 02:34:07  iter 1 prepare        → submit_reco (prepared)",
        ),
        (
            {"event": "trying again", "level": "warning", "for_s": 3},
            "2026-11-25 02:34:07                        WARNING: trying again           for_s=3",
        ),
        (
            {"event": "failed", "level": "error", "reason": "one\ntwo", "remedy": ""},
            "2026-11-25 02:34:07                        ERROR: failed\n    one\n    two",
        ),
    ],
)  # fmt: skip
def test_an_entry_is_one_readable_line(entry: dict[str, object], line: str) -> None:
    assert readable({"timestamp": STAMP, "level": "info", **entry}) == line


def test_colors_are_for_trouble_only() -> None:
    assert "\x1b" not in readable({"event": "a", "level": "info"}, colors=True)
    assert readable({"event": "a", "level": "error"}, colors=True).startswith("\x1b[31m")


def test_the_file_has_json_and_the_console_text_also_of_a_traceback(tmp_path: Path) -> None:
    console = StringIO()
    with logging_to(tmp_path / "log", Log(), console):
        get_logger().info("submitted", cluster="4")
        try:
            int("surprise")
        except ValueError:
            get_logger().exception("bug")
    first, second = map(json.loads, (tmp_path / "log").read_text().splitlines())
    assert (first["event"], first["cluster"]) == ("submitted", "4")
    assert "ValueError: " in second["exception"]
    shown = console.getvalue()
    assert "submitted              cluster=4\n" in shown
    assert "\n    ValueError: " in shown


def test_a_log_that_was_moved_away_is_opened_anew(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with logging_to(log, Log(), StringIO()):
        get_logger().info("one")
        log.rename(tmp_path / "old")
        get_logger().info("two")
    assert "one" in (tmp_path / "old").read_text()
    assert "two" in log.read_text()
    assert "two" not in (tmp_path / "old").read_text()


def test_the_time_left_runs_down() -> None:
    snapshot = Snapshot(
        workspace_id="w",
        arguments=Arguments(year=2023, run=11705, files="400-450", iterations=3),
        iteration_started_at=0.0,
        progress=Progress(wanted=50, delivered=20, running=10, idle=20, expected_end=10_000.0),
    )
    assert summary(snapshot, 1000.0)["time left"].startswith("2 h 30 min, until ")
    assert summary(snapshot, 9950.0)["time left"].startswith("50 s, until ")
    assert summary(snapshot, 99_999.0)["time left"].startswith("0 s, until ")
    assert summary(snapshot, 0.0)["files"] == "20 of 50 reconstructed"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.2, "0 s"), (59.7, "1 min 00 s"), (200, "3 min 20 s"), (7500, "2 h 05 min")],
)
def test_durations_have_two_units(seconds: float, text: str) -> None:
    assert duration(seconds) == text
