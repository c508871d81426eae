"""What every batch system promises: one test class, subclassed for memory, local and the pool.

A subclass gives `system` (the batch system), `settle` (let the world go on until a condition on the
tally holds) and says in `jobs_run` what a job does, as a shell script whose argument is its number.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auto_iter.alignment.model import Batch, Job, Resources, Submission, Tally, Trouble
from auto_iter.alignment.ports import BatchSystem

SCRIPT = """#!/bin/bash
number=${!#}  # the last argument: a direct job is told before it where to deliver
case $number in
    1*) echo "out of $number" > result_$number ;;
    2*) echo "bad luck" >&2; exit 3 ;;
    3*) kill -9 $$ ;;
    4*) sleep 600 & wait ;;
    5*) ;;
esac
"""
"""10-19 end well, 20-29 fail with exit code 3, 30-39 die of signal 9, 40-49 run for ever, 50-59 say
that all is well but leave no output (held)."""

Settle = Callable[[Submission, Callable[[Tally], bool]], Tally]


def make_batch(root: Path, key: str, *numbers: int, resources: Resources | None = None) -> Batch:
    """Return a batch of jobs that do what `SCRIPT` says for their numbers."""
    directory, deliver_to = root / "1reco", root / "2kfalignment"
    for each in (directory / "logs", deliver_to):
        each.mkdir(parents=True, exist_ok=True)
    script = directory / "job.sh"
    script.write_text(SCRIPT)
    script.chmod(0o755)
    constants = directory / "constants.txt"
    constants.write_text("constants\n")
    jobs = tuple(
        Job(number, (str(number),), f"result_{number}", f"011705/{number:05d}")
        for number in numbers
    )
    for job in jobs:
        (directory / job.directory).mkdir(parents=True, exist_ok=True)
    return Batch(
        key=key,
        directory=directory,
        executable=script,
        inputs=(constants,),
        deliver_to=deliver_to,
        jobs=jobs,
        resources=resources or Resources(),
    )


class BatchContract:
    """Subclass it, with fixtures `system` and `settle`."""

    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        return tmp_path

    def test_each_attempt_has_a_key_of_its_own_and_always_the_same(
        self, system: BatchSystem
    ) -> None:
        attempts = [(1, 1), (1, 2), (2, 1), (11, 1), (1, 11), (1, 1)]
        keys = [system.new_key(*attempt) for attempt in attempts]
        assert len(set(keys)) == 5
        assert keys[0] == keys[-1]

    def test_a_key_that_was_never_used_is_not_found(self, system: BatchSystem) -> None:
        assert system.find(system.new_key(1, 1)) is None

    def test_what_was_submitted_is_found_by_its_key(
        self, system: BatchSystem, root: Path, settle: Settle
    ) -> None:
        first, second = (system.new_key(1, attempt) for attempt in (1, 2))
        one = system.submit(make_batch(root, first, 10))
        two = system.submit(make_batch(root, second, 11, 12))
        assert (system.find(first), system.find(second)) == (one, two)
        assert (one.jobs, two.jobs, one.cluster == two.cluster) == (1, 2, False)
        for submission in (one, two):
            settle(submission, lambda tally: tally.is_over)

    def test_every_job_runs_once_and_each_end_is_told(
        self, system: BatchSystem, root: Path, settle: Settle
    ) -> None:
        submission = system.submit(make_batch(root, system.new_key(1, 1), 10, 11, 20, 30))
        tally = settle(submission, lambda tally: tally.is_over)
        assert (tally.idle, tally.running, tally.held, tally.ended) == (0, 0, 0, 4)
        found = [
            (each.number, each.trouble, each.exit_code, each.signal) for each in tally.problems
        ]
        assert found == [(20, Trouble.FAILED, 3, None), (30, Trouble.FAILED, None, 9)]

    def test_a_job_without_output_is_held_until_it_is_released(
        self, system: BatchSystem, root: Path, settle: Settle
    ) -> None:
        submission = system.submit(make_batch(root, system.new_key(1, 1), 10, 50))
        tally = settle(submission, lambda tally: tally.held == 1 and tally.ended == 1)
        (problem,) = tally.problems
        assert (problem.number, problem.trouble, problem.code) == (50, Trouble.HELD, 12)
        assert not tally.is_over
        system.release(submission, {50, 10})
        settle(submission, lambda tally: tally.held == 1 and tally.ended == 1)
        system.remove(submission, "enough", {50})
        tally = settle(submission, lambda tally: tally.is_over)
        assert [each.trouble for each in tally.problems] == [Trouble.REMOVED]

    def test_removing_ends_all_jobs_or_some(
        self, system: BatchSystem, root: Path, settle: Settle
    ) -> None:
        submission = system.submit(make_batch(root, system.new_key(1, 1), 40, 41, 42))
        settle(submission, lambda tally: tally.running > 0)
        system.remove(submission, "by test", {41})
        tally = settle(submission, lambda tally: tally.ended == 1)
        assert [(each.number, each.trouble) for each in tally.problems] == [(41, Trouble.REMOVED)]
        system.remove(submission, "by test")
        system.remove(submission, "by test")
        tally = settle(submission, lambda tally: tally.is_over)
        assert [each.trouble for each in tally.problems] == [Trouble.REMOVED] * 3
        assert all("by test" in each.reason for each in tally.problems)

    def test_an_ended_submission_stays_as_it_is(
        self, system: BatchSystem, root: Path, settle: Settle
    ) -> None:
        submission = system.submit(make_batch(root, system.new_key(1, 1), 10, 20))
        tally = settle(submission, lambda tally: tally.is_over)
        system.fetch(submission)
        system.release(submission, {10, 20})
        system.remove(submission, "too late")
        assert settle(submission, lambda tally: tally.is_over) == tally
        system.retire(submission)
