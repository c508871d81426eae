from __future__ import annotations

import pytest

from auto_iter.alignment.model import Problem, Submission, Tally, Trouble
from tests.support.batch_contract import BatchContract, Settle
from tests.support.fakes import MemoryBatch
from tests.support.twins import FrozenClock


class TestMemoryBatch(BatchContract):
    @pytest.fixture
    def system(self) -> MemoryBatch:
        return MemoryBatch(FrozenClock())

    @pytest.fixture
    def settle(self, system: MemoryBatch) -> Settle:
        def play(submission: Submission, until: object) -> Tally:
            del until
            for number in sorted(system.submissions[submission.cluster].idle):
                system.start(submission, number)
                _play(system, submission, number)
            return system.poll(submission)

        return play


def _play(system: MemoryBatch, submission: Submission, number: int) -> None:
    match number // 10:
        case 1:
            system.end(submission, number)
        case 2:
            system.end(submission, number, Problem(number, Trouble.FAILED, "", exit_code=3))
        case 3:
            system.end(submission, number, Problem(number, Trouble.FAILED, "", signal=9))
        case 5:
            system.hold(submission, Problem(number, Trouble.HELD, "no output", code=12))
