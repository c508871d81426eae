"""Idle jobs that no machine takes are told of, with the reason, and asked about at little cost."""

from __future__ import annotations

import time
from pathlib import Path

from auto_iter.alignment.model import Batch, Job, Resources, Submission
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.batch.htcondor.unmatched import ASK_EVERY_S
from auto_iter.config.batch import HTCondor
from tests.support.schedd_twin import ScheddTwin
from tests.support.twins import FrozenClock


class Pool:
    """Three direct jobs of so much memory, on a schedd whose jobs have been idle for years."""

    def __init__(self, root: Path, memory_mb: int) -> None:
        self.schedd, self.clock = ScheddTwin(), FrozenClock()
        self.system = HTCondorBatch(
            "ws", HTCondor(spool=False), self.schedd, records=root, monotonic=self.clock.now
        )
        script = root / "job.sh"
        script.touch()
        jobs = tuple(Job(number, (), f"out_{number}") for number in (400, 401, 402))
        self.submission: Submission = self.system.submit(
            Batch(
                key=self.system.new_key(1, 1),
                directory=root,
                executable=script,
                inputs=(),
                deliver_to=root,
                jobs=jobs,
                resources=Resources(memory_mb=memory_mb),
            )
        )

    def unmatched(self, after_s: float = ASK_EVERY_S) -> str:
        self.clock.seconds += after_s
        return self.system.poll(self.submission).unmatched


def test_more_memory_than_any_machine_has_is_told_with_what_to_lower(tmp_path: Path) -> None:
    pool = Pool(tmp_path, memory_mb=900_000)
    assert pool.unmatched(0) == ""
    said = pool.unmatched()
    assert said.startswith("no machine has taken 3 idle jobs since ")
    assert "(900000 MB of memory)" in said
    assert "lower reco.memory_mb" in said
    pool.schedd.machine["TotalSlotMemory"] = 1_000_000  # somebody has brought one
    assert "better-analyze 1.0" in pool.unmatched()


def test_where_a_machine_is_large_enough_htcondor_is_quoted(tmp_path: Path) -> None:
    pool = Pool(tmp_path, memory_mb=1000)
    for number in (400, 401, 402):
        pool.schedd.job(number)["LastRejMatchReason"] = "no match found"
    assert "HTCondor says `no match found`; the pool may be busy" in pool.unmatched()
    pool.schedd.run(400, 401, 402)
    assert pool.unmatched(60) == ""


def test_a_pool_may_be_busy_for_two_hours_but_a_job_that_fits_nowhere_is_told_of(
    tmp_path: Path,
) -> None:
    for memory_mb, is_told in ((1000, False), (900_000, True)):
        pool = Pool(tmp_path, memory_mb)
        for job in pool.schedd.queue:
            job["EnteredCurrentStatus"] = int(time.time()) - 3600
        assert bool(pool.unmatched()) is is_told


def test_jobs_that_were_matched_once_or_wait_since_just_now_are_no_trouble(tmp_path: Path) -> None:
    pool = Pool(tmp_path, memory_mb=1000)
    pool.schedd.job(400)["NumJobMatches"] = 1
    for number in (401, 402):
        pool.schedd.job(number)["EnteredCurrentStatus"] = 4_000_000_000
    assert pool.unmatched() == ""


def test_the_schedd_is_asked_every_ten_minutes_and_the_pool_once(tmp_path: Path) -> None:
    pool = Pool(tmp_path, memory_mb=1000)
    for _ in range(60):
        pool.unmatched(60.0)
    assert pool.schedd.asked.count("has_machine") == 1
    assert pool.schedd.asked.count("query") <= 8
