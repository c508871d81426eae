"""The main job under DAGMan: the daemon's constants to the byte, whatever happens on the way."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.daemon.lifecycle import open_workspace
from tests.pool.alignments import (
    DONE,
    FILES,
    ITERATIONS,
    Aligner,
    PoolAlignment,
    PoolDetector,
    auto_iter,
    make_detector,
    with_hook,
    with_own_raw_files,
)
from tests.pool.conftest import ScheddDaemon, wait_for
from tests.pool.dags import A_DAG, DAGMAN, PoolDag, dagman_process
from tests.pool.test_pool_failures import HUNGRY


def each_once(iterations: int) -> dict[tuple[int, int], int]:
    """Return that every raw file of so many iterations was started once."""
    return {(iteration, n): 1 for iteration in range(1, iterations + 1) for n in FILES}


def found(alignment: PoolAlignment, reference: PoolAlignment) -> None:
    """Check that an alignment of fewer iterations has the reference's constants, to the byte."""
    constants = alignment.constants()
    expected = reference.constants()
    assert len(constants) == 2 * alignment.iterations
    assert constants == {name: expected[name] for name in constants}


# Bash obeys a signal while it waits, but not while it runs something.
A_MINUTE = "sleep 60 &\nwait $!\n"

both_ways = pytest.mark.parametrize("spool", ["true", "false"], ids=["transferred", "direct"])


def submitted(dag: PoolDag) -> PoolDag:
    ran = dag.hand_over()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return dag


def ended_well(dag: PoolDag) -> PoolDag:
    dag.wait_for_its_end()
    assert dag.status()["state"] == "done", dag.told()
    assert dag.exit_code() == 0
    assert dag.rescue_files() == []
    return dag


@both_ways
def test_each_iteration_has_the_daemons_constants_to_the_byte(
    spool: str, on_the_pool: Aligner, reference: PoolAlignment, calls: ScheddProcess
) -> None:
    dag = ended_well(submitted(PoolDag(on_the_pool(*DAGMAN, f"htcondor.spool={spool}"), calls)))
    assert dag.alignment.constants() == reference.constants()
    assert dag.starts() == each_once(ITERATIONS)
    workspace = dag.alignment.workspace
    for name in (".lib.out", ".lib.err", ".dagman.out"):
        assert (workspace / f"alignment.dag{name}").exists()
    solved = {path.name for path in (workspace / "iter01/3millepede").glob("*millepede.*")}
    assert solved >= {"millepede.sub", "run_millepede.sh", "millepede.out", "millepede.err"}
    told = dag.alignment.status()
    assert told["state"] == "done"


def test_a_node_that_fails_once_is_tried_once_more_and_no_other_is(
    on_the_pool: Aligner,
    detector: PoolDetector,
    reference: PoolAlignment,
    calls: ScheddProcess,
    tmp_path: Path,
) -> None:
    flag = tmp_path / "flag"
    once = f'if [ "$file" = 00402 ] && [ ! -e {flag} ]; then touch {flag}; exit 1; fi\n'
    hook = with_hook(detector, tmp_path, once)
    dag = ended_well(
        submitted(PoolDag(on_the_pool(*DAGMAN, hook, "htcondor.spool=false", iterations=1), calls))
    )
    assert dag.starts() == each_once(1) | {(1, 402): 2}
    found(dag.alignment, reference)


def test_a_file_that_always_fails_is_told_and_runs_again_alone_once_mended(
    on_the_pool: Aligner, calls: ScheddProcess, fragile: PoolDetector
) -> None:
    raw = fragile.raw_file(402)
    content = raw.read_bytes()
    raw.write_bytes(content[:100])
    alignment = on_the_pool(*DAGMAN, "htcondor.spool=false", of=fragile, iterations=2)
    dag = submitted(PoolDag(alignment, calls))
    dag.wait_for_its_end()
    assert dag.exit_code() == 1
    assert dag.rescue_files() == ["alignment.dag.rescue001"]
    (problem,) = dag.status()["problems"]
    assert (problem["node"], problem["exit_code"]) == ("R01_00402", 40)
    assert "the reconstruction failed" in problem["reason"]
    assert "log" in problem["remedy"]
    text = dag.command("status").stdout
    assert "R01_00402 failed: exit code 40" in text
    assert f"dag rescue {alignment.workspace}" in text
    raw.write_bytes(content)
    ran = dag.command("rescue")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ended_well(dag)
    assert dag.starts() == each_once(2) | {(1, 402): 3}
    assert len(alignment.constants()) == 2 * 2


def test_where_nothing_works_one_file_is_tried_and_once_mended_the_others_follow(
    on_the_pool: Aligner, detector: PoolDetector, calls: ScheddProcess, tmp_path: Path
) -> None:
    hook = with_hook(detector, tmp_path, "exit 1\n")
    alignment = on_the_pool(
        *DAGMAN, hook, "htcondor.spool=false", "reco.canary=true",
        "reco.min_success_fraction=0.8", iterations=1,
    )  # fmt: skip
    dag = submitted(PoolDag(alignment, calls))
    dag.wait_for_its_end()
    assert dag.exit_code() == 1
    tried = dag.starts()
    assert {number for _, number in tried} == {FILES[0]}
    with_hook(detector, tmp_path, "true\n")
    ran = dag.command("rescue")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ended_well(dag)
    assert dag.starts() == Counter(each_once(1)) + tried


def test_a_thousand_files_are_parsed_without_a_warning(
    on_the_pool: Aligner, detector: PoolDetector, calls: ScheddProcess, tmp_path: Path
) -> None:
    many = with_own_raw_files(detector, tmp_path)
    first = many.raw_files[0]
    for number in range(400, 1400):
        other = first.with_name(first.name.replace("00400", f"{number:05d}"))
        if not other.exists():
            other.hardlink_to(first)
    alignment = replace(on_the_pool(*DAGMAN, of=many, iterations=10), files="400-1400")
    dag = submitted(PoolDag(alignment, calls))
    out = alignment.workspace / "alignment.dag.dagman.out"
    wait_for(lambda: out.exists() and "Dag contains 10010 total jobs" in out.read_text())
    warnings = [line for line in out.read_text().splitlines() if "WARNING" in line.upper()]
    # The last one: bindings here are newer than the pool; DAGMan minds from DAGMAN_USE_STRICT=2 on.
    about_the_pool = (
        "loopback address", "attribute DAGNodeName", "is in /tmp", "is newer than condor_dagman",
    )  # fmt: skip
    assert [line for line in warnings if not any(each in line for each in about_the_pool)] == []
    assert dag.command("remove").returncode == 0


def test_plain_condor_submit_dag_goes_on_from_its_own_rescue_file(
    on_the_pool: Aligner, calls: ScheddProcess, fragile: PoolDetector, condor_submit_dag: Path
) -> None:
    raw = fragile.raw_file(402)
    content = raw.read_bytes()
    raw.write_bytes(content[:100])
    alignment = on_the_pool(*DAGMAN, "htcondor.spool=false", of=fragile, iterations=1)
    # From the directory above, as the scripts before had it; the DAG is only written by us.
    written = alignment.call(alignment.from_the_start("dag", str(alignment.iterations)))
    assert written.returncode == 0, written.stdout + written.stderr
    dag = PoolDag(alignment, calls)
    name = f"{alignment.workspace.name}/alignment.dag"
    by_hand = alignment.call([str(condor_submit_dag), name])
    assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
    refused = alignment.call(alignment.command())
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert "DAGMan runs this alignment" in refused.stderr
    dag.wait_for_its_end()
    assert dag.rescue_files() == ["alignment.dag.rescue001"]
    raw.write_bytes(content)
    again = alignment.call([str(condor_submit_dag), name])
    assert again.returncode == 0, again.stdout + again.stderr
    dag.wait_for_its_end()
    assert dag.status()["state"] == "done", dag.told()
    assert dag.starts() == each_once(1) | {(1, 402): 3}
    assert dag.rescue_files() == []


def test_one_alignment_has_one_dag_or_one_daemon(
    on_the_pool: Aligner, detector: PoolDetector, calls: ScheddProcess, tmp_path: Path
) -> None:
    slow = with_hook(detector, tmp_path, A_MINUTE)
    alignment = on_the_pool(*DAGMAN, slow, "htcondor.spool=false")
    dag = submitted(PoolDag(alignment, calls))
    for command in (
        [*alignment.from_the_start("dag", str(ITERATIONS)), "--submit"],
        auto_iter("dag", "rescue", str(alignment.workspace)),
        auto_iter("resume", str(alignment.workspace)),
        alignment.from_the_start("run", str(ITERATIONS)),
    ):
        refused = alignment.call(command)
        assert refused.returncode == 2, refused.stdout + refused.stderr
        assert "DAGMan runs this alignment" in refused.stderr
    assert dag.queued(A_DAG) == 1
    wait_for(dag.nodes_run, "no node runs")
    removed = dag.command("remove")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert dag.queued() == 0
    daemon = alignment.start()
    wait_for(lambda: bool(alignment.logged("submitted")), "the daemon does not submit")
    refused = dag.command("rescue")
    assert refused.returncode == 2, refused.stdout + refused.stderr
    assert f"pid {daemon.pid}" in refused.stderr
    daemon.kill()
    daemon.wait()
    again = dag.command("rescue")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "-dag-02@" in again.stdout
    assert dag.queued(A_DAG) == 1
    wait_for(lambda: dag.status()["state"] == "running", "the second DAG does not run")


def test_kills_and_holds_of_dagman_change_nothing(
    *,
    on_the_pool: Aligner,
    detector: PoolDetector,
    reference: PoolAlignment,
    calls: ScheddProcess,
    schedd_daemon: ScheddDaemon,
    tmp_path: Path,
) -> None:
    slow = with_hook(detector, tmp_path, "sleep 5\n")
    dag = submitted(
        PoolDag(on_the_pool(*DAGMAN, slow, "htcondor.spool=false", iterations=2), calls)
    )

    wait_for(dag.nodes_run, "no node runs")
    wait_for(lambda: dagman_process() is not None, "no DAGMan runs")
    process = dagman_process()
    assert process is not None
    process.send_signal(signal.SIGKILL)
    wait_for(lambda: (p := dagman_process()) is not None and p.pid != process.pid, "not restarted")
    wait_for(dag.nodes_run, "no node runs")
    calls.act("hold", dag.ours(A_DAG), "a test")
    wait_for(lambda: dag.status()["state"] == "held", "it is not held")
    assert "a test" in dag.command("status").stdout
    calls.act("release", dag.ours(A_DAG), "a test")
    wait_for(lambda: dag.status()["state"] == "running", "it does not run again")
    wait_for(dag.nodes_run, "no node runs")
    schedd_daemon.kill()
    ended_well(dag)
    found(dag.alignment, reference)
    assert dag.starts() == each_once(2)


@pytest.mark.parametrize(("state", "spool"), [("wait_reco", "true"), ("pede", "false")])
def test_daemon_to_dag_to_daemon_repeats_nothing_that_is_finished(
    state: str, spool: str, on_the_pool: Aligner, reference: PoolAlignment, calls: ScheddProcess
) -> None:
    alignment = on_the_pool(*DAGMAN, f"htcondor.spool={spool}")
    daemon = alignment.start()

    def is_there() -> bool:
        if not (alignment.workspace / "state.yaml").exists():
            return False
        # Read here, for `pede` takes no longer than a command that says so.
        now = open_workspace(alignment.workspace).snapshot
        reached = (now.iteration, now.state) == (2, state)
        assert daemon.poll() is None or reached, "the daemon has ended"
        return reached

    wait_for(is_there, f"iteration 2 does not reach {state}")
    daemon.kill()
    daemon.wait()
    before = {path: path.stat().st_mtime_ns for path in outputs(alignment)}
    dag = submitted(PoolDag(alignment, calls))
    wait_for(lambda: alignment.status()["iteration"] == 3, "the DAG does not get to iteration 3")
    assert dag.command("remove").returncode == 0
    between = {path: path.stat().st_mtime_ns for path in outputs(alignment)}
    ran = alignment.run()
    assert ran.returncode in DONE, ran.stdout + ran.stderr
    assert alignment.constants() == reference.constants()
    for known in (before, between):
        assert {path: path.stat().st_mtime_ns for path in known} == known


def outputs(alignment: PoolAlignment) -> list[Path]:
    return list(alignment.workspace.glob("iter*/2kfalignment/*.root"))


@pytest.mark.parametrize(("fraction", "code"), [("0.8", 0), ("0.9", 1)])
def test_a_dag_goes_on_without_as_many_files_as_it_may(
    fraction: str, code: int, on_the_pool: Aligner, calls: ScheddProcess, fragile: PoolDetector
) -> None:
    fragile.raw_file(402).write_bytes(b"cut short")
    settings = (*DAGMAN, f"reco.min_success_fraction={fraction}", "htcondor.spool=false")
    dag = submitted(PoolDag(on_the_pool(*settings, of=fragile, iterations=1), calls))
    dag.wait_for_its_end()
    assert dag.exit_code() == code
    status = dag.alignment.status()
    if code:
        assert status["history"] == []
        return
    assert [each["left_out"] for each in status["history"]] == [[402]]
    assert dag.alignment.logged("continuing without")


PHASES = """\
name: three
stations: [3ST, IFT]
phases:
  - {name: first, iterations: 2, steps: [{fix: [IFT]}], reco_stations: 3, %s}
  - {name: second, iterations: 2, steps: [{fix: [3ST]}], reco_stations: 4}
  - {name: third, iterations: 2, steps: [{fix: [3ST]}], reco_stations: 4, %s}
"""
SOON = "convergence_pull: 1.0e+9, cuts: {max_residual_mm: [1.0]}"
AT_ONCE = ("alignment.convergence_iterations=1", "alignment.convergence_largest_pull=1.0e+9")


def test_phases_that_converge_early_skip_the_rest_and_the_dag_ends_well(
    on_the_pool: Aligner, calls: ScheddProcess, tmp_path: Path
) -> None:
    strategy = tmp_path / "three.yaml"
    strategy.write_text(PHASES % (SOON, SOON))
    settings = (f"alignment.strategy={strategy}", "alignment.guards.arrival=false", *AT_ONCE)
    detector = make_detector(tmp_path / "detector", stations=4)
    alignment_settings = (*DAGMAN, "htcondor.spool=false", *settings)
    alignment = on_the_pool(*alignment_settings, of=detector, iterations=6)
    dag = submitted(PoolDag(alignment, calls))
    ended_well(dag)
    history = alignment.status()["history"]
    # The first and the last phase are content after one iteration each.
    assert [each["phase"] for each in history] == ["first", "second", "second", "third"]
    descriptions = [
        (alignment.workspace / f"iter{number:02d}/1reco/reco.sub").read_text()
        for number in range(1, 5)
    ]
    assert ["--noIFT" in text for text in descriptions] == [True, False, False, False]
    assert not (alignment.workspace / "iter05/1reco").exists()
    assert {iteration for iteration, _ in dag.starts()} == {1, 2, 3, 4}


def test_memory_that_a_file_needed_once_is_asked_for_at_once_from_then_on(
    on_the_pool: Aligner, detector: PoolDetector, calls: ScheddProcess, tmp_path: Path
) -> None:
    hungry = with_hook(detector, tmp_path, HUNGRY.format(flag=tmp_path / "flag"))
    # Slots have 1 GB.
    memory = ("reco.memory_mb=500", "htcondor.holds.memory_factor=1.3")
    settings = (*DAGMAN, hungry, "htcondor.spool=false", *memory)
    dag = ended_well(submitted(PoolDag(on_the_pool(*settings, iterations=2), calls)))
    text = (dag.alignment.workspace / "iter02/1reco/memory.sub").read_text()
    needed = re.search(r"AutoIterRawFile =\?= 402, (\d+), 500", text)
    assert needed is not None, text
    assert int(needed[1]) > 700
    log = dag.alignment.workspace / "iter02/1reco/logs/reco_00402.log"
    assert re.search(rf"Memory \(MB\) *: +\d+ +{needed[1]} ", log.read_text())


def test_a_file_whose_job_ran_too_long_asks_for_the_next_flavour_from_then_on(
    *,
    on_the_pool: Aligner,
    detector: PoolDetector,
    reference: PoolAlignment,
    calls: ScheddProcess,
    condor_submit_dag: Path,
    tmp_path: Path,
) -> None:
    slow = with_hook(detector, tmp_path, '[ "$file" != 00402 ] || { sleep 20 & wait $!; }\n')
    too_long = 'JobFlavour == "longlunch" && time() - JobCurrentStartDate > 5'
    site = f"htcondor.extra.periodic_remove=JobStatus == 2 && AutoIterRawFile =?= 402 && {too_long}"
    settings = (*DAGMAN, slow, site, "htcondor.spool=false", "htcondor.max_retries=0")
    alignment = on_the_pool(*settings, iterations=2)
    written = alignment.call(alignment.from_the_start("dag", "2"))
    assert written.returncode == 0, written.stdout + written.stderr
    policy = alignment.workspace / "dag.json"
    known = json.loads(policy.read_text())
    # In seconds, as at this site: nobody waits for two hours.
    known["flavours"] |= {"espresso": 1.0, "microcentury": 2.0, "longlunch": 4.0}
    policy.write_text(json.dumps(known))
    dag = PoolDag(alignment, calls)
    by_hand = alignment.call([str(condor_submit_dag), str(alignment.workspace / "alignment.dag")])
    assert by_hand.returncode == 0, by_hand.stdout + by_hand.stderr
    dag.wait_for_its_end()
    assert dag.status()["state"] == "done", dag.told()
    found(alignment, reference)
    assert dag.starts() == each_once(2) | {(1, 402): 2}  # in iteration 2 it has its time at once
    asked = ("AutoIterRawFile", "JobFlavour")
    jobs = calls.history(dag.ours("AutoIterRawFile isnt undefined"), asked, limit=100)
    flavours = Counter((int(ad["AutoIterRawFile"]), str(ad["JobFlavour"])) for ad in jobs)
    others = {(number, "longlunch"): 2 for number in FILES if number != 402}
    assert flavours == others | {(402, "longlunch"): 1, (402, "workday"): 2}


def test_a_dag_removed_in_the_middle_leaves_no_job(
    on_the_pool: Aligner, detector: PoolDetector, calls: ScheddProcess, tmp_path: Path
) -> None:
    slow = with_hook(detector, tmp_path, A_MINUTE)
    dag = submitted(PoolDag(on_the_pool(*DAGMAN, slow, "htcondor.spool=false"), calls))
    wait_for(dag.nodes_run, "no node runs")
    assert dag.command("remove").returncode == 0
    assert dag.queued() == 0
    assert dag.status()["state"] == "not running"


def test_a_dagman_that_cannot_start_is_told_and_not_started_for_ever(
    on_the_pool: Aligner, calls: ScheddProcess, tmp_path: Path
) -> None:
    broken = tmp_path / "condor_dagman"
    broken.write_text("#!/bin/sh\nsleep 1\nexit 4\n")
    broken.chmod(0o755)
    dag = submitted(PoolDag(on_the_pool(*DAGMAN, f"dag.condor_dagman={broken}"), calls))
    wait_for(lambda: dag.status()["state"] == "looping", "it is not told")
    assert "exit code 4" in dag.command("status").stdout
    dag.wait_for_its_end()
    assert dag.exit_code() == 4


def test_a_millepede_node_brings_its_program_along_where_that_is_asked_for(
    on_the_pool: Aligner, reference: PoolAlignment, calls: ScheddProcess
) -> None:
    settings = ("htcondor.spool=false", "dag.travel=true", "dag.python=/usr/bin/python3")
    alignment = on_the_pool(*DAGMAN, *settings, iterations=1)
    dag = ended_well(submitted(PoolDag(alignment, calls)))
    sent = (alignment.workspace / "iter01/3millepede/millepede.sub").read_text()
    assert "auto_iter_program.tar.gz" in sent
    first = "iter01/3millepede/inputforalign.txt"
    assert dag.alignment.constants()[first] == reference.constants()[first]


def test_a_millepede_node_that_cannot_begin_is_told_and_goes_on_once_mended(
    on_the_pool: Aligner, reference: PoolAlignment, calls: ScheddProcess
) -> None:
    settings = ("htcondor.spool=false", "dag.python=/nowhere/python", "dag.retries=1")
    alignment = on_the_pool(*DAGMAN, *settings, iterations=1)
    dag = submitted(PoolDag(alignment, calls))
    dag.wait_for_its_end()
    assert dag.exit_code() == 1
    (problem,) = dag.status()["problems"]
    assert (problem["node"], problem["exit_code"]) == ("M01", 11)
    assert "could not begin" in problem["reason"]
    assert "try 2" in problem["reason"]
    assert "/nowhere/python is not there" in problem["tail"][-1]
    ran = alignment.call(
        auto_iter("dag", "rescue", str(alignment.workspace), "--set", "dag.python=null")
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    ended_well(dag)
    found(alignment, reference)
    assert dag.starts() == each_once(1)
