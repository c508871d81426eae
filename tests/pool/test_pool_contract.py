"""HTCondor keeps the promises of every batch system, spooled and direct."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auto_iter.alignment.model import Submission, Tally, Trouble
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.htcondor.system import HTCondorBatch
from tests.pool.conftest import Opener, settled
from tests.support.batch_contract import BatchContract, Settle, make_batch


class HTCondorContract(BatchContract):
    """What both ways of submitting share."""

    @pytest.fixture
    def settle(self, system: HTCondorBatch) -> Settle:
        def until(submission: Submission, condition: Callable[[Tally], bool]) -> Tally:
            return settled(system, submission, condition)

        return until

    def test_a_job_without_output_is_held_until_it_is_released(
        self, system: BatchSystem, root: Path, settle: Settle
    ) -> None:
        """Instead, here: it ends. A list of outputs would hold jobs that failed as well."""
        submission = system.submit(make_batch(root, system.new_key(1, 1), 10, 50))
        tally = settle(submission, lambda tally: tally.is_over)
        system.fetch(submission)
        assert tally.ended == 2


class TestSpooled(HTCondorContract):
    """Files travel through the schedd."""

    @pytest.fixture
    def system(self, open_batch: Opener) -> HTCondorBatch:
        return open_batch(spool=True)

    def test_a_job_that_ended_well_without_output_is_a_problem_once_fetched(
        self, system: HTCondorBatch, tmp_path: Path
    ) -> None:
        submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), 10, 50))
        settled(system, submission, lambda tally: tally.is_over)
        system.fetch(submission)
        (problem,) = system.poll(submission).problems
        assert (problem.number, problem.trouble, problem.exit_code) == (50, Trouble.FAILED, 0)
        assert "left no output" in problem.reason
        assert (tmp_path / "2kfalignment" / "result_10").is_file()


class TestDirect(HTCondorContract):
    """Jobs share our disk."""

    @pytest.fixture
    def system(self, open_batch: Opener) -> HTCondorBatch:
        return open_batch(spool=False)
