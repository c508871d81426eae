"""Raw files of several runs, one of them held out of the fit: by a daemon, and under DAGMan."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.millepede.results import read_solution
from auto_iter.rawfiles import spoken, with_run
from auto_iter.workspace.manifest import read_manifest
from auto_iter.workspace.paths import Workspace
from tests.pool.alignments import (
    DONE,
    Aligner,
    PoolAlignment,
    PoolDetector,
    auto_iter,
    jobs_of,
    made_detector,
    of_runs,
    with_own_raw_files,
)
from tests.pool.dags import DAGMAN, PoolDag
from tests.support.once import made_once

RUNS = "011705:400-402,011710:0-2@0.5"
NAME = "Y2023_R011705_F400-402_R011710_F0-2x0.5"
OF_FIT = "011705:400-402,011710:1@0.5"
FIRST, HELD_OUT = with_run(11705, 400), with_run(11710, 0)
EVERY = (FIRST, with_run(11705, 401), HELD_OUT, with_run(11710, 1))
SPOKEN = ["011705:00400", "011705:00401", "011710:00000", "011710:00001"]
HOLD_OUT = "alignment.hold_out=0.25"
ITERATIONS = 2

transferred_or_direct = pytest.mark.parametrize(
    "spool", ["true", "false"], ids=["transferred", "direct"]
)


@pytest.fixture(scope="session")
def two_runs(tmp_path_factory: pytest.TempPathFactory) -> PoolDetector:
    """Give a detector with raw files of two runs, which no test changes."""
    files = {11705: (400, 401), 11710: (0, 1)}
    return made_detector(made_once(tmp_path_factory, "two", lambda place: of_runs(place, files)))


@pytest.fixture(scope="session")
def without(two_runs: PoolDetector, tmp_path_factory: pytest.TempPathFactory) -> PoolAlignment:
    """Give the alignment of the local batch system that never saw the held-out file."""
    settings = ("batch.system=local", "alignment.polling_interval_seconds=1")
    of_fit = PoolAlignment(two_runs, Path(), settings, ITERATIONS, runs=OF_FIT)

    def make(place: Path) -> None:
        ran = replace(of_fit, place=place).run()
        assert ran.returncode in DONE, ran.stdout + ran.stderr

    return replace(of_fit, place=made_once(tmp_path_factory, "without", make))


def of_two_runs(made: PoolAlignment) -> PoolAlignment:
    return replace(made, runs=RUNS)


def names(path: Path, pattern: str) -> set[str]:
    return {each.name for each in path.glob(pattern)}


def judged(alignment: PoolAlignment, without: PoolAlignment) -> None:
    """Check what an alignment leaves: constants of the fit's files, a judgement of the other."""
    assert alignment.workspace.name == NAME
    constants = alignment.constants()
    assert constants == without.constants()
    assert len(constants) == 2 * ITERATIONS
    tags = {spoken(number, "_") for number in EVERY}
    for iteration in range(1, ITERATIONS + 1):
        paths = Workspace(alignment.workspace).iteration(iteration, None)
        assert names(paths.kfalignment, "*.root") == {f"kfalignment_{tag}.root" for tag in tags}
        assert names(paths.logs, "*.out") == {f"reco_{tag}.out" for tag in tags}
        in_fit = {Path(name).name for name in read_solution(paths.solution).binaries}
        assert in_fit == {f"mp2input_{tag}.bin" for tag in tags - {"011710_00000"}}
        manifest = read_manifest(Workspace(alignment.workspace), iteration)
        assert (manifest.held_out, sorted(manifest.raw_files)) == ((HELD_OUT,), list(EVERY))
    history = alignment.status()["history"]
    judgements = [each["hold_out"] for each in history]
    assert [each["files"] for each in judgements] == [1] * ITERATIONS
    assert judgements[-1]["chi2_ndf"] < judgements[0]["chi2_ndf"]
    assert "held-out tracks: chi2/ndf " in status_text(alignment)
    again = alignment.call(auto_iter("reproduce", str(alignment.workspace / "iter02")))
    assert "reproduced, byte by byte" in again.stdout, again.stdout + again.stderr


def status_text(alignment: PoolAlignment) -> str:
    return alignment.call(auto_iter("status", str(alignment.workspace))).stdout


def listed(alignment: PoolAlignment) -> list[dict[str, Any]]:
    said = alignment.call(auto_iter("files", "list", str(alignment.workspace), "--json"))
    files: list[dict[str, Any]] = json.loads(said.stdout)["files"]
    return files


@transferred_or_direct
def test_a_daemon_fits_two_runs_and_a_held_out_file_judges(
    spool: str,
    on_the_pool: Aligner,
    two_runs: PoolDetector,
    without: PoolAlignment,
    calls: ScheddProcess,
) -> None:
    settings = (HOLD_OUT, f"htcondor.spool={spool}")
    alignment = of_two_runs(on_the_pool(*settings, of=two_runs, iterations=ITERATIONS))
    ran = alignment.run()
    assert ran.returncode in DONE, ran.stdout + ran.stderr
    judged(alignment, without)
    jobs = jobs_of(alignment, calls)
    assert sorted((job.iteration, job.number) for job in jobs) == [
        (iteration, number) for iteration in (1, 2) for number in EVERY
    ]


@transferred_or_direct
def test_a_dag_fits_two_runs_and_a_held_out_file_judges(
    spool: str,
    on_the_pool: Aligner,
    two_runs: PoolDetector,
    without: PoolAlignment,
    calls: ScheddProcess,
) -> None:
    settings = (*DAGMAN, HOLD_OUT, f"htcondor.spool={spool}")
    alignment = of_two_runs(on_the_pool(*settings, of=two_runs, iterations=ITERATIONS))
    dag = PoolDag(alignment, calls)
    ran = dag.hand_over()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    dag.wait_for_its_end()
    assert dag.status()["state"] == "done", dag.told()
    judged(alignment, without)
    assert dag.starts() == {(iteration, n): 1 for iteration in (1, 2) for n in EVERY}


def test_files_of_several_runs_are_named_by_both_and_only_the_held_out_one_may_be_missing(
    *,
    on_the_pool: Aligner,
    two_runs: PoolDetector,
    without: PoolAlignment,
    calls: ScheddProcess,
    tmp_path: Path,
) -> None:
    mine = with_own_raw_files(two_runs, tmp_path / "detector")
    first, held_out = mine.raw_files[0], mine.raw_files[2]
    good = first.read_bytes()
    for raw in (first, held_out):
        raw.write_bytes(good[:100])
    settings = (*DAGMAN, HOLD_OUT, "htcondor.spool=false")
    alignment = of_two_runs(on_the_pool(*settings, of=mine, iterations=1))
    dag = PoolDag(alignment, calls)
    ran = dag.hand_over()
    assert ran.returncode == 0, ran.stdout + ran.stderr
    dag.wait_for_its_end()
    assert dag.exit_code() == 1
    problems = dag.status()["problems"]
    assert [each["node"] for each in problems] == ["R01_011705_00400", "R01_011710_00000"]
    text = dag.command("status").stdout
    assert "R01_011705_00400 failed: exit code 40" in text
    assert "R01_011710_00000 failed: exit code 40" in text
    files = listed(alignment)
    assert [each["file"] for each in files] == SPOKEN
    delivered = [each["file"] for each in files if each["state"] == "reconstructed"]
    assert delivered == ["011705:00401", "011710:00001"]
    assert all("exit code 40" in each["reason"] for each in files[::2])

    first.write_bytes(good)
    ran = dag.command("rescue")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    dag.wait_for_its_end()
    assert dag.status()["state"] == "done", dag.told()
    (record,) = alignment.status()["history"]
    assert (record["left_out"], record["hold_out"]) == ([HELD_OUT], None)
    constants, expected = alignment.constants(), without.constants()
    assert len(constants) == 2
    assert constants == {name: expected[name] for name in constants}
    (told,) = [each for each in listed(alignment) if each["held_out"]]
    assert (told["file"], told["state"]) == ("011710:00000", "gave up")
    said = alignment.call(auto_iter("files", "list", str(alignment.workspace))).stdout
    assert "011710:00000  gave up         held out of the fit; 1 failed; exit code 40" in said
    (warning,) = alignment.logged("continuing without")
    assert "011710:00000" in str(warning)
