"""Raw files of several runs in one alignment: the list, its names, and what each file is called."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.control.raw_files import numbers_of
from auto_iter.errors import UsageError
from auto_iter.rawfiles import (
    MOST_RUN,
    RawRange,
    describe_missing,
    file_tag,
    logged,
    missing,
    raw_path,
    run_and_number,
    spoken,
    with_run,
)
from auto_iter.several_runs import (
    LONGEST_NAME,
    SeveralRuns,
    command_line,
    parse_files,
    parse_run_and_files,
    parts_of,
    weights,
)
from auto_iter.workspace.paths import Iteration, workspace_name
from states.step import Note

TWO = "011705:400-402,011710:400"
runs, numbers = st.integers(1, MOST_RUN), st.integers(0, 99_999)


def arguments(text: str = TWO) -> Arguments:
    run, files = parse_run_and_files(text, None)
    return Arguments(year=2023, run=run, files=files, iterations=3)


@given(runs, numbers)
def test_a_raw_file_is_one_number_and_back(run: int, number: int) -> None:
    raw_file = with_run(run, number)
    assert run_and_number(raw_file, None) == (run, number)
    assert run_and_number(number, run) == (run, number)
    assert int(file_tag(raw_file)) == raw_file
    assert int(file_tag(number)) == number
    assert spoken(raw_file) == f"{run:06d}:{number:05d}"


@given(st.tuples(runs, numbers), st.tuples(runs, numbers))
def test_raw_files_are_in_the_order_of_runs(one: tuple[int, int], other: tuple[int, int]) -> None:
    assert (with_run(*one) < with_run(*other)) == (one < other)


def test_a_list_is_put_in_order_and_read_back() -> None:
    _, files = parse_run_and_files("011710:400,11705:400:402", None)
    assert files.text == TWO
    assert parse_files(TWO) == files
    assert list(files) == [1170500400, 1170500401, 1171000400]
    assert len(files) == 3
    assert files.summary == "3 raw files of 2 runs, 011705:00400 to 011710:00400"
    assert workspace_name(2023, None, files) == "Y2023_R011705_F400-402_R011710_F400"
    assert command_line(None, files) == f"-r {TWO}"


def test_a_list_of_one_run_is_that_run_and_its_range() -> None:
    asked = parse_run_and_files("011705:400-450", None)
    assert asked == parse_run_and_files("11705", "400-450") == (11705, RawRange(400, 450))
    assert workspace_name(2023, *asked) == "Y2023_R011705_F400-450"
    assert [(part.run, part.files) for part in parts_of(*asked)] == [asked]


def test_two_ranges_of_one_run_are_possible() -> None:
    run, files = parse_run_and_files("011705:400-402,011705:500-502", None)
    assert (run, [spoken(each) for each in files][1:3]) == (None, ["011705:00401", "011705:00500"])
    assert files.summary.startswith("4 raw files of 1 run,")


@given(st.integers(1, 10**12).map(lambda parts: parts / 10**9))
def test_a_weight_is_read_back(weight: float) -> None:
    text = f"011705:400-402,011710:0-50@{weight:.9f}"
    files = parse_files(text)
    assert parse_files(files.text) == files
    assert weights(files) == ({} if weight == 1 else dict.fromkeys(list(files)[2:], weight))


def test_weights_are_part_of_the_name() -> None:
    _, files = parse_run_and_files("011710:0-50@0.50,011705:400-402@1", None)
    assert files.text == "011705:400-402,011710:0-50@0.5"
    assert workspace_name(2023, None, files) == "Y2023_R011705_F400-402_R011710_F0-50x0.5"
    assert weights(RawRange(400, 402)) == {}


def test_a_long_list_has_a_short_name_of_its_own() -> None:
    several = [",".join(f"{run}:0-{last}" for run in range(11700, 11740)) for last in (4, 5)]
    names = [workspace_name(2023, *parse_run_and_files(each, None)) for each in several]
    assert len(set(names)) == 2
    assert all(len(name) <= LONGEST_NAME for name in names)
    assert names[0].startswith("Y2023_R011700-R011739_160files_")


@pytest.mark.parametrize(
    ("run", "files", "said"),
    [
        ("011705", None, "-f/--files says which"),
        ("011705:400-402", "400", "leave -f 400 out"),
        ("011705,011710", "0-50", "say which raw files of which run"),
        ("011705:400,7", None, "say which raw files of which run"),
        ("011705:400-402,011705:401", None, "011705:00401: is in 011705:400-402 and in 011705:401"),
        ("011705:400,0:400", None, "run '0'"),
        ("011705:400,011710:", None, "raw files ''"),
        ("011705:400,011710:450-400", None, "the end is excluded"),
        ("011705:400,", None, "say which raw files of which run"),
        ("011705:400@0.5", None, "a weight is between ranges"),
        *(
            (f"011705:400,011710:400@{bad}", None, "a number above 0 and up to 1000")
            for bad in ("", "0", "-1", "1001", "1e-3", "nan", "x")
        ),
    ],
)
def test_what_makes_no_sense_is_refused(run: str, files: str | None, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        parse_run_and_files(run, files)


def test_paths_of_a_single_run_are_what_they_were() -> None:
    one, several = Iteration(Path("iter01"), 11705), Iteration(Path("iter01"), None)
    for paths, raw_file in ((one, 400), (several, 1170500400)):
        assert paths.output_name(raw_file) == "kfalignment_011705_00400.root"
        assert paths.mille_binary(raw_file).name == "mp2input_011705_00400.bin"
        assert paths.job_directory(raw_file) == Path("iter01/1reco/011705/00400")
        assert paths.number_of("kfalignment_011705_00400.root") == raw_file
        assert paths.number_of("kfalignment_011705_00400.root.bad") is None
    assert one.job_log(400, "log").name == "reco_00400.log"
    assert several.job_log(1170500400, "log").name == "reco_011705_00400.log"
    assert one.number_of("kfalignment_011710_00400.root") is None


def test_the_checkpoint_knows_the_list(tmp_path: Path) -> None:
    asked = Snapshot(workspace_id="x", arguments=arguments(), iteration_started_at=0.0)
    checkpoint.save(tmp_path / "state.yaml", asked)
    found, _ = checkpoint.load(tmp_path / "state.yaml")
    assert found.arguments == asked.arguments
    assert found.arguments.runs == (11705, 11710)


@pytest.mark.parametrize(("run", "files"), [(11705, TWO), (None, "400-450")])
def test_a_run_is_said_once(run: int | None, files: str) -> None:
    with pytest.raises(ValueError, match="run: is given for the files of one run"):
        Arguments.model_validate({"year": 2023, "run": run, "files": files, "iterations": 3})


def test_a_person_names_raw_files_with_their_run() -> None:
    asked = arguments()
    meant = numbers_of(["011710:400", "11705:400-402,011710:400"], asked)
    assert meant == (1170500400, 1170500401, 1171000400)
    with pytest.raises(UsageError, match="say which raw files of which run"):
        numbers_of(["400"], asked)


def test_what_is_missing_is_named_with_its_run(tmp_path: Path) -> None:
    there = raw_path(tmp_path, 2023, 11705, 400)
    there.parent.mkdir(parents=True)
    there.write_text("events")
    lost = missing(tmp_path, 2023, None, SeveralRuns.parse(TWO).numbers)
    assert describe_missing(lost, 3) == (
        f"{tmp_path / '2023'}: 2 of 3 raw files: 011705:00401 011710:00400 (not there)"
    )


def test_the_log_names_raw_files_of_several_runs() -> None:
    assert (logged(400), logged(1170500400)) == (400, "011705:00400")
    note = Note("bad output", {"file": 1170500400, "files": [1, 1170500401], "jobs": 1170500400})
    assert note.told == {
        "file": "011705:00400", "files": [1, "011705:00401"], "jobs": 1170500400,
    }  # fmt: skip
    mended = {"file": "iter02/1reco/inputforalign.txt", "files": 12, "reason": "why"}
    assert Note("mended", mended).told == mended
