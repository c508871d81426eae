"""A site with rules of its own: what it refuses for good, and how many jobs it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.batch.htcondor.schedd.protocol import RefusedError
from auto_iter.errors import InputError, LimitError
from tests.pool.alignments import DONE, FILES, Aligner, auto_iter, jobs_of
from tests.pool.conftest import Opener, wait_for
from tests.support.batch_contract import make_batch
from tests.support.wrapped import in_one_line

Site = Callable[[str], None]

FORBIDDEN = """\
SUBMIT_REQUIREMENT_NAMES = $(SUBMIT_REQUIREMENT_NAMES) PROJECT
SUBMIT_REQUIREMENT_PROJECT = Forbidden isnt true
SUBMIT_REQUIREMENT_PROJECT_REASON = "name a project that we know"
"""


def test_what_a_submit_requirement_refuses_ends_in_the_schedds_words(
    on_the_pool: Aligner, site: Site, calls: ScheddProcess
) -> None:
    site(FORBIDDEN)
    alignment = on_the_pool("htcondor.extra.+Forbidden=True", iterations=1)
    ran = alignment.run()
    assert ran.returncode == 1
    said = in_one_line(ran.stdout)
    assert "refuses the jobs" in said
    assert "name a project that we know" in said
    assert "retries automatically" not in said
    assert len(alignment.logged("trying again")) == 2
    assert calls.count("true").total == 0


@pytest.mark.parametrize(
    ("spool", "limits"), [(True, "MAX_JOBS_PER_OWNER = 3"), (False, "MAX_JOBS_PER_SUBMISSION = 2")]
)
def test_an_alignment_shrinks_its_portions_to_what_the_site_takes(
    spool: bool, limits: str, on_the_pool: Aligner, site: Site, calls: ScheddProcess
) -> None:
    site(limits)
    alignment = on_the_pool(f"htcondor.spool={spool}", iterations=1)
    ran = alignment.run()
    assert ran.returncode in DONE, ran.stdout + ran.stderr
    assert sorted(job.number for job in jobs_of(alignment, calls)) == list(FILES)
    assert alignment.logged("too many jobs at once")
    assert alignment.logged("trying again") == []


@pytest.mark.parametrize(
    ("limit", "is_for_good"),
    [
        ("MAX_JOBS_PER_OWNER", False),
        ("MAX_JOBS_SUBMITTED", False),
        ("MAX_JOBS_PER_SUBMISSION", True),
    ],
)
def test_each_limit_is_told_from_trouble_and_nothing_is_submitted(  # noqa: PLR0917 - fixtures
    limit: str, is_for_good: bool, open_batch: Opener, site: Site, calls: ScheddProcess,
    tmp_path: Path,
) -> None:  # fmt: skip
    site(f"{limit} = 2")
    system = open_batch()
    with pytest.raises(LimitError) as error:
        system.submit(make_batch(tmp_path, system.new_key(1, 1), 10, 11, 12))
    assert error.value.is_for_good is is_for_good
    assert calls.count("true").total == 0


def test_input_that_cannot_be_read_makes_no_cluster(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=True)
    batch = make_batch(tmp_path, system.new_key(1, 1), 10)
    batch.inputs[0].unlink()
    with pytest.raises(FileNotFoundError):
        system.submit(batch)
    assert calls.count("true").total == 0


def test_input_that_is_lost_under_way_is_refused_at_last(
    open_batch: Opener, tmp_path: Path
) -> None:
    absent = tmp_path / "absent.txt"
    system = open_batch(spool=True, extra={"transfer_input_files": str(absent)})
    errors: list[Exception] = []
    for attempt in (1, 2, 3):
        batch = make_batch(tmp_path, system.new_key(1, attempt), 10)
        with pytest.raises((RefusedError, InputError)) as error:
            system.submit(batch)
        errors.append(error.value)
    assert [type(error) for error in errors] == [RefusedError, RefusedError, InputError]
    assert "absent.txt: the input of the jobs cannot be sent: No such file" in str(errors[-1])


def test_a_schedd_that_is_gone_can_be_left_behind(
    on_the_pool: Aligner, calls: ScheddProcess
) -> None:
    alignment = on_the_pool("htcondor.requirements=False", iterations=1)
    daemon = alignment.start()
    wait_for(lambda: "wait_reco" in [each["to"] for each in alignment.logged("transition")])
    daemon.terminate()
    daemon.wait()
    calls.act("remove", "true", "the schedd is gone")
    path = alignment.workspace / "state.yaml"
    snapshot, _ = checkpoint.load(path)
    (attempt,) = snapshot.attempts
    elsewhere = attempt.model_copy(update={"schedd": "gone@nowhere"})
    checkpoint.save(path, snapshot.but(attempts=(elsewhere,)))
    resume = auto_iter("resume", str(alignment.workspace), "--set", "htcondor.requirements=True")
    waiting = alignment.start()
    wait_for(lambda: bool(alignment.logged("trying again")))
    assert "does not know it: a wrong name" in alignment.logged("trying again")[-1]["reason"]
    waiting.terminate()
    waiting.wait()
    ran = alignment.call([*resume, "--abandon-schedd"])
    assert ran.returncode in DONE, ran.stdout + ran.stderr
    assert {job.attempt for job in jobs_of(alignment, calls) if job.has_run} == {2}
