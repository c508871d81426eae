"""Many jobs: those that come into being one after the other, and limits that sites set."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.errors import LimitError, TransientError
from tests.pool.alignments import DONE, FILES, Aligner, PoolAlignment, jobs_of
from tests.pool.conftest import Opener, settled
from tests.support.batch_contract import make_batch

WELL = range(10, 20)


def test_jobs_that_do_not_exist_yet_are_counted_as_idle(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=False, max_idle=2)
    submission = system.submit(make_batch(tmp_path, system.new_key(1, 1), *WELL))
    # those that have started by now made room for others
    assert calls.count(f"ClusterId == {submission.cluster}").total < len(WELL)
    tally = system.poll(submission)
    assert tally.idle + tally.running + tally.ended == len(WELL)
    tally = settled(system, submission, lambda tally: tally.is_over)
    assert (tally.ended, tally.problems) == (len(WELL), ())


def test_too_many_jobs_in_one_submission_say_which_setting_helps(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=False)
    batch = make_batch(tmp_path, system.new_key(1, 1), *range(12_001))
    with pytest.raises(LimitError, match=r"fewer jobs.*htcondor.max_jobs_per_submission") as error:
        system.submit(batch)
    assert error.value.is_for_good
    assert calls.count("true").total == 0


def test_raw_files_go_in_in_portions_where_the_site_wants_that(
    on_the_pool: Aligner, reference: PoolAlignment, calls: ScheddProcess
) -> None:
    alignment = on_the_pool(
        "htcondor.spool=true",
        "htcondor.max_jobs_per_submission=2",
        "htcondor.max_jobs_in_queue=4",
        iterations=1,
    )
    ran = alignment.run()
    assert ran.returncode in DONE, ran.stdout + ran.stderr
    portions: dict[int, list[int]] = {}
    for job in jobs_of(alignment, calls):
        portions.setdefault(job.attempt, []).append(job.number)
    assert sorted(map(sorted, portions.values())) == [[400, 401], [402, 403], [404]]
    name = "iter01/3millepede/inputforalign.txt"
    assert alignment.constants()[name] == reference.constants()[name]
    assert len(FILES) == sum(map(len, portions.values()))


def test_without_a_credential_nothing_is_submitted(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(send_credential=True)
    batch = make_batch(tmp_path, system.new_key(1, 1), 10)
    with pytest.raises(TransientError, match=r"the credential for jobs cannot be stored.*kinit"):
        system.submit(batch)
    assert calls.count("true").total == 0
