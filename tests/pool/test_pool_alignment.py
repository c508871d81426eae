"""The main job on a real pool: the same constants, to the byte, as on the local batch system."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest

from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from tests.pool.alignments import (
    DONE,
    FILES,
    ITERATIONS,
    LIMIT_S,
    Aligner,
    PoolAlignment,
    PoolDetector,
    auto_iter,
    jobs_of,
    with_hook,
)
from tests.pool.conftest import Mine, ScheddDaemon, wait_for

KILLS_OF_THE_DAEMON = 20
KILLS_OF_THE_SCHEDD = 3

both_ways = pytest.mark.parametrize("spool", ["true", "false"], ids=["spooled", "direct"])


@both_ways
def test_three_iterations_find_the_same_constants_to_the_byte(
    spool: str, on_the_pool: Aligner, reference: PoolAlignment, calls: ScheddProcess, mine: Mine
) -> None:
    alignment = on_the_pool(f"htcondor.spool={spool}")
    ran = alignment.run()
    assert ran.returncode in DONE, ran.stdout + ran.stderr
    assert len(alignment.constants()) == 2 * ITERATIONS
    assert alignment.constants() == reference.constants()
    jobs = jobs_of(alignment, calls)
    every = [(iteration, number) for iteration in range(1, ITERATIONS + 1) for number in FILES]
    assert sorted((job.iteration, job.number) for job in jobs) == every
    assert {job.starts for job in jobs} == {1}
    wait_for(lambda: calls.count(mine()).total == 0, "jobs were left in the queue")


@both_ways
def test_twenty_kills_of_the_daemon_and_three_of_the_schedd_change_nothing(
    *,
    spool: str,
    on_the_pool: Aligner,
    reference: PoolAlignment,
    calls: ScheddProcess,
    mine: Mine,
    schedd_daemon: ScheddDaemon,
    detector: PoolDetector,
    tmp_path: Path,
) -> None:
    # Jobs that take a while, so that all the kills fall into the alignment.
    slow = with_hook(detector, tmp_path, "sleep 6\n")
    alignment = on_the_pool(f"htcondor.spool={spool}", slow)
    seed = random.randrange(10_000)
    print(f"moments drawn with seed {seed}")
    moments = random.Random(seed)
    unlucky = set(moments.sample(range(KILLS_OF_THE_DAEMON), KILLS_OF_THE_SCHEDD))
    for life in range(KILLS_OF_THE_DAEMON):
        daemon = alignment.start()
        if life in unlucky:
            time.sleep(moments.uniform(0.0, 2.0))
            schedd_daemon.kill()
        kill_at_some_moment(daemon, moments.uniform(0.3, 2.4))
    ran = alignment.run()
    assert ran.returncode in DONE, ran.stdout + ran.stderr
    assert alignment.constants() == reference.constants()
    ran_in: dict[tuple[int, int], set[int]] = {}
    for job in jobs_of(alignment, calls):
        if job.has_run:
            ran_in.setdefault((job.iteration, job.attempt), set()).add(job.cluster)
    assert {iteration for iteration, _ in ran_in} == set(range(1, ITERATIONS + 1))
    assert {key: len(clusters) for key, clusters in ran_in.items()} == dict.fromkeys(ran_in, 1)
    wait_for(lambda: calls.count(mine()).total == 0, "an orphan was left in the queue")


def kill_at_some_moment(daemon: subprocess.Popen[bytes], after_s: float) -> None:
    """Kill a daemon in the middle of its work: one that has ended too soon proves nothing."""
    with pytest.raises(subprocess.TimeoutExpired):
        daemon.wait(after_s)
    daemon.send_signal(signal.SIGKILL)
    assert daemon.wait() == -signal.SIGKILL


def test_a_hung_schedd_is_waited_for_and_a_stop_is_obeyed_meanwhile(
    on_the_pool: Aligner, reference: PoolAlignment, schedd_daemon: ScheddDaemon
) -> None:
    alignment = on_the_pool("htcondor.call_timeout_s=5", iterations=1)
    schedd_daemon.stop()
    daemon = alignment.start()
    wait_for(lambda: bool(alignment.logged("trying again")), "the trouble is not told")
    (told, *_) = alignment.logged("trying again")
    assert re.search(r"failing since [-\d]+ \d\d:\d\d:\d\d: .* took longer", told["reason"])
    daemon.terminate()
    assert daemon.wait(timeout=30) == 143
    daemon = alignment.start()
    wait_for(lambda: len(alignment.logged("trying again")) >= 2)
    schedd_daemon.go_on()
    assert daemon.wait(timeout=LIMIT_S) in DONE
    assert alignment.logged("recovered")
    assert alignment.constants().items() <= reference.constants().items()


def test_one_reconstruction_is_submitted_and_fetched_by_hand(
    on_the_pool: Aligner, calls: ScheddProcess, reference: PoolAlignment
) -> None:
    alignment = on_the_pool("htcondor.spool=true")
    submitted = alignment.call(alignment.from_the_start("reco", "1"))
    assert submitted.returncode == 0, submitted.stdout + submitted.stderr
    status = alignment.status()
    assert (status["state"], status["daemon"]) == ("wait_reco", None)
    cluster = status["attempts"][0]["cluster"]
    completed = f"ClusterId == {cluster} && JobStatus == 4"
    wait_for(lambda: calls.count(completed).total == len(FILES))
    fetched = alignment.call(auto_iter("fetch", cluster, str(alignment.workspace)))
    assert fetched.stdout == "5 of 5 raw files are reconstructed\n"
    waited = alignment.call([*alignment.from_the_start("reco", "1"), "--wait"])
    assert waited.returncode == 0, waited.stdout + waited.stderr
    assert {job.cluster for job in jobs_of(alignment, calls)} == {int(cluster)}
    assert outputs(alignment, 1) == outputs(reference, 1)


def test_the_chain_by_hand_fetches_what_waits_with_the_schedd(
    on_the_pool: Aligner, calls: ScheddProcess, reference: PoolAlignment
) -> None:
    alignment = on_the_pool("htcondor.spool=true")
    for iteration in (1, 2):
        submitted = alignment.call(alignment.from_the_start("reco", str(iteration)))
        assert submitted.returncode == 0, submitted.stdout + submitted.stderr
        cluster = alignment.status()["attempts"][0]["cluster"]
        completed = f"ClusterId == {cluster} && JobStatus == 4"
        wait_for(lambda: calls.count(completed).total == len(FILES))  # noqa: B023
        status = alignment.status()
        assert (status["jobs"]["delivered"], status["jobs"]["running"]) == (0, 0)
        assert f"{len(FILES)} more jobs have ended" in status["remark"]
        chain = alignment.workspace / f"iter{iteration:02d}"
        solved = alignment.call(auto_iter("millepede", "-i", str(chain)))
        assert solved.returncode == 0, solved.stdout + solved.stderr
        assert "what-if" not in solved.stdout
        assert outputs(alignment, iteration) == outputs(reference, iteration)
    assert alignment.constants().items() <= reference.constants().items()


def outputs(alignment: PoolAlignment, iteration: int) -> set[str]:
    place = alignment.workspace / f"iter{iteration:02d}" / "2kfalignment"
    return {path.name for path in place.iterdir()}
