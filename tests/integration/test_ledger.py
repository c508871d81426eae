"""The chain of evidence of a real alignment: made again, gone back to, branched from, compared."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from auto_iter.alignment.checkpoint import save
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word
from auto_iter.daemon.lifecycle import open_workspace
from auto_iter.errors import NOT_CONVERGED_EXIT_CODE, UsageError
from auto_iter.files import digest
from auto_iter.iteration.sealing import manifest_of
from auto_iter.ledger.branch import Branch, branch
from auto_iter.ledger.export import Wanted, export
from auto_iter.workspace.hashes import sealed
from auto_iter.workspace.manifest import Manifest, chain
from auto_iter.workspace.paths import Workspace
from tests.crash.disk import disks, read_log, restore
from tests.crash.hook.recorder import Recorder
from tests.integration.commands import (
    call,
    call_here,
    checkpoint,
    command,
    program,
)
from tests.support.killed import EVERY, killed_at

NAME = "Y2023_R011705_F400-402"
NOW = 1_700_000_000.0
SINGLE = str(Path(__file__).parents[1] / "data/strategies/3st-single.yaml")


def constants(workspace: Path) -> dict[str, bytes]:
    found = sorted(workspace.glob("iter*/3millepede/inputforalign.txt"))
    return {path.parents[1].name: path.read_bytes() for path in found}


def say(where: Path, *words: str) -> tuple[int, str]:
    run = call if words[0] == "resume" else call_here
    done = run(command(*words), where.parent)
    return done.returncode, done.stdout + done.stderr


def test_each_iteration_is_reproduced_byte_by_byte(two_iterations: Path) -> None:
    for iteration in ("iter01", "iter02"):
        code, said = say(two_iterations, "reproduce", f"{NAME}/{iteration}")
        assert (code, "2 raw files: reproduced, byte by byte" in said) == (0, True), said


def test_where_constants_cannot_be_made_again_it_says_what_is_other(aligned: Path) -> None:
    manifest = aligned / "iter02/manifest.json"
    told = json.loads(manifest.read_text())
    roots = [aligned / f"iter02/2kfalignment/kfalignment_011705_0040{n}.root" for n in (0, 1)]
    roots[1].write_bytes(roots[0].read_bytes())
    code, said = say(aligned, "reproduce", f"{NAME}/iter02")
    assert (code, "hold the same tracks" in said) == (2, True), said
    (aligned / "iter01/2kfalignment/kfalignment_011705_00401.root").replace(roots[1])
    code, said = say(aligned, "reproduce", f"{NAME}/iter02")
    assert code == 1
    assert "NOT reproduced" in said
    assert "file 00401: another ROOT file, with other tracks" in said
    roots[1].unlink()
    code, said = say(aligned, "reproduce", f"{NAME}/iter02")
    assert (code, "1 of 2 ROOT files are gone" in said) == (2, True), said
    manifest.write_text(json.dumps({**told, "constants": "0" * 64}))
    code, said = say(aligned, "reproduce", f"{NAME}/iter02")
    assert (code, "does not match its checksum" in said) == (2, True), said
    forged = Manifest.model_validate({**told, "constants": "0" * 64, "checksum": ""})
    manifest.write_text(sealed(forged).text)
    code, said = say(aligned, "reproduce", f"{NAME}/iter02")
    assert (code, "is not the one that the checkpoint knows" in said) == (2, True), said


def test_the_log_shows_the_chain_and_where_it_is_broken(aligned: Path) -> None:
    code, said = say(aligned, "constants", "log", NAME)
    history = checkpoint(aligned)["history"]
    assert code == 0, said
    assert all(each["manifest"][:8] in said for each in history)
    first, second = (json.loads((aligned / f"iter0{n}/manifest.json").read_text()) for n in (1, 2))
    assert second["previous"] == history[0]["manifest"]
    assert (first["previous"], first["made_by"]["solver"]) == ("", "builtin")
    assert second["constants_before"] == first["constants"]
    shutil.copy(aligned / "iter02/manifest.json", aligned / "iter01/manifest.json")
    code, said = say(aligned, "constants", "log", NAME)
    assert code == 1
    assert "BROKEN: the manifest is not the one that the checkpoint knows" in said


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("3millepede/inputforalign.txt", "its constants are not those that it found"),
        ("1reco/inputforalign.txt", "1reco/inputforalign.txt: is not what it was made with"),
        ("1reco/run_alignment.sh", "1reco/run_alignment.sh: is not what it was made with"),
    ],
)
def test_what_was_exchanged_since_breaks_the_chain(name: str, fault: str, aligned: Path) -> None:
    exchanged = aligned / "iter02" / name
    exchanged.write_text(exchanged.read_text().replace("0", "1", 1))
    opened = open_workspace(aligned)
    assert [each.fault for each in chain(opened.workspace, opened.snapshot.history)] == ["", fault]


def test_a_raw_file_that_was_left_out_after_all_is_no_part_of_the_evidence(
    aligned: Path,
) -> None:
    """It may have been reconstructed, and converted, before a person left it out."""
    mille, tracks = aligned / "iter02/3millepede/mille", aligned / "iter02/2kfalignment"
    left_out = json.loads((mille / "mp2input_011705_00401.json").read_text()) | {"number": 402}
    (mille / "mp2input_011705_00402.json").write_text(json.dumps(left_out))
    (tracks / "kfalignment_011705_00402.root").write_bytes(b"")
    opened = open_workspace(aligned)
    snapshot = opened.snapshot.but(history=opened.snapshot.history[:1])
    last = opened.snapshot.history[1]
    made = manifest_of(opened.workspace, snapshot, last, opened.config, os.environ)
    assert set(made.raw_files) == {400, 401}
    code, said = say(aligned, "reproduce", f"{NAME}/iter02")
    assert (code, "2 raw files: reproduced, byte by byte" in said) == (0, True), said


def test_rolled_back_and_resumed_the_same_constants_are_found_again(aligned: Path) -> None:
    before = constants(aligned)
    code, said = say(aligned, "rollback", NAME, "--to", "1")
    assert code == 0, said
    assert "iteration 2 is next" in said
    assert list(constants(aligned)) == ["iter01"]
    assert say(aligned, "resume", NAME)[0] == NOT_CONVERGED_EXIT_CODE
    assert constants(aligned) == before
    after = checkpoint(aligned)
    # new jobs, and not what was submitted for the iteration that is set aside
    assert (after["history"][1]["attempts"], after["failures"]) == (1, {})
    assert "rolled back to iteration 1" in after["history"][1]["warnings"][0]
    assert "rolled back to iteration 1" in say(aligned, "constants", "log", NAME)[1]


def test_a_branch_goes_on_from_an_iteration_and_leaves_the_alignment_alone(
    aligned: Path,
) -> None:
    before = {path: path.read_bytes() for path in aligned.rglob("*") if path.is_file()}
    words = ("branch", NAME, "--at", "1", "--strategy", SINGLE, "-o", "other", "-i", "1")
    code, said = say(aligned, *words)
    assert code == 0, said
    assert {path: path.read_bytes() for path in aligned.rglob("*") if path.is_file()} == before
    other = aligned.parent / "other"
    # it stands alone, also when it is moved
    moved = other.rename(aligned.parent / "moved")
    assert say(aligned, "resume", "moved")[0] in {0, NOT_CONVERGED_EXIT_CODE}
    first = moved / "iter01"
    assert (first / "1reco/inputforalign.txt").read_bytes() == constants(aligned)["iter01"]
    origin = json.loads((first / "manifest.json").read_text())
    assert origin["previous"] == checkpoint(aligned)["history"][0]["manifest"]
    assert f"branched from {NAME} iteration 1" in say(aligned, "constants", "log", "moved")[1]
    code, said = say(aligned, *words[:-4], "-o", "moved")
    assert (code, "is there already" in said) == (2, True)
    code, said = say(aligned, "branch", NAME, "--at", "9")
    assert (code, "iterations that have their constants: 1, 2" in said) == (2, True)


def test_constants_of_the_same_tracks_are_compared_without_a_p_value(two_iterations: Path) -> None:
    code, said = say(two_iterations, "constants", "diff", f"{NAME}/iter01", NAME)
    assert code == 0, said
    assert "independent combinations that both data determine" in said
    assert "2 raw files are in both" in said
    assert "p-value" in said
    assert "detector" not in said


def test_what_has_not_converged_is_exported_with_a_reason_only(aligned: Path) -> None:
    code, said = say(aligned, "export", NAME)
    assert (code, "not exported: " in said, "--force" in said) == (2, True, True), said
    assert not list(aligned.glob("export*"))
    code, said = say(aligned, "export", NAME, "--force", "for a test", "--since", "11000")
    assert code == 0, said
    place = aligned / "export-iter02"
    assert {path.name for path in place.iterdir()} == {
        "ALLP200.db", "FASER-05_ALLP200.db", "FASER-05_Align.pool.root", "PoolFileCatalog.xml",
        "README.txt", "export.json", "inputforalign.txt", "manifest.json",
    }  # fmt: skip
    told = json.loads((place / "export.json").read_text())
    assert (told["forced"], told["since"], told["until"]) == ("for a test", 11000, None)
    assert (told["tag"], told["read_back"]) == ("TRACKER-ALIGN-05", "ReadAlignmentConfig.py")
    assert told["manifest"] == checkpoint(aligned)["history"][1]["manifest"]
    assert (place / "inputforalign.txt").read_bytes() == constants(aligned)["iter02"]
    assert "is there already" in say(aligned, "export", NAME, "--force", "again")[1]


def test_a_database_that_reads_back_otherwise_is_no_export(aligned: Path) -> None:
    reader = program(aligned.parent / "reader", "echo '\"10\": [0.1, 0, 0, 0, 0, 0]'")
    config = aligned / "config.yaml"
    text = config.read_text()
    config.write_text(text.replace("reader: ReadAlignmentConfig.py", f"reader: {reader}"))
    code, said = say(aligned, "export", NAME, "--force", "for a test")
    assert (code, "reads back other constants than were written" in said) == (1, True), said
    assert not list(aligned.glob("*export*"))
    config.write_text(text.replace("reader: ReadAlignmentConfig.py", "reader: null"))
    assert "nothing reads it back" in say(aligned, "export", NAME)[1]


def test_a_branch_that_was_made_survives_a_power_cut(aligned: Path, tmp_path: Path) -> None:
    place, record, again = tmp_path / "disk" / "other", tmp_path / "record", tmp_path / "again"
    place.parent.mkdir()
    with Recorder(record, place.parent).at_work():
        branch(aligned, Branch(at=1, place=place), NOW)
    left = disks(read_log(record))
    restore(left.different[left.after[-1]], record, again)
    assert contents(again / "other") == contents(place)
    assert Workspace(place).env_script.is_file()


def contents(directory: Path) -> dict[Path, bytes]:
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory): path.read_bytes() for path in found}


@EVERY
def test_killed_anywhere_a_branch_is_there_as_a_whole_or_not_at_all(
    aligned: Path, tmp_path: Path, every: int
) -> None:
    place = tmp_path / "branches" / "other"
    place.parent.mkdir()
    steps = 0
    for steps in itertools.count(1, every):
        if not killed_at(steps, lambda: branch(aligned, Branch(at=1, place=place), NOW)):
            break
        if place.exists():
            opened = open_workspace(place)
            assert (opened.snapshot.state, opened.snapshot.iteration) == ("prepare", 1)
            assert opened.snapshot.origin is not None
            shutil.rmtree(place)
        # a hidden directory at the most, which is no alignment
        assert not [each for each in place.parent.iterdir() if not each.name.startswith(".")]
    assert open_workspace(place).snapshot.origin is not None
    assert steps > 10


@pytest.fixture
def writer_at_hand(aligned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wanted:
    """Have the site's programs write at once what they wrote before; return what to ask for."""
    wanted = Wanted(place=tmp_path / "first", force="for a test")
    written = tmp_path / "written"
    run = subprocess.run

    def once(command: list[str], **more: Any) -> subprocess.CompletedProcess[str]:
        made = Path(command[command.index("--export") + 1])
        if written.is_dir():
            for path in written.iterdir():
                (made / path.name).write_bytes(path.read_bytes())
            return subprocess.CompletedProcess(command, 0, "", "")
        done: subprocess.CompletedProcess[str] = run(command, **more)
        shutil.copytree(made, written)
        return done

    monkeypatch.setattr(subprocess, "run", once)
    export(aligned, wanted, os.environ, NOW)
    return replace(wanted, place=None)


@EVERY
def test_killed_anywhere_an_export_is_there_as_a_whole_or_not_at_all(
    aligned: Path, writer_at_hand: Wanted, every: int
) -> None:
    place, steps = aligned / "export-iter02", 0
    for steps in itertools.count(1, every):
        if not killed_at(steps, lambda: export(aligned, writer_at_hand, os.environ, NOW)):
            break
        if place.exists():
            assert_whole(place)
            shutil.rmtree(place)
    assert_whole(place)
    assert steps > 50


def test_an_export_survives_a_power_cut(
    aligned: Path, writer_at_hand: Wanted, tmp_path: Path
) -> None:
    """Also what the site's programs wrote, which know nothing of that."""
    place, record, again = tmp_path / "disk" / "export", tmp_path / "record", tmp_path / "again"
    place.parent.mkdir()
    with Recorder(record, place.parent).at_work():
        export(aligned, replace(writer_at_hand, place=place), os.environ, NOW)
    left = disks(read_log(record))
    restore(left.different[left.after[-1]], record, again)
    assert contents(again / "export") == contents(place)


def assert_whole(place: Path) -> None:
    told = json.loads((place / "export.json").read_text())
    found = {str(path): digest(content) for path, content in contents(place).items()}
    assert told["files"].items() < found.items()
    assert found.keys() - told["files"].keys() == {"export.json", "README.txt"}
    assert {"ALLP200.db", "inputforalign.txt", "manifest.json"} < told["files"].keys()


def test_of_what_got_worse_from_its_beginning_nothing_is_exported_unasked(aligned: Path) -> None:
    opened = open_workspace(aligned)
    worse = Verdict(word=Word.DIVERGING, sentence="it gets worse", found_by=0)
    save(opened.workspace.checkpoint, opened.snapshot.but(verdict=worse))
    with pytest.raises(UsageError, match="the constants that it began with count"):
        export(aligned, Wanted(force="for a test"), os.environ, NOW)
    code, said = say(aligned, "constants", "diff", f"{NAME}/iter01", NAME)
    assert (code, "the constants that it began with count" in said) == (2, True), said


def test_a_branch_leaves_out_what_the_alignment_left_out(aligned: Path) -> None:
    opened = open_workspace(aligned)
    save(opened.workspace.checkpoint, opened.snapshot.but(skipped={401: 2}, lost=(401,)))
    made = branch(aligned, Branch(at=1), NOW)
    begun = open_workspace(made.root).snapshot
    assert (begun.skipped, begun.lost) == ({401: 1}, (401,))


@pytest.mark.parametrize("words", [("branch", "--at", "1"), ("export", "--force", "for a test")])
def test_a_place_that_cannot_be_is_named_as_it_was_given(
    words: tuple[str, ...], aligned: Path
) -> None:
    verb, *rest = words
    code, said = say(aligned, verb, NAME, *rest, "-o", "nowhere/other")
    assert (code, said.strip().endswith("nowhere: No such file or directory")) == (2, True), said
