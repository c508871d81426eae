"""The chain by hand: link by link as with the scripts before, and what-ifs that touch nothing."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from auto_iter.daemon.lock import WorkspaceLock
from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from auto_iter.millepede.strategy.file import parse_strategy, read_strategy
from auto_iter.workspace.manifest import read_manifest
from auto_iter.workspace.paths import Workspace
from tests.integration.commands import (
    SimulatedDetector,
    call,
    call_here,
    checkpoint,
    command,
    program,
    run_command,
    wait_until,
)
from tests.support.wrapped import in_one_line

NAME = "Y2023_R011705_F400-402"
SINGLE = str(Path(__file__).parents[1] / "data/strategies/3st-single.yaml")


class IterationByHand:
    """A person in a directory, with the options of `reco`."""

    def __init__(self, directory: Path, simulated: SimulatedDetector) -> None:
        self.directory = directory
        self.workspace = directory / NAME
        self._detector = simulated

    def reco(self, iteration: int, *more: str) -> tuple[int, str]:
        words = run_command(self._detector, *more, iterations=iteration)
        words[words.index("run")] = "reco"
        done = call(words, self.directory)
        return done.returncode, done.stdout + done.stderr

    def millepede(self, where: str, *more: str) -> tuple[int, str]:
        done = call_here(command("millepede", "-i", f"{NAME}/{where}", *more), self.directory)
        return done.returncode, done.stdout + done.stderr

    def status(self) -> dict[str, object]:
        said = call_here(command("status", "--json", NAME), self.directory).stdout
        status: dict[str, object] = json.loads(said)
        return status

    def delivered(self, iteration: int) -> int:
        return len(list((self.workspace / f"iter{iteration:02d}/2kfalignment").glob("*.root")))

    def constants(self) -> dict[str, bytes]:
        return constants(self.workspace)


def constants(workspace: Path) -> dict[str, bytes]:
    found = sorted(workspace.glob("iter*/3millepede/inputforalign.txt"))
    return {path.parent.parent.name: path.read_bytes() for path in found}


@pytest.mark.long
def test_come_back_later_and_the_next_link_finds_what_it_needs(
    tmp_path: Path, simulated: SimulatedDetector, two_iterations: Path
) -> None:
    person = IterationByHand(tmp_path, simulated)
    two = ("--set", "alignment.default_iterations=2")
    for iteration in (1, 2):
        code, said = person.reco(iteration, *two)
        assert code == 0, said
        assert checkpoint(person.workspace)["state"] == "wait_reco"
        wait_until(lambda: person.delivered(iteration) == 2, "the outputs are there")  # noqa: B023
        status = person.status()
        assert (status["state"], status["daemon"]) == ("wait_reco", None)
        assert status["jobs"]["delivered"] == 2  # type: ignore[index]
        assert "next by hand: auto-iter millepede -i" in str(status["remark"])
        # as the scripts before are called: with the reconstruction's directory
        code, said = person.millepede(f"iter{iteration:02d}/1reco/")
        assert code == 0, said
        assert "accepted" not in said
    assert person.constants() == constants(two_iterations)
    history = checkpoint(person.workspace)["history"]
    assert [each["iteration"] for each in history] == [1, 2]
    # two were meant to be all, but who asks for a third gets it
    assert checkpoint(person.workspace)["state"] == "done"
    assert "has its constants; the next one is 3" in person.reco(2, *two)[1]
    assert "this workspace is at 2" in person.reco(4, *two)[1]
    code, said = person.reco(3, "--wait", *two)
    assert code == 0, said
    assert person.delivered(3) == 2


def test_what_is_not_finished_is_said_and_what_failed_is_submitted_again(
    tmp_path: Path, simulated: SimulatedDetector
) -> None:
    person, good = IterationByHand(tmp_path, simulated), tmp_path / "good"
    picky = program(
        tmp_path / "picky.sh",
        f'case "$*" in *00401*) [ -e {good} ] || exit 1;; esac; exec faser_reco_alignment.py "$@"',
    )
    setting = ("--set", f"reco.program={picky}")
    assert person.reco(2, *setting)[0] == 2
    assert not person.workspace.exists()
    assert person.reco(1, *setting)[0] == 0

    def jobs() -> object:
        return {key: person.status()["jobs"][key] for key in ("running", "idle", "delivered")}  # type: ignore[index]

    wait_until(lambda: person.delivered(1) == 1, "the other output is there")
    wait_until(lambda: jobs() == {"running": 0, "idle": 0, "delivered": 1}, "all jobs ended")
    code, said = person.reco(2, *setting)
    assert code == 2
    assert (
        "iteration 1 has no constants yet: 1 of 2 raw files are reconstructed, and no job" in said
    )
    code, said = person.millepede("iter01")
    assert code == 0, said
    assert "a what-if, from which nothing goes on (1 of 2 raw files are reconstructed" in said
    assert not (person.workspace / "iter01/3millepede/inputforalign.txt").exists()
    good.touch()
    assert person.reco(1, *setting)[0] == 0
    wait_until(lambda: person.delivered(1) == 2, "the missing output is there")
    assert person.millepede("iter01")[0] == 0
    assert list(person.constants()) == ["iter01"]
    code, said = person.reco(2, "--wait", *setting)
    assert code == 0, said
    assert person.delivered(2) == 2


@pytest.mark.parametrize(
    ("more", "name"),
    [
        (("--strategy", SINGLE), "3st-single"),
        (("--strategy", SINGLE, "--name", "one-step"), "one-step"),
        ((), "3st"),
        (("--set", "millepede.cuts.min_hits=16"), "3st"),
    ],
)
def test_a_what_if_touches_nothing_that_counts(
    more: tuple[str, ...], name: str, aligned: Path, simulated: SimulatedDetector
) -> None:
    person = IterationByHand(aligned.parent, simulated)
    kept = constants(aligned), (aligned / "state.yaml").read_bytes()
    solution = (aligned / "iter01/3millepede/solution.json").read_bytes()
    code, said = person.millepede("iter01", *more)
    assert code == 0, said
    place = aligned / "iter01/3millepede.by-hand" / name
    assert f"new constants: {place}/inputforalign.txt" in said
    assert "a what-if, from which nothing goes on" in said
    if more[:1] == ("--strategy",):
        again = person.millepede("iter01", *more)
        if "--name" in more:
            assert (again[0], f"{place} is there already" in again[1]) == (2, True)
        else:
            assert f"{place}-2/inputforalign.txt" in again[1]
    assert (constants(aligned), (aligned / "state.yaml").read_bytes()) == kept
    assert (aligned / "iter01/3millepede/solution.json").read_bytes() == solution


def test_accepted_constants_are_gone_on_from_and_what_came_after_is_done_again(
    aligned: Path, simulated: SimulatedDetector
) -> None:
    person, before = IterationByHand(aligned.parent, simulated), constants(aligned)
    code, said = person.millepede("iter01", "--strategy", SINGLE, "--accept")
    assert code == 0, said
    accepted = constants(aligned)
    assert list(accepted) == ["iter01"]
    assert accepted["iter01"] != before["iter01"]
    replaced = aligned / "iter01/3millepede.replaced-1/inputforalign.txt"
    assert replaced.read_bytes() == before["iter01"]
    assert (aligned / "outdated-1/iter02/3millepede/inputforalign.txt").exists()
    words = "from 3millepede.by-hand/3st-single; iter02 outdated and set aside"
    assert words in in_one_line(call_here(command("status"), aligned.parent).stdout)
    assert words in str(person.status()["history"])
    assert "constants accepted by hand" in (aligned / "log.jsonl").read_text()
    manifest = read_manifest(Workspace(aligned), 1)
    assert manifest.by_hand is not None
    assert manifest.strategy == parse_strategy(manifest.strategy_text, "manifest").name
    assert manifest.strategy_text == read_strategy(SINGLE)
    resumed = call(command("resume", str(aligned)), aligned.parent)
    assert resumed.returncode == NOT_CONVERGED_EXIT_CODE
    redone = constants(aligned)
    assert redone["iter01"] == accepted["iter01"]
    assert redone["iter02"] != before["iter02"]
    assert (aligned / "iter02/1reco/inputforalign.txt").read_bytes() == accepted["iter01"]
    assert "starts from constants by hand" in (aligned / "log.jsonl").read_text()


def test_nobody_replaces_what_a_daemon_works_on(
    aligned: Path, simulated: SimulatedDetector
) -> None:
    person = IterationByHand(aligned.parent, simulated)
    kept = constants(aligned)
    lock = WorkspaceLock(aligned / "daemon.lock")
    lock.acquire()
    try:
        refused = person.millepede("iter02", "--accept")
        assert refused[0] == 2
        assert f"held by pid {os.getpid()} on " in refused[1]
        assert not (aligned / "iter02/3millepede.by-hand").exists()
        code, said = person.millepede("iter02")
    finally:
        lock.release()
    assert code == 0
    at_work = f"auto-iter is already working on it (pid {os.getpid()}"
    assert f"a what-if, from which nothing goes on ({at_work}" in said
    assert constants(aligned) == kept


def test_constants_that_count_are_not_written_over_by_a_link(
    aligned: Path, simulated: SimulatedDetector
) -> None:
    del simulated
    kept = constants(aligned)
    chain = aligned / "iter01/3millepede"
    words = ("constants", "-i", str(aligned / "iter01/1reco/inputforalign.txt"))
    refusal = call_here(
        command("millepede", *words, str(chain / "millepede.res"),
                "-o", str(chain / "inputforalign.txt")),
        aligned.parent,
    )  # fmt: skip
    assert refusal.returncode == 2
    assert "the constants that this iteration found; write elsewhere" in refusal.stderr
    assert constants(aligned) == kept


def test_what_was_damaged_meanwhile_is_made_whole_by_whoever_goes_on(aligned: Path) -> None:
    kept = constants(aligned)
    (aligned / "iter02/3millepede/inputforalign.txt").write_text("")
    resumed = call(command("resume", str(aligned), "-i", "3"), aligned.parent)
    assert resumed.returncode in {0, NOT_CONVERGED_EXIT_CODE}
    assert constants(aligned).items() > kept.items()
    assert "WARNING: does not match its checksum; written again" in resumed.stderr
    # what nobody goes on from is not touched, but not believed either
    used = aligned / "iter02/1reco/inputforalign.txt"
    used.write_text(used.read_text().replace("1", "2", 1))
    refused = call_here(command("millepede", "-i", str(aligned / "iter02")), aligned.parent)
    assert refused.returncode == 2
    assert f"{used}: does not match its checksum: iteration 2 was reconstructed" in refused.stderr
    assert "iter01/3millepede/inputforalign.txt should have the same" in refused.stderr
    assert not (aligned / "iter02/3millepede.by-hand").exists()
    copied = aligned / "iter01/2kfalignment"
    shutil.copy(copied / "kfalignment_011705_00400.root", copied / "kfalignment_011705_00401.root")
    refused = call_here(command("millepede", "-i", str(aligned / "iter01")), aligned.parent)
    assert refused.returncode == 2
    assert "00400.root, kfalignment_011705_00401.root: hold the same tracks" in refused.stderr
