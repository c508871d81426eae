"""People are told of what matters, once, all of it together, and again only after a while."""

from __future__ import annotations

from typing import Any

import pytest

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.snapshot import Failure, Obstacle, Snapshot
from auto_iter.config.notify import Notify
from auto_iter.errors import Hindrance
from auto_iter.notify.notices import noticed

BEGIN = 1000.0
SETTINGS = Notify(command="tell", patience_s=100.0, repeat_s=1000.0, stalled_after_s=500.0)
JOBS = Attempt(number=1, key="k", cluster="1", jobs=400, submitted_at=BEGIN)


def running(**changes: Any) -> Snapshot:
    arguments = Arguments(year=2023, run=11705, files="0-400", iterations=3)
    usual = {"state": "wait_reco", "attempts": (JOBS,)}
    return Snapshot(
        workspace_id="w", arguments=arguments, iteration_started_at=BEGIN, **(usual | changes)
    )


def told(snapshot: Snapshot) -> list[str]:
    return [each.kind for each in snapshot.notices.outbox]


def test_400_held_jobs_are_one_event_and_the_next_comes_after_a_while() -> None:
    snapshot = running(held_since={400: BEGIN}, troubles={400: "memory exceeded"})
    assert told(noticed(snapshot, BEGIN + 99, SETTINGS)) == []
    snapshot = noticed(snapshot, BEGIN + 100, SETTINGS)
    assert told(snapshot) == ["held"]
    snapshot = snapshot.but(held_since=dict.fromkeys(range(400), BEGIN))
    for now in range(200, 1100, 10):
        snapshot = noticed(snapshot, BEGIN + now, SETTINGS)
    assert told(snapshot) == ["held"]
    snapshot = noticed(snapshot, BEGIN + 1100, SETTINGS)
    assert told(snapshot) == ["held", "held"]
    last = snapshot.notices.outbox[-1]
    assert (len(last.files), last.words.split(",")[0]) == (400, "400 jobs are held")


@pytest.mark.parametrize("kind", [Hindrance.SCHEDD, Hindrance.CREDENTIALS, Hindrance.DISK])
def test_what_is_waited_for_is_told_by_its_kind(kind: Hindrance) -> None:
    snapshot = running(hindrance=Obstacle(reason="why", since=BEGIN, kind=kind))
    assert told(noticed(snapshot, BEGIN + 50, SETTINGS)) == []
    snapshot = noticed(snapshot, BEGIN + 200, SETTINGS)
    (event,) = snapshot.notices.outbox
    assert (event.kind, event.about) == ("waiting", str(kind))
    assert noticed(snapshot, BEGIN + 300, SETTINGS) == snapshot


def test_another_hindrance_is_told_though_one_was_told_just_now() -> None:
    disk = Obstacle(reason="full", since=BEGIN, kind=Hindrance.DISK)
    snapshot = noticed(running(hindrance=disk), BEGIN + 200, SETTINGS)
    schedd = Obstacle(reason="down", since=BEGIN + 200, kind=Hindrance.SCHEDD)
    snapshot = noticed(snapshot.but(hindrance=schedd), BEGIN + 400, SETTINGS)
    assert [each.about for each in snapshot.notices.outbox] == ["disk", "schedd"]


def seen(snapshot: Snapshot, at: float, delivered: int) -> Snapshot:
    progress = {"wanted": 400, "delivered": delivered, "running": 9, "seen_at": BEGIN + at}
    return noticed(snapshot.but(progress=progress), BEGIN + at, SETTINGS)


def test_a_stall_is_told_when_no_job_has_ended_for_long() -> None:
    snapshot = seen(running(), 0, 10)
    snapshot = seen(snapshot, 400, 11)
    assert told(seen(snapshot, 899, 11)) == []
    assert told(seen(snapshot, 901, 11)) == ["stalled"]
    assert told(seen(snapshot, 901, 12)) == []


def test_a_daemon_that_was_away_tells_of_no_stall_before_it_has_looked() -> None:
    snapshot = seen(running(), 0, 10)
    assert told(noticed(snapshot, BEGIN + 9000, SETTINGS)) == []


def test_an_end_is_told_once_and_another_end_again() -> None:
    verdict = Verdict(word=Word.PLATEAU, sentence="plateau: it is what it is")
    snapshot = noticed(running(state="done", verdict=verdict), BEGIN, SETTINGS)
    (event,) = snapshot.notices.outbox
    assert (event.kind, event.verdict, event.exit_code) == ("finished", "plateau", 4)
    assert noticed(snapshot, BEGIN + 1e6, SETTINGS) == snapshot
    failure = Failure(state="pede", reason="no", remedy="mend it", at=BEGIN)
    snapshot = noticed(snapshot.but(state="failed", failure=failure), BEGIN, SETTINGS)
    again = failure.model_copy(update={"at": BEGIN + 1})
    snapshot = noticed(snapshot.but(failure=again), BEGIN + 1, SETTINGS)
    assert told(snapshot) == ["finished", "failed", "failed"]
    assert [each.id for each in snapshot.notices.outbox] == ["w-1", "w-2", "w-3"]


def done(finished_at: float) -> Snapshot:
    last = IterationRecord(
        iteration=1, started_at=BEGIN, finished_at=finished_at, attempts=1, files=400, tracks=1,
        chi2_ndf=1.0, max_shift_um=0.0, max_rotation_mrad=0.0, max_pull=0.0, converged=True,
    )  # fmt: skip
    verdict = Verdict(word=Word.CONVERGED, sentence="converged")
    return running(state="done", attempts=(), verdict=verdict, history=(last,))


def test_an_end_after_going_back_is_another_one_though_it_has_as_many_iterations() -> None:
    events = SETTINGS.model_copy(update={"events": ("finished", "converged")})
    first = noticed(done(BEGIN + 10), BEGIN + 11, events)
    assert told(first) == ["finished", "converged"]
    again = noticed(done(BEGIN + 500).but(notices=first.notices), BEGIN + 501, events)
    assert told(again) == ["finished", "converged"] * 2
    assert noticed(again, BEGIN + 900, events) == again


def test_what_gets_worse_is_told_once_an_iteration() -> None:
    snapshot = noticed(running(remarks=("chi2 grows",)), BEGIN, SETTINGS)
    snapshot = noticed(snapshot, BEGIN + 5000, SETTINGS)
    assert told(snapshot) == ["diverging"]
    assert told(noticed(snapshot.but(iteration=2), BEGIN, SETTINGS)) == ["diverging"] * 2


def test_nobody_is_told_of_what_nobody_asked_for() -> None:
    failed = running(state="failed", failure=Failure(state="pede", reason="no", at=BEGIN))
    assert noticed(failed, BEGIN, Notify()) == failed
    others = SETTINGS.model_copy(update={"events": ("held",)})
    assert told(noticed(failed, BEGIN, others)) == []


def test_directories_that_take_few_more_files_are_told_once() -> None:
    snapshot = noticed(running(crowded="iter01/1reco/logs: 40000 entries"), BEGIN, SETTINGS)
    snapshot = noticed(snapshot.but(crowded="iter02/1reco/logs: 41000 entries"), 9e9, SETTINGS)
    (event,) = snapshot.notices.outbox
    assert (event.kind, event.words) == ("crowded", "little room: iter01/1reco/logs: 40000 entries")
