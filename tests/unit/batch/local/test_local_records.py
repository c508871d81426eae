from __future__ import annotations

import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_iter.alignment.model import Batch, Job, Resources
from auto_iter.batch.local.records import (
    Event,
    Ledger,
    Records,
    read_submission,
    write_submission,
)
from auto_iter.processes.identity import identify

STARTER = {"pid": 1, "started": 2, "boot": "b", "host": "h"}


def started(number: int, run: int = 1) -> Event:
    return {"event": "started", "job": number, "run": run, "starter": STARTER}


def ended(number: int, code: int = 0) -> Event:
    return {"event": "ended", "job": number, "exit_code": code}


def held(number: int, event: str = "held") -> Event:
    return {"event": event, "job": number, "code": 34, "subcode": 0, "reason": "memory"}


def released(number: int) -> Event:
    return {"event": "released", "job": number, "resources": {"memory_mb": 8}}


def removed(number: int, event: str = "removed") -> Event:
    return {"event": event, "job": number, "reason": "by hand"}


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    root, reco = tmp_path / "batch" / "1", tmp_path / "1reco"
    root.mkdir(parents=True)
    jobs = tuple(Job(number, (), "out") for number in (1, 2, 3))
    write_submission(root, Batch("key", reco, reco / "run.sh", (), tmp_path, jobs), "marker", 0.0)
    return Ledger.of(root)


@pytest.mark.parametrize(
    ("course", "counts"),
    [
        ([], (3, 0, 0, 0, 0)),
        ([started(1)], (2, 1, 0, 0, 0)),
        ([started(1), ended(1)], (2, 0, 0, 1, 0)),
        ([started(1), ended(1, 3)], (2, 0, 0, 1, 1)),
        ([started(1), held(1)], (2, 0, 1, 0, 1)),
        ([started(1), held(1), released(1)], (3, 0, 0, 0, 0)),
        ([started(1), held(1), released(1), started(1, 2), ended(1)], (2, 0, 0, 1, 0)),
        ([started(1), held(1), removed(1)], (2, 0, 0, 1, 1)),
        ([started(1), removed(1, "removing")], (2, 1, 0, 0, 0)),
        ([started(1), held(1, "holding")], (2, 1, 0, 0, 0)),
        ([started(1), ended(1), held(1, "holding")], (2, 0, 0, 1, 0)),
        ([started(1), removed(1, "removing"), removed(1)], (2, 0, 0, 1, 1)),
        ([removed(1), removed(1)], (2, 0, 0, 1, 1)),
        ([started(1), removed(1, "lost")], (2, 0, 0, 1, 1)),
    ],
)
def test_the_course_of_a_job_makes_the_tally(
    ledger: Ledger, course: list[Event], counts: tuple[int, ...]
) -> None:
    for event in course:
        ledger.records.append(event)
    ledger.refresh()
    tally = ledger.tally()
    found = (tally.idle, tally.running, tally.held, tally.ended, len(tally.problems))
    assert found == counts


@given(st.integers(0, 400), st.lists(st.integers(0, 99_999), max_size=6))
def test_a_journal_cut_off_anywhere_keeps_what_is_before_and_takes_new_events(
    cut: int, numbers: list[int]
) -> None:
    with tempfile.TemporaryDirectory() as directory:
        records = Records(Path(directory))
        records.journal.touch()
        for number in numbers:
            records.append(ended(number))
        whole, size = records.read(0)
        os.truncate(records.journal, max(0, size - cut))
        kept, offset = records.read(0)
        assert kept == whole[: len(kept)]
        records.append(ended(7))
        later, _ = records.read(offset)
        assert {**ended(7), "time": later[-1]["time"]} == later[-1]


def test_how_a_running_job_was_to_end_is_known_until_it_has(ledger: Ledger) -> None:
    for event, verdict in ((started(1), None), (held(1, "holding"), "held")):
        ledger.records.append(event)
        ledger.refresh()
        assert (ledger.running[1].verdict or {}).get("event") == verdict
    ledger.records.append(removed(1, "removing"))
    ledger.refresh()
    assert ledger.running[1].verdict is not None
    assert ledger.running[1].verdict.items() >= removed(1).items()


def test_a_submission_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    root, reco = tmp_path / "ws" / "batch" / "1", tmp_path / "ws" / "iter01" / "1reco"
    root.mkdir(parents=True)
    jobs = (Job(400, ("--raw", "x y"), "out", "011705/00400"), Job(401, (), ""))
    limits = Resources(cpus=2, memory_mb=100, time_limit_s=1.5)
    script, inputs = reco / "run.sh", (reco / "a", Path("/elsewhere/b"))
    batch = Batch("key", reco, script, inputs, reco.parent / "2kfalignment", jobs, limits)
    write_submission(root, batch, "marker", 12.5)
    found = read_submission(Records(root))
    assert (found.batch, found.submitted_at, found.marker) == (batch, 12.5, "marker")


def test_a_process_is_not_mistaken_for_one_that_had_its_pid_before() -> None:
    own = identify(os.getpid())
    assert own.is_alive
    assert own.is_here
    with pytest.raises(ProcessLookupError):
        identify(2**22 + 1)
    for other in ({"started": own.started - 1}, {"boot": "before"}):
        assert not type(own)(**({**vars(own)} | other)).is_alive
