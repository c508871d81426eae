"""A Millepede node of a DAG, on what reconstruction nodes have left; the DAG itself: tests/pool."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.snapshot import DagRun, Snapshot
from auto_iter.batch.htcondor.dagman.nodes import needed_memory, needed_time
from auto_iter.batch.htcondor.dagman.text import FAILED, OVER
from tests.integration.commands import (
    SimulatedDetector,
    call,
    call_here,
    command,
    program,
    run_command,
)

NAME = "Y2023_R011705_F400-402"
RUN = DagRun(key="abcd-dag-01@schedd", cluster=12, submitted_at=1.0)


@pytest.fixture(scope="module")
def first_outputs(simulated: SimulatedDetector, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a workspace whose first iteration has all of its outputs."""
    directory = tmp_path_factory.mktemp("first_outputs")
    reco = [*run_command(simulated), "--wait"]
    reco[reco.index("run")] = "reco"
    done = call(reco, directory)
    assert done.returncode == 0, done.stderr
    return directory / NAME


class Node:
    """A workspace that was handed to a DAG."""

    def __init__(self, root: Path, iterations: int) -> None:
        self.root = root
        self.save(self.snapshot.but(state="submit_reco", attempts=(), dag=RUN))
        asked = self.snapshot.arguments.model_copy(update={"iterations": iterations})
        self.save(self.snapshot.but(arguments=asked))

    @property
    def snapshot(self) -> Snapshot:
        return checkpoint.load(self.root / "state.yaml")[0]

    def save(self, snapshot: Snapshot) -> None:
        checkpoint.save(self.root / "state.yaml", snapshot)

    def run(self, iteration: int) -> subprocess.CompletedProcess[str]:
        return call(command("dag", "node", str(self.root), str(iteration)), self.root)

    def lose(self, number: int) -> None:
        """Have a raw file's node fail for good."""
        (self.root / f"iter01/2kfalignment/kfalignment_011705_{number:05d}.root").unlink()
        failed = self.root / "iter01/1reco/failed"
        failed.mkdir(exist_ok=True)
        note = {"number": number, "exit_code": 40, "signal": None, "machine": "n1", "reason": ""}
        (failed / f"{number:05d}.json").write_text(json.dumps(note))


@pytest.fixture
def node(first_outputs: Path, tmp_path: Path) -> Node:
    """Give the first of two iterations."""
    return Node(Path(shutil.copytree(first_outputs, tmp_path / NAME)), 2)


def test_a_node_solves_and_prepares_the_next_iteration_for_dagman(node: Node) -> None:
    (node.root / "iter01/1reco/memory.json").write_text('{"401": 2500}')
    (node.root / "iter01/1reco/flavour.json").write_text('{"401": "workday"}')
    of_condor = node.root / "iter01/3millepede/millepede.log"
    of_condor.with_suffix(".sub").touch()
    of_condor.write_text("000 (013.000.000) Job submitted\n")
    ran = node.run(1)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    after = node.snapshot
    assert (after.iteration, after.state, len(after.history)) == (2, "submit_reco", 1)
    # pede's log of that name is in step0: here it is HTCondor's, which goes on writing to it.
    assert of_condor.read_text().startswith("000 (013")
    description = (node.root / "iter02/1reco/reco.sub").read_text()
    assert "$(number)" in description
    assert description.endswith("queue\n")
    assert "401" not in description
    memory = (node.root / "iter02/1reco/memory.sub").read_text()
    assert "AutoIterRawFile =?= 401, 2500" in memory
    assert needed_memory(node.root / "iter02/1reco") == {401: 2500}
    flavour = (node.root / "iter02/1reco/flavour.sub").read_text()
    assert flavour == 'flavour = ifThenElse($(rawfile) == 401, "workday", "longlunch")\n'
    assert needed_time(node.root / "iter02/1reco") == {401: 8 * 3600.0}


def test_a_node_that_was_killed_before_it_could_say_so_is_over_at_once(node: Node) -> None:
    assert node.run(1).returncode == 0
    before = (node.root / "state.yaml").read_bytes()
    assert node.run(1).returncode == 0
    assert (node.root / "state.yaml").read_bytes() == before


def test_the_last_node_says_that_it_is_over_and_takes_rescue_files_away(
    first_outputs: Path, tmp_path: Path
) -> None:
    node = Node(Path(shutil.copytree(first_outputs, tmp_path / NAME)), 1)
    rescue = node.root / "alignment.dag.rescue001"
    rescue.touch()
    assert [node.run(1).returncode for _ in range(2)] == [OVER, OVER]
    assert node.snapshot.state == "done"
    assert not rescue.exists()


def test_a_rehearsal_shows_all_and_writes_nothing(
    simulated: SimulatedDetector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "condor_config").touch()
    monkeypatch.setenv("CONDOR_CONFIG", str(tmp_path / "condor_config"))
    words = [*run_command(simulated, "--dry-run", "--batch", "htcondor", iterations=3)]
    words[words.index("run")] = "dag"
    ran = call_here(words, tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    root = tmp_path / NAME
    shown = ("iter01/1reco/reco.sub", "iter01/3millepede/millepede.sub", "alignment.dag")
    assert [line for line in ran.stdout.splitlines() if line.startswith("==>")] == [
        f"==> {root / name} <==" for name in shown
    ]
    assert ran.stdout.count("\nJOB R") == 3 * 2
    assert "iteration 1: 2 jobs would be submitted" in ran.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["condor_config"]


def test_too_few_outputs_fail_as_in_the_daemon(node: Node) -> None:
    node.lose(401)
    ran = node.run(1)
    assert ran.returncode == FAILED
    assert "1 of 2 raw files could not be reconstructed" in ran.stdout
    assert "exit code 40" in ran.stdout


def test_as_many_may_be_missing_as_the_configuration_allows(node: Node) -> None:
    config = node.root / "config.yaml"
    text = config.read_text().replace("min_success_fraction: 1.0", "min_success_fraction: 0.5")
    config.write_text(text)
    node.lose(401)
    assert node.run(1).returncode == 0
    assert [each.left_out for each in node.snapshot.history] == [(401,)]


def test_a_bad_output_fails_and_is_set_aside(node: Node) -> None:
    output = node.root / "iter01/2kfalignment/kfalignment_011705_00401.root"
    output.write_bytes(output.read_bytes()[:1000])
    ran = node.run(1)
    assert ran.returncode == FAILED
    failure = node.snapshot.failure
    assert failure is not None
    assert "00401" in failure.reason
    assert not output.exists()


def test_a_node_out_of_turn_changes_nothing(node: Node) -> None:
    before = (node.root / "state.yaml").read_bytes()
    ran = node.run(2)
    assert ran.returncode == FAILED
    assert "iteration 1 comes first" in ran.stderr
    node.save(node.snapshot.but(dag=None))
    ran = node.run(1)
    assert ran.returncode == FAILED
    assert "a daemon has taken this alignment over" in ran.stderr
    node.save(node.snapshot.but(dag=RUN))
    assert (node.root / "state.yaml").read_bytes() == before


ENDED = """\
000 (013.000.000) 2026-11-30 18:29:00 Job submitted from host: <127.0.0.1:9731>
...
005 (013.000.000) 2026-11-30 18:29:09 Job terminated.
\t(1) Normal termination (return value 11)
...
"""


def test_a_node_that_could_not_begin_is_told_with_the_end_of_its_log(
    node: Node, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "condor_config").touch()
    monkeypatch.setenv("CONDOR_CONFIG", str(tmp_path / "condor_config"))
    place = node.root / "iter01/3millepede"
    (place / "millepede.log").write_text(ENDED)
    said = "run_millepede.sh: /afs is not seen from lxbatch7"
    (place / "millepede.err").write_text(f"{said}\n")
    status = command("dag", "status", str(node.root))
    told = call_here(status, tmp_path).stdout
    assert "M01 failed: exit code 11: the node could not begin" in told
    assert f"  end of {place / 'millepede.err'}:\n    {said}\n" in told
    found = json.loads(call_here([*status, "--json"], tmp_path).stdout)
    (problem,) = found["problems"]
    assert (problem["node"], problem["exit_code"], problem["tail"]) == ("M01", 11, [said])
    assert [each["failed"] for each in found["nodes"]] == [1, 0]


SCRIPT = Path(__file__).parents[2] / "conf/job/run_millepede.sh"


def test_a_workspace_that_is_not_seen_is_waited_for_and_then_told(tmp_path: Path) -> None:
    python = program(tmp_path / "python", 'echo "took: $*"')
    root = tmp_path / "afs"
    words = ["bash", str(SCRIPT), str(root), "2", str(python), "-"]
    env = {"PATH": os.environ["PATH"], "AUTO_ITER_PATIENCE_S": "0"}
    gone = subprocess.run(words, env=env, capture_output=True, text=True, check=False)
    assert gone.returncode == 11
    assert f"{root} is not seen from" in gone.stderr
    env["AUTO_ITER_PATIENCE_S"] = "60"
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as node:
        root.mkdir()
        (root / "state.yaml").touch()
        assert node.stdout is not None
        assert node.stdout.read() == f"took: -m auto_iter dag node {root} 2\n"
    assert node.returncode == 0
