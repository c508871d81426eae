"""Alignments that ask the schedd together: what one daemon was told, and what others make of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("classad2")

from auto_iter.alignment.model import Batch, Job, Resources, Submission, Tally
from auto_iter.batch.htcondor.polls import AFTER_ACTION_S, HEARD_AT_MOST
from auto_iter.batch.htcondor.schedd.protocol import QueueCounts, by_cluster
from auto_iter.batch.htcondor.shared import NOT_AGAIN_S, SharedPolls
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.batch import HTCondor
from auto_iter.processes.identity import Identity, identify
from tests.support.schedd_twin import ScheddTwin

INTERVAL_S = 60.0
LIVES = 4


@pytest.fixture(scope="module")
def living() -> Iterator[tuple[Identity, ...]]:
    """Give processes that live, as the daemons' own: only whoever lives is listened to."""
    processes = [subprocess.Popen(["sleep", "3600"]) for _ in range(LIVES)]
    yield tuple(identify(process.pid) for process in processes)
    for process in processes:
        process.kill()
        process.wait()


@dataclass
class SharingDaemon:
    """One alignment's batch system, with a submission on the schedd that all share."""

    system: HTCondorBatch
    shared: SharedPolls | None
    submission: Submission

    def poll(self) -> Tally:
        return self.system.poll(self.submission)

    def has_news(self) -> bool:
        return self.system.has_news([self.submission])


@dataclass
class CampaignWorld:
    """A schedd, a clock, and daemons of one campaign."""

    root: Path
    living: tuple[Identity, ...]
    schedd: ScheddTwin = field(default_factory=ScheddTwin)
    seconds: float = 1000.0
    begun: int = 0

    @property
    def pages(self) -> Path:
        return self.root / "campaign.polls"

    def now(self) -> float:
        self.seconds += 0.0001  # time passes, however little
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    def system(
        self, name: str, process: Identity | None, **settings: object
    ) -> tuple[HTCondorBatch, SharedPolls | None]:
        given = {"job_flavour": None, "min_poll_interval_s": INTERVAL_S, **settings}
        shared = None
        if process is not None:
            shared = SharedPolls(self.pages, name, self.schedd, None, self.now, process)
        config = HTCondor.model_validate(given)
        system = HTCondorBatch(
            name, config, self.schedd, shared=shared, monotonic=self.now, sleep=self.wait
        )
        return system, shared

    def daemon(self, *numbers: int, is_alone: bool = False, **settings: object) -> SharingDaemon:
        """Return a new daemon whose jobs are in the queue, and which has looked once."""
        self.begun += 1
        process = None if is_alone else self.living[self.begun % len(self.living)]
        name = f"ws{self.begun}"
        system, shared = self.system(name, process, **settings)
        key = system.new_key(1, 1)
        jobs = tuple(Job(n, (str(n),), f"out_{n}", f"011705/{n:05d}") for n in numbers)
        script = self.root / "job.sh"
        script.touch()
        place = self.root / name
        batch = Batch(
            key, place / "1reco", script, (), place / "out", jobs, Resources(memory_mb=100)
        )
        daemon = SharingDaemon(system, shared, system.submit(batch))
        daemon.poll()
        self.schedd.asked.clear()
        return daemon

    def asked(self, polled: Callable[[], object]) -> list[str]:
        """Return what the schedd was asked meanwhile."""
        before = len(self.schedd.asked)
        polled()
        return self.schedd.asked[before:]


@pytest.fixture
def world(tmp_path: Path, living: tuple[Identity, ...]) -> CampaignWorld:
    return CampaignWorld(tmp_path, living)


@pytest.fixture
def pair(world: CampaignWorld) -> tuple[SharingDaemon, SharingDaemon]:
    """Give two daemons that know of each other, each with two idle jobs and nothing due."""
    one, other = world.daemon(400, 401), world.daemon(500, 501)
    world.wait(INTERVAL_S)
    one.poll()
    other.poll()
    world.schedd.asked.clear()
    return one, other


def test_one_question_an_interval_is_for_all(world: CampaignWorld) -> None:
    daemons = [world.daemon(100 * n, 100 * n + 1) for n in (4, 5, 6)]
    together: list[list[str]] = []
    for _ in range(4):
        world.wait(INTERVAL_S)
        together.append(world.asked(lambda: [each.poll() for each in daemons]))
    # The first of a campaign does not know of the others yet.
    assert together[1:] == [["count_by_cluster"]] * 3


def test_what_is_told_is_who_waits_and_who_runs_and_of_when_that_is(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    world.schedd.run(500)
    one.poll()
    world.schedd.run(501)
    world.wait(20)
    tally = other.poll()
    assert (tally.idle, tally.running, round(tally.age_s)) == (1, 1, 20)
    assert world.schedd.asked == ["count_by_cluster"]
    world.wait(INTERVAL_S - 20)
    assert (other.poll().running, round(other.poll().age_s)) == (2, 0)


def test_alone_everything_is_as_without_sharing(world: CampaignWorld) -> None:
    def life(daemon: SharingDaemon) -> list[str]:
        first, second = (job["AutoIterRawFile"] for job in list(world.schedd.queue)[-2:])
        asked = []
        for event in (None, None, "run", "end", None, "hold", None):
            world.wait(INTERVAL_S)
            if event == "run":
                world.schedd.run(int(first))
            elif event == "end":
                world.schedd.end(int(first))
            elif event == "hold":
                world.schedd.hold(int(second), 13, "no input")
            asked += world.asked(lambda: daemon.system.fetch(daemon.submission))
            asked += world.asked(daemon.poll)
        return asked

    assert life(world.daemon(400, 401)) == life(world.daemon(500, 501, is_alone=True))


@pytest.mark.parametrize("what", ["hold", "end badly", "end well", "be removed"])
def test_who_has_more_to_learn_asks_for_himself_and_nobody_else_does(
    what: str, world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    if what == "hold":
        world.schedd.hold(500, 13, "no input")
    elif what == "be removed":
        world.schedd.job(500)["JobStatus"] = 3  # until its machine has confirmed it
    else:
        world.schedd.end(500, 40 if what == "end badly" else 0)
    assert world.asked(one.poll) == ["count_by_cluster"]
    assert "count" in world.asked(other.poll)
    problems = [each.number for each in other.poll().problems]
    assert problems == ([500] if what in {"hold", "end badly"} else [])
    world.wait(INTERVAL_S)
    assert world.asked(one.poll) == ["count_by_cluster"]
    assert "count" in world.asked(other.poll)  # as long as there is something to be done


@pytest.mark.parametrize("act", ["release", "remove"])
def test_an_answer_from_before_our_own_act_is_not_used(
    act: str, world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    one.poll()  # it is told of two idle jobs of the other one
    if act == "release":
        other.system.release(other.submission, {500})
    else:
        other.system.remove(other.submission, "not wanted", {500})
    assert world.asked(other.poll)[0] == "count"
    world.wait(AFTER_ACTION_S + 1)
    assert other.poll().idle == (2 if act == "release" else 1)


def test_an_answer_from_after_our_own_act_is_used(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    other.system.release(other.submission, {500})
    world.wait(INTERVAL_S)
    one.poll()
    assert world.asked(other.poll) == []


def test_an_answer_from_before_files_were_fetched_is_not_used(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.schedd.end(500)
    world.wait(INTERVAL_S)
    other.poll()
    world.wait(1)
    world.schedd.end(501)
    one.poll()  # it is told of both
    other.system.fetch(other.submission)
    world.wait(INTERVAL_S - 1)
    assert world.asked(other.poll)[0] == "count_by_cluster"
    assert other.poll().ended == 2


def test_who_misses_a_job_goes_on_looking_for_it(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    gone = world.schedd.job(500)
    world.schedd.queue.remove(gone)  # the history lags
    world.wait(INTERVAL_S)
    one.poll()
    assert other.poll().unknown == 1
    world.schedd.past.append(gone | {"JobStatus": 4, "ExitBySignal": False, "ExitCode": 40})
    world.wait(INTERVAL_S)
    one.poll()
    assert [each.number for each in other.poll().problems] == [500]


def test_a_call_that_failed_may_have_been_heard(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    one.poll()
    world.schedd.knows_us = False
    with pytest.raises(Exception, match="ticket"):
        other.system.remove(other.submission, "not wanted", {500})
    world.schedd.knows_us = True
    assert world.asked(other.poll) == ["count_by_cluster"]


def test_a_look_begins_with_what_others_were_told(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    world.schedd.hold(500, 13, "no input")
    one.poll()
    held = ["count", "query"]  # is its input on its way? why is it held?
    assert world.asked(other.poll) == [*held, "count", *held]  # by oneself another count
    assert [each.code for each in other.poll().problems] == [13]


def test_what_others_were_told_of_completed_jobs_is_not_used(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    world.schedd.end(500, 40)
    one.poll()
    assert world.asked(other.poll)[0] == "count"
    assert [each.exit_code for each in other.poll().problems] == [40]


@pytest.mark.parametrize(
    "lie",
    [
        {"total": 0}, {"total": -1}, {"total": 1, "idle": 1}, {"total": 9, "idle": 9},
        {"total": 2, "completed": 2}, {"total": 2, "held": 2}, {"total": 2, "removed": 1},
        {"total": 2, "idle": 9},
    ],
)  # fmt: skip
def test_counts_that_are_not_true_are_found_out_and_lose_no_job(
    lie: dict[str, int], world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    one.poll()
    page = world.pages / "ws1.json"
    whole = json.loads(page.read_text())
    nothing = dict.fromkeys(("total", "idle", "held", "completed", "removed"), 0)
    whole["answer"]["jobs"] = [[jobs, nothing | lie] for jobs, _ in whole["answer"]["jobs"]]
    page.write_text(json.dumps(whole))
    assert "count" in world.asked(other.poll)
    tally = other.poll()
    assert (tally.idle, tally.running, tally.held, tally.ended, tally.unknown) == (2, 0, 0, 0, 0)
    assert tally.problems == ()
    world.wait(INTERVAL_S)
    assert other.poll() == tally


def as_damaged(page: Path, how: str, world: CampaignWorld) -> None:
    """Spoil a page as it says; `foreign` ones are whole, but not for us."""
    whole = json.loads(page.read_text())
    if how == "half-written":
        page.write_bytes(page.read_bytes()[:-20])
    elif how == "garbage":
        page.write_bytes(b"\x00\xff" * 100)
    elif how == "another format":
        page.write_text(json.dumps({**whole, "more": 1}))
    elif how == "huge":
        page.write_text(json.dumps(whole) + " " * (1 << 20))
    elif how == "of the future":
        whole["answer"]["asked_at"] = world.seconds + 5
        page.write_text(json.dumps({**whole, "waits_for": []}))
    elif how == "not a number":
        page.write_text(page.read_text().replace(str(whole["answer"]["asked_at"]), "NaN"))
    elif how == "of another pool":
        page.write_text(json.dumps({**whole, "pool": "elsewhere"}))
    else:
        changes: dict[str, dict[str, object]] = {
            "of another boot": {"boot": "b"},
            "of the dead": {"started": 1},
            "of another container": {"space": "pid:[1]"},
        }
        changed = changes[how]
        page.write_text(json.dumps({**whole, "process": {**whole["process"], **changed}}))


@pytest.mark.parametrize(
    "how",
    [
        "half-written", "garbage", "another format", "huge", "of the future", "not a number",
        "of another pool", "of another boot", "of the dead", "of another container",
    ],
)  # fmt: skip
def test_a_page_that_is_not_as_it_should_be_is_as_if_it_were_not_there(
    how: str, world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    one.poll()
    as_damaged(world.pages / "ws1.json", how, world)
    world.schedd.run(500)
    assert world.asked(other.poll)[0] == "count"
    assert other.poll().running == 1


def test_an_answer_is_as_old_as_its_question(
    world: CampaignWorld,
    pair: tuple[SharingDaemon, SharingDaemon],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    one, other = pair
    count = world.schedd.count_by_cluster

    def slow(constraint: str) -> dict[int, QueueCounts]:
        answer = count(constraint)
        world.schedd.run(500)
        other.system.release(other.submission, {501})
        world.wait(40)
        return answer

    world.wait(INTERVAL_S)
    monkeypatch.setattr(world.schedd, "count_by_cluster", slow)
    one.poll()
    assert round(one.poll().age_s) == 40
    assert "count" in world.asked(other.poll)
    assert other.poll().running == 1


def test_an_answer_that_is_too_old_or_was_known_before_is_not_used(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    one.poll()
    world.wait(INTERVAL_S)
    assert world.asked(other.poll) == ["count_by_cluster"]  # and one's is an interval old
    assert world.asked(one.poll) == []
    world.wait(INTERVAL_S)
    assert world.asked(one.poll) == ["count_by_cluster"]


def test_where_the_schedd_cannot_tell_all_at_once_everybody_asks_and_it_is_not_tried_all_the_time(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, _ = pair
    world.schedd.run(400, 401)
    world.wait(INTERVAL_S)
    one.poll()
    world.schedd.cannot_group = True
    world.wait(INTERVAL_S)
    assert world.asked(one.poll) == ["count_by_cluster", "count"]
    world.wait(INTERVAL_S)
    assert world.asked(one.poll) == ["count"]
    world.schedd.cannot_group = False
    world.wait(NOT_AGAIN_S)
    assert world.asked(one.poll) == ["count_by_cluster"]


def test_now_and_then_everybody_looks_for_himself(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.schedd.run(400, 401, 500, 501)
    asked = []
    for _ in range(2 * (HEARD_AT_MOST + 1)):
        world.wait(INTERVAL_S)
        one.poll()
        asked.append(world.asked(other.poll))
    assert sum("count" in each for each in asked) == 2


def test_a_submission_is_looked_for_at_the_schedd_whatever_the_pages_say(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    one.poll()
    world.schedd.queue = [job for job in world.schedd.queue if job["ClusterId"] == 1]
    again, _ = world.system("ws2", world.living[0])
    assert again.find(other.submission.key) is None
    assert "ws2" in (world.pages / "ws1.json").read_text()


def test_a_daemon_that_was_started_again_looks_first(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    world.wait(INTERVAL_S)
    one.poll()
    again = replace(other, system=world.system("ws2", world.living[0])[0])
    assert "count" in world.asked(again.poll)


def test_what_others_were_told_wakes_a_daemon_once_when_it_is_due(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    assert not other.has_news()
    world.wait(INTERVAL_S)
    assert not other.has_news()  # nobody was told anything
    one.poll()
    world.wait(15)
    assert (other.has_news(), other.has_news()) == (True, False)
    assert world.asked(other.poll) == []
    world.wait(15)
    assert not other.has_news()


def test_the_event_log_knows_better_who_runs_and_who_has_ended(world: CampaignWorld) -> None:
    one, other = world.daemon(400, 401, spool=False), world.daemon(500, 501, spool=False)
    world.wait(INTERVAL_S)
    one.poll()
    other.poll()
    world.wait(INTERVAL_S)
    one.poll()
    (log,) = (world.root / "ws2/1reco/logs").parent.glob("logs")
    events = log / f"events_{other.submission.key.partition('@')[0]}.log"
    events.write_text("001 (2.000.000) begins\n")
    assert other.has_news()
    assert world.asked(other.poll) == []
    assert (other.poll().running, other.poll().idle, other.poll().age_s) == (1, 1, 0.0)
    world.wait(INTERVAL_S)
    one.poll()
    world.schedd.end(500)
    with events.open("a") as more:
        more.write("005 (2.000.000) ended\n")
    assert "count" in world.asked(other.poll)
    assert other.poll().ended == 1


def test_jobs_that_do_not_exist_yet_are_asked_for_by_oneself(world: CampaignWorld) -> None:
    one, other = (
        world.daemon(400, 401, spool=False, max_idle=2),
        world.daemon(500, 501, spool=False, max_idle=2),
    )
    for _ in range(3):
        world.wait(INTERVAL_S)
        assert "count" in world.asked(one.poll)
        assert "count" in world.asked(other.poll)


def test_pages_come_and_go_with_who_waits(
    world: CampaignWorld, pair: tuple[SharingDaemon, SharingDaemon]
) -> None:
    one, other = pair
    assert {path.name for path in world.pages.iterdir()} == {"ws1.json", "ws2.json"}
    other.system.retire(other.submission)
    world.wait(INTERVAL_S)
    assert world.asked(one.poll) == ["count"]  # nobody else is there
    assert one.shared is not None
    one.shared.close()
    assert {path.name for path in world.pages.iterdir()} == {"ws2.json"}


def test_what_a_killed_daemon_of_the_same_alignment_left_is_cleared_away(
    world: CampaignWorld,
) -> None:
    world.pages.mkdir()
    for name in (".ws1.json.abc.tmp", ".ws2.json.abc.tmp"):
        (world.pages / name).touch()
    one = world.daemon(400)
    world.wait(INTERVAL_S)
    one.poll()
    assert {path.name for path in world.pages.iterdir()} == {"ws1.json", ".ws2.json.abc.tmp"}


def test_a_place_that_cannot_be_written_costs_nothing(world: CampaignWorld) -> None:
    world.pages.write_text("a file, not a directory")
    one, other = world.daemon(400), world.daemon(500)
    for _ in range(3):
        world.wait(INTERVAL_S)
        assert world.asked(one.poll) == ["count"]
        assert world.asked(other.poll) == ["count"]


def test_an_answer_is_as_long_for_many_jobs_as_for_few(world: CampaignWorld) -> None:
    one, other = world.daemon(*range(1000, 1400)), world.daemon(500)
    for _ in range(3):
        world.wait(INTERVAL_S)
        one.poll()
        other.poll()
    assert (world.pages / "ws2.json").stat().st_size < 1500


def test_counts_of_each_cluster_are_those_of_a_summary() -> None:
    rows = [[7, 1, 3], [7, 2, 4], [7, 6, 1], [7, 7, 1], [7, 5, 2], [8, 4, 1], [8, 3, 5]]
    seven = QueueCounts(total=11, idle=3, held=2)
    assert by_cluster(rows) == {7: seven, 8: QueueCounts(total=6, completed=1, removed=5)}
    assert seven.running == 6


EVENTS = (
    "wait",
    "run",
    "end",
    "fail",
    "hold",
    "poll",
    "release",
    "remove",
    "fetch",
    "restart",
    "spoil",
)
Orders = list[tuple[str, int, int]]


@dataclass
class Orderings:
    """Daemons and a schedd in any order; after each poll the tally is compared with what was so."""

    world: CampaignWorld
    daemons: list[SharingDaemon] = field(default_factory=list)
    history: dict[int, list[tuple[float, tuple[int, int, int, int]]]] = field(default_factory=dict)
    acted_at: dict[int, float] = field(default_factory=dict)
    looked_at: dict[int, float] = field(default_factory=dict)

    def begin(self, spool: bool) -> None:
        self.spool = spool
        for which in range(3):
            numbers = range(100 * which, 100 * which + 3)
            self.daemons.append(self.world.daemon(*numbers, spool=spool))
            self.history[which] = [(0.0, (3, 0, 0, 0))]
            self.acted_at[which] = self.looked_at[which] = self.world.seconds
        self.note()

    def truth(self, which: int) -> tuple[int, int, int, int]:
        """Return how many are idle, running and held, and have ended."""
        mine = [j for j in self.world.schedd.queue if int(j["ClusterId"]) == which + 1]
        states = [j["JobStatus"] for j in mine]
        idle, running, held = (states.count(state) for state in (1, 2, 5))
        return idle, running, held, 3 - idle - running - held

    def note(self) -> None:
        for which in range(3):
            self.history[which].append((self.world.seconds, self.truth(which)))

    def do(self, what: str, which: int, number: int) -> None:
        self.world.wait(1)
        if what == "wait":
            self.world.wait(20 * (number + 1))
        elif what == "poll":
            self.poll(which)
        elif what in {"run", "end", "fail", "hold"}:
            self.happen(what, 100 * which + number)
        elif what in {"release", "remove", "fetch"}:
            self.act(what, which, 100 * which + number)
        elif what == "restart":
            process = self.world.living[(which + 1 + number) % LIVES]
            system, shared = self.world.system(f"ws{which + 1}", process, spool=self.spool)
            submission = self.daemons[which].submission
            self.daemons[which] = SharingDaemon(system, shared, submission)
        else:
            for page in self.world.pages.glob(f"ws{which + 1}.json"):
                page.write_bytes(page.read_bytes()[: 40 * number])
        self.note()

    def happen(self, what: str, raw: int) -> None:
        """Let something happen to a job in the pool, where that can be."""
        schedd = self.world.schedd
        states = {int(job["AutoIterRawFile"]): job["JobStatus"] for job in schedd.queue}
        if what == "run" and states.get(raw) == 1:
            schedd.run(raw)
        elif what != "run" and states.get(raw) in {1, 2}:
            if what == "hold":
                schedd.hold(raw, 13, "no input")
            else:
                schedd.end(raw, 40 if what == "fail" else 0)

    def act(self, what: str, which: int, raw: int) -> None:
        """Let a daemon do something with its jobs."""
        system, submission = self.daemons[which].system, self.daemons[which].submission
        if what == "release":
            system.release(submission, {raw})
        elif what == "remove":
            system.remove(submission, "not wanted", {raw})
        else:
            system.fetch(submission)
        self.acted_at[which] = self.world.seconds

    def poll(self, which: int) -> None:
        tallies: list[Tally] = []
        asked = self.world.asked(lambda: tallies.append(self.daemons[which].poll()))
        (tally,) = tallies
        as_of = self.world.seconds - tally.age_s
        if "count" in asked:
            self.looked_at[which] = as_of
        told = tally.idle, tally.running, tally.held, tally.ended + tally.unknown
        so = [truth for at, truth in self.history[which] if at <= as_of]
        assert told == so[-1]
        assert tally.age_s < INTERVAL_S
        is_others = abs(as_of - self.looked_at[which]) > 0.5
        assert not is_others or as_of > max(self.acted_at[which], self.looked_at[which])


EVENT = st.tuples(st.sampled_from(EVENTS), st.integers(0, 2), st.integers(0, 2))


@settings(max_examples=60, deadline=None)
@given(st.booleans(), st.lists(EVENT, max_size=60))
def test_in_any_order_what_a_poll_says_was_so_when_it_says(
    living: tuple[Identity, ...], spool: bool, events: Orders
) -> None:
    with TemporaryDirectory() as place:
        orderings = Orderings(CampaignWorld(Path(place), living))
        orderings.begin(spool)
        for event in events:
            orderings.do(*event)
        for raw in [int(job["AutoIterRawFile"]) for job in orderings.world.schedd.queue]:
            if orderings.world.schedd.job(raw)["JobStatus"] in {1, 2}:
                orderings.world.schedd.end(raw)
        orderings.world.wait(1)
        orderings.note()
        orderings.world.wait(INTERVAL_S)
        for which, daemon in enumerate(orderings.daemons):
            tally = daemon.poll()
            held = orderings.truth(which)[2]
            assert (tally.idle, tally.running, tally.held) == (0, 0, held)
