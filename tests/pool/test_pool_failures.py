"""Jobs that fail or are held, driven by the daemon: helped where that helps, told where not."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import pytest

from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from tests.pool.alignments import (
    DONE,
    FILES,
    LIMIT_S,
    Aligner,
    PoolAlignment,
    PoolDetector,
    auto_iter,
    jobs_of,
    with_hook,
)
from tests.pool.conftest import Mine, Opener, fill, settled, wait_for
from tests.support.batch_contract import make_batch
from tests.support.wrapped import in_one_line

A_SCREEN = 40
HUNGRY = """\
if [ "$file" = 00402 ] && [ ! -e {flag} ]; then
    touch {flag}
    python -c 'import time; eaten = bytearray(700 << 20); time.sleep(120)' &
    wait $!  # bash obeys a signal while it waits, but not while it runs something
fi
"""
FAILS_TWICE = """\
if [ "$file" = 00402 ]; then
    echo run >>{flag}
    [ "$(wc -l <{flag})" -ge 3 ] || export _CONDOR_SCRATCH_DIR=/nowhere
fi
"""
INPUTS = "reco_condor_env.sh, aligndb_copy.sh, check_tags.py, inputforalign.txt"


def ends_well(alignment: PoolAlignment) -> None:
    ran = alignment.run()
    assert ran.returncode in DONE, ran.stdout + ran.stderr


def test_a_file_that_always_fails_is_told_in_one_screen_and_continues_alone_once_mended(
    on_the_pool: Aligner,
    fragile: PoolDetector,
    reference: PoolAlignment,
    calls: ScheddProcess,
    mine: Mine,
) -> None:
    raw = fragile.raw_file(402)
    good = raw.read_bytes()
    raw.write_bytes(b"no raw file at all")
    alignment = on_the_pool("reco.max_attempts=2", of=fragile, iterations=1)
    ran = alignment.run()
    assert ran.returncode == 1
    assert len(ran.stdout.splitlines()) <= A_SCREEN
    said = in_one_line(ran.stdout)
    (host,) = machines(calls, mine())
    for told in ("1 of 5 raw files", "00402", "exit code 40", host, "reco_00402.err", "resume"):
        assert told in said
    errors = alignment.workspace / "iter01" / "1reco" / "logs" / "reco_00402.err"
    assert errors.read_text().splitlines()[-1] in said
    raw.write_bytes(good)
    ends_well(alignment)
    jobs = jobs_of(alignment, calls)
    latest = max(job.cluster for job in jobs)
    assert [job.number for job in jobs if job.cluster == latest] == [402]
    assert [job.number for job in jobs].count(402) == 3
    assert len(jobs) == 5 + 2
    assert alignment.constants()
    assert alignment.constants().items() <= reference.constants().items()


def machines(calls: ScheddProcess, jobs: str) -> set[str]:
    """Return where jobs ran."""
    ran = f"({jobs}) && LastRemoteHost isnt undefined"
    ads = calls.history(ran, ("LastRemoteHost",), limit=5)
    return {str(ad["LastRemoteHost"]).rpartition("@")[2] for ad in ads}


def test_a_job_that_fails_twice_succeeds_at_its_third_attempt(
    on_the_pool: Aligner, detector: PoolDetector, tmp_path: Path, calls: ScheddProcess
) -> None:
    hook = with_hook(detector, tmp_path, FAILS_TWICE.format(flag=tmp_path / "runs"))
    alignment = on_the_pool(hook, iterations=1)
    ends_well(alignment)
    numbers: dict[int, list[int]] = {}
    for job in jobs_of(alignment, calls):
        numbers.setdefault(job.attempt, []).append(job.number)
    assert {attempt: len(files) for attempt, files in numbers.items()} == {1: 5, 2: 1, 3: 1}
    assert numbers[2] == numbers[3] == [402]


def test_a_site_where_nothing_works_costs_one_job_and_once_mended_the_rest_follows(
    on_the_pool: Aligner, detector: PoolDetector, tmp_path: Path, calls: ScheddProcess
) -> None:
    hook = with_hook(detector, tmp_path, "exit 1\n")
    alignment = on_the_pool(hook, "reco.canary=true", iterations=1)
    assert alignment.run().returncode == 1
    assert [job.number for job in jobs_of(alignment, calls)] == [FILES[0]]
    with_hook(detector, tmp_path, "true\n")
    ends_well(alignment)
    jobs = sorted(jobs_of(alignment, calls), key=lambda job: (job.cluster, job.number))
    assert [job.number for job in jobs] == [FILES[0], *FILES]
    assert len({job.cluster for job in jobs}) == 3  # that which failed, it once more, the others


def test_a_job_that_needs_more_memory_gets_it(
    on_the_pool: Aligner, detector: PoolDetector, tmp_path: Path, calls: ScheddProcess, mine: Mine
) -> None:
    hook = with_hook(detector, tmp_path, HUNGRY.format(flag=tmp_path / "eaten"))
    alignment = on_the_pool(hook, "reco.memory_mb=600", iterations=2)
    ends_well(alignment)
    (told,) = alignment.logged("held")
    assert (told["file"], told["action"], told["memory_mb"]) == (
        402,
        "release with more memory",
        900,
    )
    asked = calls.history(mine("AutoIterRawFile == 402"), ("RequestMemory",), limit=1)
    assert asked == [{"RequestMemory": 900}]  # of the second iteration, where it was never held
    others = calls.history(mine("AutoIterRawFile == 401"), ("RequestMemory",), limit=1)
    assert others == [{"RequestMemory": 600}]


def test_what_a_person_holds_stays_held_and_is_told(
    on_the_pool: Aligner, calls: ScheddProcess, mine: Mine
) -> None:
    alignment = on_the_pool("htcondor.requirements=False", iterations=1)
    daemon = alignment.start()
    one = "AutoIterRawFile == 402"
    wait_for(lambda: calls.count(mine(f"{one} && JobStatus == 1")).total == 1)
    calls.act("hold", mine(one), "let me look first")
    wait_for(lambda: bool(alignment.logged("held")))
    (told,) = alignment.logged("held")
    assert (told["action"], told["code"]) == ("leave", 1)
    assert "let me look first" in told["reason"]
    text = in_one_line(alignment.call(auto_iter("status", str(alignment.workspace))).stdout)
    assert "00402" in text
    assert "held by a person" in text
    calls.edit(mine("JobStatus != 3"), "Requirements", "True")
    others = mine("AutoIterRawFile != 402")
    wait_for(lambda: calls.count(others).total == 0)
    assert calls.count(mine(f"{one} && JobStatus == 5")).total == 1
    calls.act("release", mine(one), "looked at it")
    assert daemon.wait(timeout=LIMIT_S) in DONE


def test_an_input_that_comes_late_is_waited_for(
    on_the_pool: Aligner, tmp_path: Path, calls: ScheddProcess, mine: Mine
) -> None:
    late = tmp_path / "late.txt"
    alignment = on_the_pool(
        "htcondor.spool=false",
        f"htcondor.extra.transfer_input_files={INPUTS}, {late}",
        "htcondor.holds.release_pause_s=4",
        iterations=1,
    )
    daemon = alignment.start()
    wait_for(lambda: calls.count(mine("JobStatus == 5")).total == len(FILES))
    late.write_text("here now\n")
    assert daemon.wait(timeout=LIMIT_S) in DONE
    assert {(told["code"], told["action"]) for told in alignment.logged("held")} == {
        (13, "release")
    }


def test_an_input_that_never_comes_fails_with_the_reason_and_what_to_do(
    on_the_pool: Aligner, tmp_path: Path, calls: ScheddProcess, mine: Mine
) -> None:
    never = tmp_path / "never.txt"
    alignment = on_the_pool(
        "htcondor.spool=false",
        f"htcondor.extra.transfer_input_files={INPUTS}, {never}",
        iterations=1,
    )
    ran = alignment.run()
    assert ran.returncode == 1
    for told in ("the input could not be transferred", "released once in vain", str(never)):
        assert told in in_one_line(ran.stdout)
    assert calls.count(mine()).total == 0


@pytest.mark.parametrize("spool", [True, False])
def test_a_full_disk_of_ours_costs_no_job_a_try(  # noqa: PLR0917 - fixtures, mostly
    spool: bool,
    on_the_pool: Aligner,
    detector: PoolDetector,
    tmp_path: Path,
    small_disk: Path,
    calls: ScheddProcess,
) -> None:
    hook = with_hook(detector, tmp_path, f"until [ -e {tmp_path / 'go'} ]; do sleep 0.1; done\n")
    alignment = on_the_pool(
        hook,
        f"htcondor.spool={spool}",
        f"paths.work_dir={small_disk}",
        "reco.max_attempts=1",
        iterations=1,
        place=small_disk,
    )
    daemon = alignment.start()
    wait_for(lambda: calls.count("JobStatus == 2").total == len(FILES))
    wait_for(lambda: bool(alignment.logged("transition")))
    filler = fill(small_disk)
    (tmp_path / "go").touch()
    still_there = "JobStatus == 1 || JobStatus == 2 || JobStatus == 6"
    wait_for(lambda: calls.count(still_there).total == 0)
    time.sleep(12)  # as long as three tries to fetch took
    filler.unlink()
    assert daemon.wait(timeout=LIMIT_S) in DONE
    assert alignment.logged("job failed") == []
    if spool:  # what is with the schedd is never run again
        assert len(jobs_of(alignment, calls)) == len(FILES)


def test_what_all_jobs_fail_of_ends_the_alignment_with_one_reason_and_no_second_try(
    on_the_pool: Aligner, detector: PoolDetector, tmp_path: Path, calls: ScheddProcess, mine: Mine
) -> None:
    alignment = on_the_pool(with_hook(detector, tmp_path, "exit 1\n"), iterations=1)
    ran = alignment.run()
    assert ran.returncode == 1
    # on the pool's only machine the first is enough; more may have failed before it was looked at
    shared = "failed at a step that is the same for every raw file: exit code 20"
    said = in_one_line(ran.stdout)
    assert shared in said or "none succeeded: exit code 20" in said
    assert len(ran.stdout.splitlines()) <= A_SCREEN
    assert {job.attempt for job in jobs_of(alignment, calls)} == {1}
    wait_for(lambda: calls.count(mine()).total == 0)
    with_hook(detector, tmp_path, "")
    ends_well(alignment)


def test_a_failed_file_is_done_before_the_slowest_of_the_others(
    on_the_pool: Aligner, detector: PoolDetector, tmp_path: Path, calls: ScheddProcess
) -> None:
    hook = with_hook(
        detector,
        tmp_path,
        f'[ "$file" != 00404 ] || until [ -e {tmp_path / "go"} ]; do sleep 0.1; done\n'
        f'[ "$file" != 00400 ] || [ -e {tmp_path / "failed"} ] || '
        f"{{ touch {tmp_path / 'failed'}; export _CONDOR_SCRATCH_DIR=/nowhere; }}\n",
    )
    alignment = on_the_pool(hook, iterations=1)
    daemon = alignment.start()
    wait_for(lambda: alignment.delivered() == {400, 401, 402, 403})
    (tmp_path / "go").touch()
    assert daemon.wait(timeout=LIMIT_S) in DONE
    assert sorted((job.attempt, job.number) for job in jobs_of(alignment, calls)) == [
        (1, 400), (1, 401), (1, 402), (1, 403), (1, 404), (2, 400),
    ]  # fmt: skip


def test_a_machine_to_be_avoided_is_not_given_the_job(
    open_batch: Opener, calls: ScheddProcess, tmp_path: Path
) -> None:
    system = open_batch(spool=False)
    failing = system.submit(make_batch(tmp_path, system.new_key(1, 1), 20))
    (problem,) = settled(system, failing, lambda tally: tally.is_over).problems
    assert problem.machine is not None
    batch = make_batch(tmp_path, system.new_key(1, 2), 10)
    other = system.submit(replace(batch, avoid_machines=("another.machine",)))
    assert settled(system, other, lambda tally: tally.is_over).problems == ()
    again = system.submit(
        replace(batch, key=system.new_key(1, 3), avoid_machines=(problem.machine,))
    )
    which = f"ClusterId == {again.cluster}"
    rejected = f"{which} && LastRejMatchTime isnt undefined"
    wait_for(lambda: calls.count(rejected).total == 1, "the negotiator took it")
    assert calls.count(f"{which} && JobStatus == 1 && NumJobStarts is 0").total == 1
