"""The parts of a cluster, each by itself."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("classad2")

from auto_iter.alignment.model import Submission, Trouble
from auto_iter.batch.htcondor.ends import LOST_AFTER_S, Ends
from auto_iter.batch.htcondor.events import EventLog, SincePoll
from auto_iter.batch.htcondor.polls import AFTER_ACTION_S, Polls
from auto_iter.batch.htcondor.queued import Queue
from auto_iter.batch.htcondor.schedd.protocol import Jobs, QueueCounts
from auto_iter.config.batch import HTCondor
from tests.support.schedd_twin import Job, ScheddTwin
from tests.support.twins import FrozenClock

COUNTS = QueueCounts(total=3, idle=3)


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


def jobs_on(schedd: ScheddTwin, *numbers: int) -> Jobs:
    for proc, number in enumerate(numbers):
        ad: Job = {"ClusterId": 1, "ProcId": proc, "JobStatus": 1, "AutoIterRawFile": number}
        ad |= {"AutoIterKey": "key", "AutoIterSpool": False, "EnteredCurrentStatus": schedd.time}
        schedd.queue.append(ad)
    return Jobs(schedd, Submission("key", "1", len(numbers), 0.0))


def test_a_poll_is_due_at_first_after_an_interval_after_news_and_after_an_action(
    clock: FrozenClock,
) -> None:
    polls = Polls(60.0, clock.now)
    assert polls.is_due()
    polls.note_poll()
    assert not polls.is_due()
    polls.hurry()
    assert polls.is_due()
    polls.note_poll()
    polls.note_action()
    assert polls.is_due()
    clock.seconds += AFTER_ACTION_S
    assert not polls.is_due()
    clock.seconds += 60.0 - AFTER_ACTION_S
    assert polls.is_due()


def test_what_others_were_told_counts_where_it_is_of_later_than_all_that_we_know_and_did(
    clock: FrozenClock,
) -> None:
    polls = Polls(60.0, clock.now)
    assert not polls.may_hear()  # nothing was ever seen
    polls.note_poll()
    looked_at = clock.now()
    clock.seconds += 50
    assert polls.may_hear()
    assert not polls.is_news(looked_at)
    assert polls.is_news(looked_at + 1)
    assert not polls.is_news(clock.now() + 1)
    polls.note_hearing(looked_at + 1)
    assert polls.last == looked_at + 1
    assert not polls.is_news(looked_at + 1)
    began = clock.now()

    def fail() -> None:
        with polls.changing():
            clock.seconds += 5
            raise OSError("no word: perhaps it was done")

    with pytest.raises(OSError, match="no word"):
        fail()
    assert not polls.is_news(began + 5)
    clock.seconds += 1
    assert polls.is_news(began + 6)
    clock.seconds += 60
    assert not polls.is_news(began + 6)


def test_what_others_were_told_does_not_count_after_an_action_or_news_of_our_own(
    clock: FrozenClock,
) -> None:
    polls = Polls(60.0, clock.now)
    polls.note_poll()
    polls.note_action()
    clock.seconds += AFTER_ACTION_S - 1
    polls.note_poll()
    assert not polls.may_hear()
    clock.seconds += 1
    assert polls.may_hear()
    polls.hurry()
    assert not polls.may_hear()


def test_ads_are_asked_for_only_when_the_summary_is_another_one(clock: FrozenClock) -> None:
    schedd = ScheddTwin()
    queue = Queue(jobs_on(schedd, 400, 401), HTCondor(spool=False), clock.now)
    schedd.job(400).update(JobStatus=4, ExitBySignal=False, ExitCode=40)
    (problem,) = queue.look().problems
    assert (problem.number, problem.trouble) == (400, Trouble.FAILED)
    schedd.asked.clear()
    assert queue.look().problems == (problem,)
    assert schedd.asked == ["count"]


def test_an_answer_of_the_queue_is_taken_whole_or_not_at_all(clock: FrozenClock) -> None:
    schedd = ScheddTwin()
    queue = Queue(jobs_on(schedd, 400), HTCondor(spool=False), clock.now)
    before = queue.look()
    schedd.hold(400, 12, "no room")
    schedd.job(400)["AutoIterRawFile"] = "no number"
    with pytest.raises(ValueError, match="no number"):
        queue.look()
    assert queue.seen is before


def test_a_missing_job_has_its_patience_begun_anew_once_it_was_found(clock: FrozenClock) -> None:
    schedd = ScheddTwin()
    ends = Ends(jobs_on(schedd, 400, 401), clock.now, frozenset({400, 401}))
    ends.learn(1)
    clock.seconds += LOST_AFTER_S + 1
    job = schedd.job(400)
    schedd.end(400)
    ends.take(job)
    ends.learn(1)
    ends.learn(2)
    assert (ends.known(2), ends.missing(2), ends.problems) == (1, 1, {})
    schedd.queue.clear()
    clock.seconds += LOST_AFTER_S + 1
    ends.learn(2)
    assert [each.trouble for each in ends.problems.values()] == [Trouble.LOST]
    assert ends.proven == {"node7"}


def test_the_event_log_asks_for_a_poll_for_a_hold_and_less_and_less_for_the_end(
    tmp_path: Path,
) -> None:
    path = tmp_path / "events.log"
    log = SincePoll(EventLog(path), 1, 60.0)
    log.begin(0)
    assert not log.asks_for_poll(0.0, 1000.0)
    path.write_text("001 (7.000.000) begins\n012 (7.000.000) held\n")
    assert log.asks_for_poll(0.0, 0.1)
    assert not log.asks_for_poll(0.0, 0.1)
    with path.open("a") as more:
        more.write("005 (7.000.000) ended\n")
    assert log.asks_for_poll(0.0, 0.2)
    assert not log.asks_for_poll(0.0, 0.3)
    assert log.asks_for_poll(0.0, 0.6)
    assert not log.asks_for_poll(90.0, 100.0)
    log.begin(1)
    assert not log.asks_for_poll(0.0, 1000.0)


def test_moves_in_the_event_log_are_shown_until_the_next_poll(tmp_path: Path) -> None:
    path = tmp_path / "events.log"
    path.write_text("001 (7.000.000) begins\n")
    log = SincePoll(EventLog(path), 3, 60.0)
    assert not log.asks_for_poll(0.0, 1.0)
    assert log.has_moved(COUNTS, 1.0)
    assert (log.shown(COUNTS).running, log.shown(COUNTS).idle) == (1, 2)
    assert not log.has_moved(COUNTS, 1.0)
    log.begin(0)
    assert log.shown(COUNTS) == COUNTS
