"""What `watch` draws fits whatever screen there is, and tells what a person has to know."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import GroupChange
from auto_iter.daemon.screen.outcome import SHOWN_GROUPS, outcome_text
from auto_iter.daemon.screen.overview import Seen, Unreadable
from auto_iter.daemon.screen.watching import last_lines, print_changes, screenful, style_of
from auto_iter.workspace.paths import Workspace
from tests.unit.daemon.screen.test_status_text import (
    DAEMON,
    FAILURE,
    OBSTACLE,
    ROOT,
    VERDICT,
    record,
    snapshot,
    status,
)

GONE = Unreadable(Path("/somewhere/Y2023_R011705_F400-450"), "no such workspace; " * 9)
LOG = [f"2026-11-25 01:34:{number:02d}  iter 2 submit_reco    submitted" for number in range(60)]

SEEN: Sequence[Seen] = [
    status("wait_reco", DAEMON),
    status("wait_reco", DAEMON, hindrance=OBSTACLE),
    status("wait_reco"),
    status("failed", failure=FAILURE),
    status("done", verdict=VERDICT),
    status("stopped"),
    GONE,
]


@pytest.mark.parametrize("size", [(80, 24), (200, 50), (40, 6), (20, 2)])
@pytest.mark.parametrize("number", range(1, len(SEEN) + 1))
def test_a_screen_is_never_overfull(size: tuple[int, int], number: int) -> None:
    for all_seen in (SEEN[:number], SEEN[number - 1 : number]):
        lines = screenful(all_seen, LOG, size)
        assert len(lines) <= size[1]
        assert max(len(text) for _, text in lines) <= size[0]


@pytest.mark.parametrize("seen", SEEN[:-1])
def test_one_alone_is_shown_with_the_end_of_its_log(seen: Seen) -> None:
    lines = [text for _, text in screenful([seen], LOG, (80, 24))]
    assert lines[1].startswith(ROOT.name)
    assert lines[-1] == LOG[-1]


def test_several_are_all_there() -> None:
    text = "\n".join(text for _, text in screenful(SEEN, LOG, (80, 24)))
    assert text.count("10400-10450  ") == len(SEEN) - 1
    assert "20/50 files, until" in text
    assert "10 running, 10 idle, 10 held" in text
    assert LOG[-1] not in text


def test_trouble_is_seen_by_its_colour() -> None:
    assert [style_of(each) for each in SEEN] == [
        "", "yellow", "yellow", "red", "green", "yellow", "red",
    ]  # fmt: skip


def test_the_log_is_read_from_its_end(tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    assert last_lines(log, 3) == []
    entries = [{"event": f"event {number}", "level": "info"} for number in range(2000)]
    log.write_text("".join(f"{json.dumps(each)}\n" for each in entries) + "half a li")
    assert [line.split()[-1] for line in last_lines(log, 3)] == ["1998", "1999"]


def test_without_a_terminal_there_is_a_line_for_each_piece_of_news() -> None:
    running = status("wait_reco", DAEMON)
    looks: list[list[Seen]] = [
        [running, GONE],
        [running, GONE],
        [status("done", verdict=VERDICT), GONE],
    ]
    said: list[str] = []
    waits: list[None] = []
    print_changes(lambda: looks[len(waits)], lambda: waits.append(None), said.append)
    assert len(waits) == 2
    assert len(said) == 3  # both at first, then the one that is done
    assert said[-1].count("done") == 1


def test_a_workspace_whose_disk_is_away_for_a_moment_has_not_come_to_an_end() -> None:
    running = status("wait_reco", DAEMON)
    shown: list[Seen] = [running, *[GONE] * 30, running, *[GONE] * 31]
    looks = [[each] for each in shown]
    said: list[str] = []
    waits: list[None] = []
    print_changes(lambda: looks[len(waits)], lambda: waits.append(None), said.append)
    assert len(waits) == len(looks) - 1
    assert len(said) == 4


def groups(number: int) -> tuple[GroupChange, ...]:
    return tuple(
        GroupChange(
            name=f"layer rz{each}", parameters=9, largest=each, rms=0.1, rms_pull=0.1,
            largest_pull=each, worst="station 1 layer 0", raw_largest=9, raw_rms=1,
        )
        for each in range(number)
    )  # fmt: skip


def finished(root: Path, iterations: int = 100) -> tuple[Workspace, Snapshot]:
    sane = {"track_chi2_ndf": 1.0}
    history = tuple(record(number).model_copy(update=sane) for number in range(1, iterations))
    last = record(iterations).model_copy(update={"groups": groups(12), **sane})
    verdict = Verdict(word=Word.CONVERGED, sentence="converged: the last changes were 0.2 σ")
    done = snapshot("done", iteration=iterations, history=(*history, last), verdict=verdict)
    return Workspace(root), done


def test_a_finished_alignment_leaves_one_screen(tmp_path: Path) -> None:
    workspace, done = finished(tmp_path)
    workspace.report.mkdir()
    for name in ("constants.txt", "report.html"):
        (workspace.report / name).touch()
    pulls = {"constants": 261, "mean": 0.01, "width": 1.02, "largest": 3.0}
    workspace.report_document.write_text(json.dumps({"pulls": pulls}))
    text = outcome_text(workspace, done)
    lines = text.splitlines()
    assert len(lines) <= 24
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)
    assert "converged: the last changes were 0.2 σ" in lines
    assert "width 1.02" in text
    assert text.count("station 1 layer 0") == SHOWN_GROUPS
    assert "layer rz11" in text
    for name in ("constants.txt", "report.html", "iter100/3millepede/inputforalign.txt"):
        assert name in text


def test_what_could_not_be_told_is_left_out(tmp_path: Path) -> None:
    workspace, done = finished(tmp_path, 1)
    plain = done.but(history=(record(1),), verdict=None)
    text = outcome_text(workspace, plain)
    assert "largest changes" not in text
    assert "truth" not in text
    assert "report" not in text
