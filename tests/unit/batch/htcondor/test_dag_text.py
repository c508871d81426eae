"""What DAGMan reads: `alignment.dag`, and the submit descriptions of its nodes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from auto_iter.alignment.model import Batch, Job, Resources
from auto_iter.batch.htcondor.dagman.submit import (
    Program,
    millepede_text,
    policy_text,
    reco_text,
)
from auto_iter.batch.htcondor.dagman.text import Nodes, Rules, dag_text, node_of, reco_node
from auto_iter.batch.htcondor.submit import describe
from auto_iter.batch.job import job_arguments
from auto_iter.config.batch import HTCondor
from auto_iter.config.schema import Reco
from auto_iter.errors import InputError
from auto_iter.rawfiles import raw_path, run_and_number
from auto_iter.workspace.paths import Iteration
from conf.job.dag_post import memory_text

ROOT = Path("/afs/cern.ch/user/f/faser/Y2023_R011705_F400-402")
RULES = Rules(retries=3, millepede_retries=2)


def lines(nodes: Nodes, rules: Rules = RULES) -> list[str]:
    return dag_text(ROOT, nodes, rules).splitlines()


def test_each_iteration_waits_for_the_one_before() -> None:
    text = lines(Nodes(2, (400, 401)))
    assert [line for line in text if line.startswith("PARENT")] == [
        "PARENT R01_00400 R01_00401 CHILD M01",
        "PARENT M01 CHILD R02_00400 R02_00401",
        "PARENT R02_00400 R02_00401 CHILD M02",
    ]


def test_the_others_of_its_iteration_wait_for_the_canary() -> None:
    done = frozenset({402})
    text = lines(Nodes(3, (400, 401, 402, 403), current=2, delivered=done, canary=400))
    assert [
        line for line in text if line.startswith("PARENT R") and "R" in line.split("CHILD")[1]
    ] == ["PARENT R02_00400 CHILD R02_00401 R02_00403"]


def test_nodes_of_an_iteration_share_one_submit_description_and_get_their_number() -> None:
    text = lines(Nodes(1, (400, 401)))
    jobs = [line.split()[1:] for line in text if line.startswith("JOB R")]
    assert jobs == [[f"R01_{n:05d}", f"{ROOT}/iter01/1reco/reco.sub"] for n in (400, 401)]
    assert 'VARS R01_00401 number="00401" rawfile="401"' in text


def test_what_an_alignment_has_is_done() -> None:
    text = lines(Nodes(3, (400, 401), current=2, delivered=frozenset({401})))
    done = [line.split()[1] for line in text if line.endswith(" DONE")]
    assert done == ["R01_00400", "R01_00401", "M01", "R02_00401"]


def test_tries_and_ends_are_said_of_each_node() -> None:
    text = lines(Nodes(1, (400,)))
    assert "RETRY R01_00400 3 UNLESS-EXIT 99" in text
    assert "ABORT-DAG-ON R01_00400 98 RETURN 1" in text
    assert "RETRY M01 2 UNLESS-EXIT 64" in text
    assert "ABORT-DAG-ON M01 100 RETURN 0" in text


def test_jobs_in_the_queue_are_limited_where_that_is_set() -> None:
    text = lines(Nodes(1, (400,)), Rules(3, 2, max_jobs=500))
    assert "MAXJOBS reco 500" in text
    assert "CATEGORY R01_00400 reco" in text
    assert not [line for line in lines(Nodes(1, (400,))) if line.startswith(("MAXJOBS", "CATEG"))]


def test_every_node_is_known_by_its_name() -> None:
    text = lines(Nodes(12, (7, 99999)))
    nodes = [node_of(line.split()[1]) for line in text if line.startswith("JOB")]
    assert nodes == [(n, file) for n in range(1, 13) for file in (7, 99999, None)]
    with pytest.raises(ValueError, match="no node"):
        node_of("B01")


def batch(*numbers: int, extra: str = "") -> Batch:
    reco = ROOT / "iter01/1reco"
    return Batch(
        key="",
        directory=reco,
        executable=reco / "run_alignment.sh",
        inputs=(reco / "inputforalign.txt",),
        deliver_to=ROOT / "iter01/2kfalignment",
        jobs=tuple(
            Job(
                n,
                ("--raw", f"/raw/00400/Faser-{n:05d}.raw", "--file", f"{n:05d}", f"--x{extra}"),
                f"kfalignment_011705_{n:05d}.root",
                f"011705/{n:05d}",
            )
            for n in numbers
        ),
        resources=Resources(memory_mb=4000, disk_mb=8000),
    )


def commands(text: str) -> dict[str, str]:
    pairs = (line.partition(" = ") for line in text.splitlines() if " = " in line)
    return {name: value for name, _, value in pairs}


def test_the_description_is_the_daemons_with_the_number_put_in_by_dagman() -> None:
    text = reco_text(batch(400, 401), HTCondor(spool=False), "key-dag-01")
    said = commands(text)
    assert said["arguments"] == (
        f"--deliver {ROOT}/iter01/2kfalignment --raw /raw/00400/Faser-$(number).raw "
        "--file $(number) --x"
    )
    assert said["log"] == "logs/reco_$(number).log"
    assert said["My.AutoIterDag"] == '"key-dag-01"'
    assert said["request_disk"] == "8000MB"
    assert text.splitlines()[-1] == "queue"
    assert not {"on_exit_remove", "max_retries", "retry_until"} & said.keys()


def of_several(*numbers: int) -> Batch:
    reco = ROOT / "iter01/1reco"
    paths, place = Iteration(reco.parent, None), Path("/raw/011705/00400")
    jobs = []
    for n in numbers:
        run, file = run_and_number(n, None)
        raw = str(raw_path(place, 2023, run, file))
        told = job_arguments(raw, run, file, 3, Reco())
        where = str(paths.job_directory(n).relative_to(reco))
        jobs.append(Job(n, told, paths.output_name(n), where))
    return Batch(**{**vars(batch(0)), "jobs": tuple(jobs)})


@pytest.mark.parametrize("spool", [True, False])
@pytest.mark.parametrize(
    "numbers",
    [
        (1170500400, 1170500401, 1171000000),
        (1170500400, 1171000400),
        (1170500400, 1170500500),
        (1170511705, 1171011705),
        (1170500400,),
    ],
)
def test_of_several_runs_each_node_does_what_the_daemons_job_does(
    numbers: tuple[int, ...], spool: bool
) -> None:
    asked, config = of_several(*numbers), HTCondor(spool=spool)
    description = commands(reco_text(asked, config, "key"))
    _, rows = describe(asked, config, None)
    text = lines(Nodes(1, numbers))
    for job, row in zip(asked.jobs, rows, strict=True):
        node = reco_node(1, job.number)
        assert node_of(node) == (1, job.number)
        (variables,) = (line for line in text if line.startswith(f"VARS {node} "))
        own = dict(re.findall(r'(\w+)="(\d+(?:_\d+)?)"', variables))

        def filled(name: str, own: dict[str, str] = own) -> str:
            return re.sub(r"\$\((\w+)\)", lambda match: own[match[1]], description[name])

        assert filled("arguments") == row["options"]
        assert filled("log") == f"logs/reco_{row['number']}.log"
        assert filled("My.AutoIterRawFile") == str(job.number)
        if spool:
            landing = f'"{job.output} = {job.directory}/{job.output}"'
            assert filled("transfer_output_remaps") == landing


def test_transferred_outputs_land_in_their_jobs_directory() -> None:
    said = commands(reco_text(batch(400, 401), HTCondor(spool=True), "key"))
    assert said["transfer_output_remaps"] == (
        '"kfalignment_011705_$(number).root = 011705/$(number)/kfalignment_011705_$(number).root"'
    )


def test_jobs_that_differ_otherwise_make_no_dag() -> None:
    one, other = batch(400), batch(401, extra="y")
    mixed = Batch(**{**vars(one), "jobs": (*one.jobs, *other.jobs)})
    with pytest.raises(InputError, match="by their raw file only"):
        reco_text(mixed, HTCondor(), "key")


def test_a_further_submit_command_has_the_last_word() -> None:
    config = HTCondor.model_validate({"extra": {"periodic_release": "false"}})
    assert commands(reco_text(batch(400), config, "key"))["periodic_release"] == "false"


def test_memory_is_said_by_raw_file() -> None:
    assert memory_text({}, 4000) == "memory = 4000\n"
    text = memory_text({403: 6000, 401: 5000}, 4000)
    assert text == (
        "memory = ifThenElse(AutoIterRawFile =?= 403, 6000, "
        "ifThenElse(AutoIterRawFile =?= 401, 5000, 4000))\n"
    )


def test_a_millepede_node_names_workspace_iteration_and_python() -> None:
    place = ROOT / "iter03/3millepede"
    program = Program("/venv/bin/python", 2000, 1000)
    said = commands(millepede_text(ROOT, place, HTCondor(), program, "key"))
    assert said["arguments"] == f"{ROOT} 3 /venv/bin/python -"
    assert said["output"] == "millepede.out"
    assert said["request_memory"].endswith(", 2000)")
    assert said["request_disk"] == "1000MB"
    assert "periodic_release" in said
    assert "transfer_input_files" not in said


@pytest.mark.parametrize(
    ("fraction", "tolerated"), [(1.0, 0), (0.9, 0), (0.8, 1), (0.5, 2), (0.01, 4)]
)
def test_as_many_files_may_fail_as_in_the_daemon(fraction: float, tolerated: int) -> None:
    policy = json.loads(policy_text(Nodes(1, tuple(range(5))), fraction, 4000, HTCondor()))
    assert policy["tolerated"] == tolerated
    assert (5 - tolerated) / 5 >= fraction
    assert (5 - tolerated - 1) / 5 < fraction


def test_paths_are_whole_so_that_any_directory_will_do() -> None:
    for line in lines(Nodes(1, (400,))):
        for path in re.findall(r"\S*/\S*", line.partition("#")[0]):
            assert path.startswith("/")
