"""A Millepede node of a DAG, on what reconstruction nodes have left; the DAG itself: tests/pool."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.snapshot import DagRun, Snapshot
from auto_iter.batch.htcondor.dagman.nodes import needed_memory
from auto_iter.batch.htcondor.dagman.text import FAILED, OVER
from tests.integration.commands import SimulatedDetector, call, command, run_command

NAME = "Y2023_R011705_F400-402"
RUN = DagRun(number=1, key="abcd-dag-01@schedd", cluster=12, submitted_at=1.0)


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
    ran = node.run(1)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    after = node.snapshot
    assert (after.iteration, after.state, len(after.history)) == (2, "submit_reco", 1)
    description = (node.root / "iter02/1reco/reco.sub").read_text()
    assert "$(number)" in description
    assert description.endswith("queue\n")
    assert "401" not in description
    memory = (node.root / "iter02/1reco/memory.sub").read_text()
    assert "AutoIterRawFile =?= 401, 2500" in memory
    assert needed_memory(node.root / "iter02/1reco") == {401: 2500}


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
