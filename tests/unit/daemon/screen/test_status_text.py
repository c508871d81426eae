"""What `status` says fits 80 columns in every state, and no estimate outlives its daemon."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.checkpoint_file import json_keys
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.hold_out import HoldOut
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.snapshot import Failure, Obstacle, Progress, Snapshot
from auto_iter.cli.looking.status import most_urgent
from auto_iter.daemon.lock import Holder
from auto_iter.daemon.screen.layout import COLUMNS
from auto_iter.daemon.screen.overview import Unreadable, overview
from auto_iter.daemon.screen.status_text import SHOWN_FILES, status_text
from auto_iter.daemon.status import Status, read_status
from auto_iter.files import checksum
from auto_iter.workspace.paths import Workspace
from states.table import ARROWS

NOW = 1_700_000_000.0
ROOT = Path("/afs/cern.ch/work/s/someone/alignment/production/Y2023_R011705_F10400-10450")
LONG = "the schedd bigbird08.cern.ch refused the connection, and so did both of the others " * 3


HOLD_OUT = HoldOut(
    files=5,
    tracks=1_234_567,
    chi2_ndf=1.0,
    ndf=12_345_678,
    largest_mean_um=-1234.5,
    worst_module="station 1 layer 0 module 3",
    rms_width_um=1234.5,
    qop_bias_per_tev=-1.2345,
    qop_bias_error_per_tev=0.0125,
)


def record(number: int) -> IterationRecord:
    return IterationRecord(
        iteration=number,
        started_at=NOW - 20 * 3600 * number,
        finished_at=NOW - 20 * 3600 * number + 40_000,
        attempts=3,
        files=50,
        tracks=12_345_678,
        chi2_ndf=1.0,
        track_chi2_ndf=12345.1234,
        max_shift_um=1234.567,
        max_rotation_mrad=123.45678,
        max_pull=1234.56,
        phase=f"all modules of station {number}",
        within=number,
        hold_out=HOLD_OUT.model_copy(update={"chi2_ndf": 100.0 / number}),
    )


def snapshot(state: str, **changes: Any) -> Snapshot:
    whole = Snapshot(
        workspace_id="w",
        arguments=Arguments(year=2023, run=11705, files="10400-10450", iterations=100),
        state=state,
        strategy="a-strategy-with-a-long-name",
        phase_name="all modules of all stations",
        iteration=3,
        iteration_started_at=NOW - 3600,
        attempts=(Attempt(number=1, key="k", cluster="1", jobs=50, submitted_at=NOW - 3500),),
        progress=Progress(
            wanted=50, delivered=20, idle=10, running=10, held=10, unknown=3,
            seen_at=NOW - 10, expected_end=NOW + 7200,
        ),
        failures={10400 + number: 2 for number in range(12)},
        losses={10400: 1},
        troubles={10400 + number: LONG for number in range(50)},
        held_since={10400 + number: NOW for number in range(20, 40)},
        avoid_machines=tuple(f"b9s{number}.cern.ch" for number in range(9)),
        history=(record(1), record(2)),
    )  # fmt: skip
    return whole.but(**changes)


def status(state: str, holder: Holder | None = None, **changes: Any) -> Status:
    return Status.seen(Workspace(ROOT), snapshot(state, **changes), holder, NOW)


DAEMON = Holder(pid=1234567, started=1, boot="b", host="a-node-of-lxplus.cern.ch", since="2026-11")
FAILURE = Failure(state="wait_reco", reason=f"{LONG}\n    {LONG}\n{LONG}", remedy=LONG, at=NOW)
VERDICT = Verdict(word=Word.PLATEAU, sentence=LONG)
OBSTACLE = Obstacle(reason=LONG, since=NOW)


@pytest.mark.parametrize("state", ARROWS)
@pytest.mark.parametrize("holder", [None, DAEMON])
@pytest.mark.parametrize(
    "changes",
    [{}, {"failure": FAILURE}, {"verdict": VERDICT}, {"hindrance": OBSTACLE}, {"progress": {}}],
)
def test_every_line_fits(state: str, holder: Holder | None, changes: dict[str, Any]) -> None:
    shown = status(state, holder, **changes)
    for line in [*status_text(shown).splitlines(), *overview([shown])]:
        is_one_word = len(line.split()) == 1
        is_command = "auto-iter" in line and line.split()[-1] == str(ROOT)
        assert len(line) <= COLUMNS or is_one_word or is_command, line


def test_held_out_tracks_are_told_before_and_after() -> None:
    text = " ".join(status_text(status("done")).split())
    assert "held out (5 files, 1234567 tracks), iteration 1 -> 2: chi2/ndf 100 -> 50; " in text
    assert "q/p bias (1/TeV) -1.2345 ± 0.0125 -> -1.2345 ± 0.0125" in text
    assert "IFT" not in text  # not known
    (first, _) = status("done").as_json()["history"]
    assert first["hold_out"]["chi2_ndf"] == 100.0


def test_a_command_stays_on_one_line_to_be_copied() -> None:
    text = status_text(status("wait_reco"))
    assert f"auto-iter resume {ROOT}" in text


def test_no_estimate_outlives_its_daemon() -> None:
    running, killed = status("wait_reco", DAEMON), status("wait_reco")
    assert "if it takes all 100 iterations (2 done)" in " ".join(status_text(running).split())
    assert running.as_json()["jobs"]["expected_end"] == NOW + 7200
    assert running.as_json()["expected_end"]["at"] > NOW + 97 * 40_000
    assert "expected" not in status_text(killed)
    assert killed.as_json()["jobs"]["expected_end"] is None
    assert killed.as_json()["expected_end"] is None


@pytest.mark.parametrize("state", ["done", "failed", "stopped"])
def test_nothing_is_expected_of_what_is_over(state: str) -> None:
    assert "expected" not in status_text(status(state, DAEMON))
    assert status(state, DAEMON).as_json()["expected_end"] is None


def test_an_estimate_that_has_passed_is_not_shown() -> None:
    late = snapshot("wait_reco").progress.model_copy(update={"expected_end": NOW - 60})
    assert status("wait_reco", DAEMON, progress=late).as_json()["jobs"]["expected_end"] is None


def test_of_many_failing_files_the_first_are_described() -> None:
    text = status_text(status("wait_reco", DAEMON))
    assert "  file 10400: 2 failed, 1 lost, last: the schedd" in text
    assert f"  file {10400 + SHOWN_FILES}" not in text
    assert "  and 2 more fail" in text
    assert "  and 10 more are held" in text


CODES = [
    (status("failed", failure=FAILURE), 1),
    (status("done", verdict=Verdict(word=Word.CONVERGED, sentence="")), 0),
    (status("done", verdict=Verdict(word=Word.USED_UP, sentence="")), 3),
    (status("done", verdict=VERDICT), 4),
    (status("done"), 0),  # the first version did not judge
    (status("wait_reco", DAEMON), 10),
    (status("wait_reco", DAEMON, hindrance=OBSTACLE), 11),
    (status("wait_reco", hindrance=OBSTACLE), 12),
    (replace(status("wait_reco", DAEMON), silent_s=3600.0), 12),
    (status("stopped"), 12),
    (status("pede", dag={"number": 1, "key": "k"}), 13),
]


@pytest.mark.parametrize(("shown", "code"), CODES)
def test_each_state_has_its_exit_code(shown: Status, code: int) -> None:
    assert shown.exit_code == code
    assert shown.as_json()["exit_code"] == code


@pytest.mark.parametrize(
    ("codes", "code"),
    [([0, 0], 0), ([0, 3, 6], 6), ([10, 1], 1), ([10, 12, 11], 12), ([10, 0], 10), ([1, 2], 2)],
)
def test_of_several_the_most_urgent_counts(codes: list[int], code: int) -> None:
    assert most_urgent(codes) == code


def test_several_have_a_line_each() -> None:
    several = [status("wait_reco", DAEMON), status("failed", failure=FAILURE)]
    where = Path("nothing").absolute()
    lines = overview([*several, Unreadable(Path("nothing"), f"{where}: no such workspace")])
    assert len(lines) == 3
    assert lines[0].startswith("Y2023_R011705_F10400-10450  wait_reco       3/100  20/50 files,")
    assert lines[1].endswith("…")
    assert lines[2].split(maxsplit=1) == ["nothing", "no such workspace"]


def written(tmp_path: Path) -> Workspace:
    workspace = Workspace(tmp_path)
    checkpoint.save(workspace.checkpoint, snapshot("stopped"))
    return workspace


def sealed(text: str, checksum: str) -> str:
    return re.sub(r"^checksum: .*$", f"checksum: {checksum}", text, flags=re.MULTILINE)


def test_what_is_read_at_a_glance_is_what_the_models_read(tmp_path: Path) -> None:
    workspace = written(tmp_path)
    loaded, _ = checkpoint.load(workspace.checkpoint)
    assert read_status(workspace, NOW) == Status.seen(workspace, loaded, None, NOW)


def test_a_damaged_checkpoint_is_told_from_its_backup(tmp_path: Path) -> None:
    workspace = written(tmp_path)
    checkpoint.save(workspace.checkpoint, snapshot("failed"))
    workspace.checkpoint.write_text(workspace.checkpoint.read_text()[:500])
    seen = read_status(workspace, NOW)
    assert seen.state == "stopped"
    assert "the backup is used" in (seen.remark or "")


LATER = [name for name, each in Snapshot.model_fields.items() if not each.is_required()]


@pytest.mark.parametrize("name", LATER)
def test_what_an_older_version_could_not_say_is_no_trouble(name: str, tmp_path: Path) -> None:
    workspace = written(tmp_path)
    body = snapshot("wait_reco").model_dump(mode="json", exclude={name})
    document = {"schema": 1, "checksum": checksum(json_keys(body)), "snapshot": body}
    workspace.checkpoint.write_text(json.dumps(document))
    seen = read_status(workspace, NOW)
    assert "of 100" in status_text(seen)
    assert len(overview([seen])) == 1
    assert seen.as_json()["iterations"] == 100


def lock_of(workspace: Workspace, silent_s: float) -> None:
    workspace.lock.write_text(DAEMON.as_text())
    os.utime(workspace.lock, (NOW - silent_s,) * 2)


def test_a_daemon_whose_host_went_down_is_not_said_to_be_at_work(tmp_path: Path) -> None:
    workspace = Workspace(tmp_path)
    checkpoint.save(workspace.checkpoint, snapshot("wait_reco"))
    lock_of(workspace, silent_s=60)
    assert read_status(workspace, NOW).exit_code == 10
    lock_of(workspace, silent_s=2 * 86400)
    seen = read_status(workspace, NOW)
    assert (seen.exit_code, seen.end, seen.needs_a_look) == (12, None, True)
    assert seen.as_json()["daemon"]["silent_s"] == 2 * 86400
    assert "has given no sign of life for 2 d" in " ".join(status_text(seen).split())
    assert "no sign of life for 2 d" in overview([seen])[0]


def test_a_deliberate_edit_is_believed(tmp_path: Path) -> None:
    workspace = written(tmp_path)
    text = workspace.checkpoint.read_text().replace("state: stopped", "state: pede")
    workspace.checkpoint.write_text(sealed(text, "edited"))
    assert read_status(workspace, NOW).state == "pede"
