"""The local batch system with real processes: what the contract says, and what kill -9 leaves."""

from __future__ import annotations

import json
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import NoReturn

import pytest

from auto_iter.alignment.model import Batch, Resources, Submission, Tally, Trouble
from auto_iter.batch.local.limits import Limits
from auto_iter.batch.local.records import Ledger, Records, write_submission
from auto_iter.batch.local.starter import Starter
from auto_iter.batch.local.supervisor import SILENT_AFTER_S
from auto_iter.batch.local.system import LocalBatch
from auto_iter.errors import TransientError
from auto_iter.processes.identity import identify
from tests.support.batch_contract import BatchContract, Settle, make_batch

PATIENCE_S = 20.0
ROOT = Path(__file__).parents[2]


def open_batch(root: Path, slots: int = 2, grace_s: float = 0.3) -> LocalBatch:
    """Return the batch system of a workspace, as a daemon that has just started sees it."""
    return LocalBatch(
        root / "batch",
        "ws",
        now=time.time,
        rng=random.Random(),
        limits=Limits(slots=slots, grace_s=grace_s),
    )


def settled(system: LocalBatch, submission: Submission, until: Callable[[Tally], bool]) -> Tally:
    """Wait as the daemon does until a tally is as it should be."""
    deadline = time.monotonic() + PATIENCE_S
    while not until(tally := system.poll(submission)):
        assert time.monotonic() < deadline, tally
        select.select(list(system.watch([submission])), [], [], 1.0)
    return tally


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def with_script(batch: Batch, text: str) -> Batch:
    """Return the batch with another executable."""
    batch.executable.write_text(f"#!/bin/bash\n{text}\n")
    return batch


def events(root: Path, cluster: str) -> list[dict[str, object]]:
    lines = (root / "batch" / cluster / "journal").read_text().split("\n")
    return [json.loads(line) for line in lines if line]


def starters(root: Path, cluster: str) -> dict[int, int]:
    """Return the starter of each job that was started."""
    found = {}
    for event in events(root, cluster):
        if event["event"] == "started":
            starter = event["starter"]
            assert isinstance(starter, dict)
            found[int(str(event["job"]))] = int(starter["pid"])
    return found


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture
def system(tmp_path: Path) -> Iterator[LocalBatch]:
    system = open_batch(tmp_path)
    yield system
    for cluster in range(1, 9):
        if (tmp_path / "batch" / str(cluster)).exists():
            system.remove(Submission("", str(cluster), 0, 0.0), "the test is over")
    system.close()


class TestLocalBatch(BatchContract):
    @pytest.fixture
    def settle(self, system: LocalBatch) -> Settle:
        return lambda submission, until: settled(system, submission, until)


def test_outputs_and_logs_lie_where_people_look(system: LocalBatch, tmp_path: Path) -> None:
    batch = make_batch(tmp_path, "key", 10)
    with_script(
        batch, 'cat constants.txt; pwd >&2; touch "$_CONDOR_SCRATCH_DIR/x"; echo 1 > result_$1'
    )
    settled(system, system.submit(batch), lambda tally: tally.is_over)
    logs, sandbox = batch.directory / "logs", batch.directory / "011705/00010"
    assert (batch.deliver_to / "result_10").read_text() == "1\n"
    assert (logs / "reco_00010.out").read_text() == "constants\n"
    assert (logs / "reco_00010.err").read_text() == f"{sandbox}\n"
    assert list(sandbox.iterdir()) == []
    log = (logs / "reco_00010.log").read_text()
    assert [line.split()[2] for line in log.splitlines()] == ["submitted", "executing", "ended:"]


def test_no_more_jobs_run_than_there_are_slots_in_all_submissions(
    system: LocalBatch, tmp_path: Path
) -> None:
    busy = tmp_path / "busy"
    busy.mkdir()
    script = (
        f"touch {busy}/$1; ls {busy} | wc -l >> {tmp_path}/counts; sleep 0.1; rm {busy}/$1; "
        "touch result_$1"
    )
    submissions = []
    for attempt, numbers in enumerate(([10, 11, 12, 13], [14, 15, 16, 17])):
        batch = with_script(make_batch(tmp_path / str(attempt), str(attempt), *numbers), script)
        submissions.append(system.submit(batch))
    for submission in submissions:
        settled(system, submission, lambda tally: tally.is_over)
    counts = [int(line) for line in (tmp_path / "counts").read_text().split()]
    assert (len(counts), max(counts)) == (8, 2)


def test_submitting_twice_under_a_key_makes_one_submission(
    system: LocalBatch, tmp_path: Path
) -> None:
    batch = with_script(
        make_batch(tmp_path, "key", 10), f"echo >> {tmp_path}/runs; touch result_$1"
    )
    first = system.submit(batch)
    assert open_batch(tmp_path).submit(batch) == first
    settled(system, first, lambda tally: tally.is_over)
    assert (tmp_path / "runs").read_text() == "\n"


SUBMITTER = """
import sys, pathlib
sys.path[:0] = [{root!r}]
from tests.support.batch_contract import make_batch
from tests.integration.test_local_batch import open_batch, with_script
root = pathlib.Path({workspace!r})
system = open_batch(root)
batch = with_script(make_batch(root, "key", *range(10, 16)), {script!r})
submission = system.submit(batch)
print(submission.cluster, flush=True)
input()
"""


def test_jobs_survive_the_kill_of_who_submitted_and_are_adopted(
    system: LocalBatch, tmp_path: Path
) -> None:
    script = f"echo $1 >> {tmp_path}/runs; sleep 0.2; touch result_$1"
    text = SUBMITTER.format(root=str(ROOT), workspace=str(tmp_path), script=script)
    with subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT,
        start_new_session=True,
    ) as submitter:  # fmt: skip
        assert submitter.stdout is not None
        submitter.stdout.readline()
        wait_for((tmp_path / "runs").exists)
        os.killpg(submitter.pid, signal.SIGKILL)
    found = system.find("key")
    assert found is not None
    tally = settled(system, found, lambda tally: tally.is_over)
    assert (tally.ended, tally.problems) == (6, ())
    assert sorted((tmp_path / "runs").read_text().split()) == [str(n) for n in range(10, 16)]


def test_killed_at_any_moment_of_submitting_there_is_one_submission_or_none(
    tmp_path: Path,
) -> None:
    text = SUBMITTER.format(root=str(ROOT), workspace="{}", script="touch result_$1")
    delays = random.Random(1)
    for attempt in range(6):
        root = tmp_path / str(attempt)
        root.mkdir()
        script = text.replace("'{}'", repr(str(root)))
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, cwd=ROOT
        ) as one:
            wait_for((root / "1reco").exists)
            time.sleep(delays.random() * 0.03)
            one.kill()
        system = open_batch(root)
        submission = system.find("key") or system.submit(make_batch(root, "key", *range(10, 16)))
        assert settled(system, submission, lambda tally: tally.is_over).ended == 6
        assert [path.name for path in (root / "batch").iterdir() if path.name.isdigit()] == ["1"]
        started = [event["job"] for event in events(root, "1") if event["event"] == "started"]
        assert sorted(map(str, started)) == [str(n) for n in range(10, 16)]
        system.close()


def supervisor(root: Path) -> int:
    """Return the supervisor's pid."""
    return int((root / "batch/supervisor.lock").read_text().split()[0])


def test_a_killed_supervisor_is_replaced_and_no_job_is_lost_or_runs_twice(
    system: LocalBatch, tmp_path: Path
) -> None:
    batch = make_batch(tmp_path, "key", *range(10, 18))
    with_script(batch, f"echo $1 >> {tmp_path}/runs; sleep 0.15; touch result_$1")
    submission = system.submit(batch)
    kills = 0
    for jobs in (1, 3, 5):
        settled(system, submission, lambda tally, jobs=jobs: tally.ended >= jobs)  # type: ignore[misc]
        with suppress(ProcessLookupError):  # nobody has missed it yet, or all jobs have begun
            os.kill(supervisor(tmp_path), signal.SIGKILL)
            kills += 1
    assert kills
    tally = settled(system, submission, lambda tally: tally.is_over)
    assert (tally.ended, tally.problems) == (8, ())
    assert sorted((tmp_path / "runs").read_text().split()) == [str(n) for n in range(10, 18)]


def test_the_next_supervisor_ends_and_weighs_jobs_that_it_did_not_start(
    system: LocalBatch, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    hog = f"{sys.executable} -c 'import time; x = bytearray(80 << 20); time.sleep(60)'"
    text = f"[ $1 = 40 ] && sleep 600; until [ -e {seen} ]; do sleep 0.01; done; {hog}"
    batch = with_script(make_batch(tmp_path, "key", 40, 41), text)
    submission = system.submit(replace(batch, resources=Resources(memory_mb=50)))
    settled(system, submission, lambda tally: tally.running == 2)
    killed = supervisor(tmp_path)
    os.kill(killed, signal.SIGKILL)
    seen.touch()
    (problem,) = settled(system, submission, lambda tally: tally.held == 1).problems
    assert (problem.number, problem.code) == (41, 34)
    assert supervisor(tmp_path) != killed
    system.remove(submission, "by test")
    assert system.poll(submission).is_over


def test_a_job_whose_starter_was_killed_is_lost_and_nothing_of_it_goes_on(
    system: LocalBatch, tmp_path: Path
) -> None:
    pids = tmp_path / "pids"
    batch = with_script(
        make_batch(tmp_path, "key", 40), f"setsid sleep 600 & echo $! $$ > {pids}; wait"
    )
    submission = system.submit(batch)
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 2)
    settled(system, submission, lambda tally: tally.running == 1)
    os.kill(starters(tmp_path, submission.cluster)[40], signal.SIGKILL)
    (problem,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert (problem.number, problem.trouble) == (40, Trouble.LOST)
    assert not any(alive(int(pid)) for pid in pids.read_text().split())


def test_a_supervisor_that_cannot_start_is_told_and_tried_again(
    system: LocalBatch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "psutil.py"
    broken.write_text("raise ImportError('the installation is broken')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(TransientError, match=r"installation is broken \(see .*supervisor\.log"):
        system.submit(make_batch(tmp_path, "key", 10))
    broken.unlink()
    found = system.find("key")
    assert found is not None
    assert settled(system, found, lambda tally: tally.is_over).problems == ()


def test_a_submission_that_comes_while_the_supervisor_leaves_is_not_left_alone(
    tmp_path: Path,
) -> None:
    """Whoever submitted it may be gone at once, and never look again."""
    system = open_batch(tmp_path)
    for number in range(10, 20):
        system.submit(make_batch(tmp_path, str(number), number))
        time.sleep(0.05 + 0.004 * (number - 10))  # a job takes about as long
    system.close()
    last = Records(tmp_path / "batch" / "10")
    wait_for(lambda: any(event["event"] == "ended" for event in last.read(0)[0]))
    assert len(list((tmp_path / "2kfalignment").iterdir())) == 10


def test_what_the_previous_version_left_running_is_taken_over(
    system: LocalBatch, tmp_path: Path
) -> None:
    """It had a queue process for each submission; its starters had the same records."""
    root = tmp_path / "batch" / "1"
    root.mkdir(parents=True)
    write_submission(root, make_batch(tmp_path, "key", 10, 11), "marker", 0.0)
    queue, starter = (subprocess.Popen(["sleep", "600"]) for _ in range(2))
    (root / "queue.lock").write_text(json.dumps(asdict(identify(queue.pid))))
    started = {"event": "started", "job": 10, "run": 1, "starter": asdict(identify(starter.pid))}
    (root / "journal").write_text(f"{json.dumps(started)}\n")
    submission = Submission("key", "1", 2, 0.0)
    tally = settled(system, submission, lambda tally: tally.ended == 1)
    assert (tally.running, tally.problems) == (1, ())
    assert queue.wait(PATIENCE_S) == -signal.SIGKILL
    starter.kill()
    starter.wait()
    (problem,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert (problem.number, problem.trouble) == (10, Trouble.LOST)
    assert system.find("key") == submission


def abroad(root: Path, cluster: str, job: int, pid: int = 1) -> Path:
    """Have a job claimed by another machine; return the sign of life that its starter gives."""
    records = Records(root / "batch" / cluster)
    starter = {"pid": pid, "started": 1, "boot": "b2", "host": "far", "machine": "m2", "space": "s"}
    sign = records.sign_of_life(job)
    sign.touch()
    records.append({"event": "started", "job": job, "run": 1, "starter": starter})
    return sign


@pytest.fixture
def far(tmp_path: Path) -> Iterator[tuple[LocalBatch, Submission, Path]]:
    """Return a batch system, a submission of one job that runs on another machine, and its sign."""
    system = open_batch(tmp_path, slots=1)
    busy = make_batch(tmp_path / "busy", "busy", 40)
    blocking = system.submit(busy)
    settled(system, blocking, lambda tally: tally.running == 1)
    submission = system.submit(make_batch(tmp_path, "key", 10))
    yield system, submission, abroad(tmp_path, submission.cluster, 10)
    system.remove(blocking, "the test is over")
    system.close()


def test_a_job_elsewhere_runs_while_it_gives_signs_of_life_and_is_lost_then(
    far: tuple[LocalBatch, Submission, Path],
) -> None:
    system, submission, sign = far
    assert system.poll(submission).running == 1
    long_ago = time.time() - SILENT_AFTER_S - 1
    os.utime(sign, (long_ago, long_ago))
    (problem,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert problem.trouble is Trouble.LOST
    assert "far gave no sign of life for 30 minutes" in problem.reason


def test_jobs_of_a_machine_that_is_gone_are_lost_on_request(
    far: tuple[LocalBatch, Submission, Path],
) -> None:
    system, submission, _sign = far
    with pytest.raises(TransientError, match=r"run on far.*auto-iter stop --lost far"):
        system.remove(submission, "by test")
    assert system.declare_lost("near") == 0
    assert system.declare_lost("far") == 1
    (problem,) = system.poll(submission).problems
    assert (problem.trouble, problem.reason) == (Trouble.LOST, "far was declared gone")
    assert system.declare_lost("far") == 0


def _start_and_exit(ledger: Ledger) -> NoReturn:
    """Go on as what a supervisor forks for the first job."""
    try:
        starter = Starter(ledger, ledger.submitted.batch.jobs[0], Limits(grace_s=0.1))
        if starter.claim():
            starter.run()
    except BaseException:
        os._exit(1)
    os._exit(0)


def test_of_two_starters_of_a_job_one_runs_it(system: LocalBatch, tmp_path: Path) -> None:
    """As after a supervisor that was killed just when it had forked one."""
    batch = with_script(make_batch(tmp_path, "key", 10), f"echo >> {tmp_path}/runs; sleep 0.5")
    root = tmp_path / "batch" / "1"
    root.mkdir(parents=True)
    write_submission(root, batch, "marker", 0.0)
    ledger = Ledger.of(root)
    two = [os.fork() or _start_and_exit(ledger) for _ in range(2)]
    assert [os.waitpid(starter, 0)[1] for starter in two] == [0, 0]
    assert (tmp_path / "runs").read_text() == "\n"
    assert [event["event"] for event in events(tmp_path, "1")].count("started") == 1
    system.close()


def test_a_starter_that_was_given_up_brings_nothing_home(
    system: LocalBatch, tmp_path: Path
) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    batch = with_script(make_batch(tmp_path, "key", 10), f"cat {go}; touch result_$1")
    submission = system.submit(batch)
    settled(system, submission, lambda tally: tally.running == 1)
    records = Records(tmp_path / "batch" / submission.cluster)
    records.append({"event": "lost", "job": 10, "reason": "given up"})
    starter = starters(tmp_path, submission.cluster)[10]
    go.write_text("go")
    wait_for(lambda: not alive(starter))
    assert list(batch.deliver_to.iterdir()) == []
    assert [each.trouble for each in system.poll(submission).problems] == [Trouble.LOST]


@pytest.mark.parametrize("where", ["copyfile", "mkdir"])
def test_a_disk_in_trouble_costs_a_job_time_and_no_hold(
    system: LocalBatch, tmp_path: Path, where: str
) -> None:
    """`sitecustomize` makes the starter's disk refuse twice; nothing else notices."""
    trouble = tmp_path / "trouble"
    trouble.mkdir()
    (trouble / "sitecustomize.py").write_text(
        FAULTY.format(where=where, count=str(tmp_path / "count"))
    )
    batch = make_batch(tmp_path, "key", 10)
    os.environ["PYTHONPATH"] = str(trouble)
    try:
        tally = settled(system, system.submit(batch), lambda tally: tally.is_over)
    finally:
        del os.environ["PYTHONPATH"]
    assert (tally.ended, tally.problems) == (1, ())
    assert (batch.deliver_to / "result_10").read_text() == "out of 10\n"
    log = (batch.directory / "logs/reco_00010.log").read_text()
    assert "waits:" in log
    assert (tmp_path / "count").read_text() == "xx"


FAULTY = """
import errno, os, pathlib, shutil, sys
if "local.supervisor" in " ".join(sys.orig_argv):
    def refusing(real, is_meant):
        def call(path, *more, **options):
            with open({count!r}, "a+") as count:
                count.seek(0)
                if is_meant(path) and len(count.read()) < 2:
                    count.write("x")
                    raise OSError(errno.EIO, "Input/output error", str(path))
            return real(path, *more, **options)
        return call
    if {where!r} == "mkdir":
        os.mkdir = refusing(os.mkdir, lambda path: ".scratch" in str(path))
    else:
        os.replace = refusing(os.replace, lambda path: "result_" in str(path))
        os.rename = refusing(os.rename, lambda path: "result_" in str(path))
        shutil.copyfile = refusing(shutil.copyfile, lambda path: "result_" in str(path))
"""


def test_a_machine_that_shuts_down_loses_its_jobs_and_says_so(
    system: LocalBatch, tmp_path: Path
) -> None:
    submission = system.submit(make_batch(tmp_path, "key", 40))
    settled(system, submission, lambda tally: tally.running == 1)
    os.kill(starters(tmp_path, submission.cluster)[40], signal.SIGTERM)
    (problem,) = settled(system, submission, lambda tally: tally.is_over).problems
    assert (problem.trouble, "machine go down" in problem.reason) == (Trouble.LOST, True)


def test_removing_kills_whole_trees_whatever_they_do(system: LocalBatch, tmp_path: Path) -> None:
    pids = tmp_path / "pids"
    stubborn = f"trap '' TERM; echo $BASHPID >> {pids}; while :; do sleep 600; done"
    script = (
        f"({stubborn}) & setsid bash -c '(setsid sleep 601 & echo $! >> {pids})' & "
        f"env -i setsid -f sh -c 'echo $$ >> {pids}; exec sleep 602'; echo $$ >> {pids}; wait"
    )
    submission = system.submit(with_script(make_batch(tmp_path, "key", 40), script))
    wait_for(lambda: pids.exists() and len(pids.read_text().split()) == 4)
    system.remove(submission, "by test")
    assert not any(alive(int(pid)) for pid in pids.read_text().split())
    (problem,) = system.poll(submission).problems
    assert (problem.trouble, problem.reason) == (Trouble.REMOVED, "by test")


def test_what_a_job_leaves_running_ends_with_it(system: LocalBatch, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"setsid sleep 600 & echo $! > {pid}; touch result_$1"
    submission = system.submit(with_script(make_batch(tmp_path, "key", 10), script))
    settled(system, submission, lambda tally: tally.is_over)
    assert not alive(int(pid.read_text()))


def test_a_job_above_its_memory_is_held_and_released_with_more(
    system: LocalBatch, tmp_path: Path
) -> None:
    # It holds on to its memory until it has been held for it, however late that is seen.
    seen = tmp_path / "seen"
    hog = f"{sys.executable} -c 'import time; x = bytearray(80 << 20); time.sleep(60)'"
    batch = with_script(make_batch(tmp_path, "key", 10), f"[ -e {seen} ] || {hog}; touch result_$1")
    submission = system.submit(replace(batch, resources=Resources(memory_mb=50)))
    (problem,) = settled(system, submission, lambda tally: tally.held == 1).problems
    seen.touch()
    assert (problem.trouble, problem.code) == (Trouble.HELD, 34)
    assert (problem.memory_mb or 0) > 50
    assert "above its limit of 50 MB" in problem.reason
    system.release(submission, {10}, Resources(memory_mb=400))
    tally = settled(system, submission, lambda tally: tally.is_over)
    assert (tally.ended, tally.problems) == (1, ())


def test_a_job_that_is_known_to_need_more_memory_has_it_from_the_start(
    system: LocalBatch, tmp_path: Path
) -> None:
    wait = "import time; x = bytearray(80 << 20); time.sleep(2.5)"  # seen by the watcher twice
    batch = with_script(
        make_batch(tmp_path, "key", 10), f'{sys.executable} -c "{wait}"; touch result_$1'
    )
    jobs = (replace(batch.jobs[0], memory_mb=400),)
    submission = system.submit(replace(batch, jobs=jobs, resources=Resources(memory_mb=50)))
    tally = settled(system, submission, lambda tally: tally.held == 1 or tally.is_over)
    assert (tally.ended, tally.problems) == (1, ())


def test_a_job_above_its_time_is_held(system: LocalBatch, tmp_path: Path) -> None:
    batch = make_batch(tmp_path, "key", 40, resources=Resources(time_limit_s=0.3))
    submission = system.submit(batch)
    (problem,) = settled(system, submission, lambda tally: tally.held == 1).problems
    assert (problem.code, problem.reason) == (46, "ran longer than its time limit of 0.3 s")


def test_an_executable_that_cannot_be_run_is_held(system: LocalBatch, tmp_path: Path) -> None:
    batch = make_batch(tmp_path, "key", 10)
    batch.executable.unlink()
    (problem,) = settled(system, system.submit(batch), lambda tally: tally.held == 1).problems
    assert (problem.code, problem.subcode) == (6, 2)


def test_a_workspace_can_be_moved_between_submission_and_end(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.mkdir()
    first = open_batch(before)
    submission = first.submit(make_batch(before, "key", 10, 20))
    settled(first, submission, lambda tally: tally.is_over)
    first.close()
    before.rename(after)
    moved = open_batch(after)
    assert moved.find("key") == submission
    assert [each.number for each in moved.poll(submission).problems] == [20]


def test_the_daemon_is_woken_by_the_end_of_a_job(system: LocalBatch, tmp_path: Path) -> None:
    go = tmp_path / "go"
    os.mkfifo(go)
    script = f"cat {go}; touch result_$1"
    submission = system.submit(with_script(make_batch(tmp_path, "key", 10), script))
    settled(system, submission, lambda tally: tally.running == 1)
    descriptors = list(system.watch([submission]))
    assert not select.select(descriptors, [], [], 0)[0]
    assert not system.has_news([submission])
    go.write_text("go")
    assert select.select(descriptors, [], [], PATIENCE_S)[0]
    settled(system, submission, lambda tally: tally.is_over)


def test_a_half_written_event_is_ignored(system: LocalBatch, tmp_path: Path) -> None:
    submission = system.submit(make_batch(tmp_path, "key", 10))
    settled(system, submission, lambda tally: tally.is_over)
    with (tmp_path / "batch/1/journal").open("a") as journal:
        journal.write('\n{"event": "los')
    assert open_batch(tmp_path).poll(submission).ended == 1


def test_a_disk_that_refuses_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / "batch").write_text("a file where the records should be")
    with pytest.raises(TransientError, match="local batch system"):
        open_batch(tmp_path).submit(make_batch(tmp_path, "key", 10))
