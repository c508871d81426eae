"""The chain of one iteration, as the daemon's children and as the command line run it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auto_iter.config.cuts import TrackCuts
from auto_iter.errors import TRANSIENT_EXIT_CODE, DamagedError, InputError, PhysicsError
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.integrity import refuse_lost_records
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.results import ConversionRecord, RootFile, SolutionRecord, read_record
from auto_iter.millepede.workflow import solve

DATA = Path(__file__).parents[1] / "data"
REFERENCE = DATA / "kfalignment"
SINGLE = DATA / "strategies/3st-single.yaml"
TWO_STEPS = SINGLE.with_name("3st-two-steps.yaml")
ENV = {**os.environ, "PATH": "/nowhere"}


def worker(what: str, request: dict[str, Any], directory: Path) -> subprocess.CompletedProcess[str]:
    path = directory / f"{what}.json"
    path.write_text(json.dumps(request, default=str))
    command = [sys.executable, "-m", "auto_iter.iteration.worker", what, str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=ENV)


def convert_request(directory: Path, roots: list[Path]) -> dict[str, Any]:
    sources = [
        {
            "number": number,
            "root": root,
            "binary": directory / f"{number}.bin",
            "statistics": directory / f"{number}.json",
        }
        for number, root in enumerate(roots)
    ]
    return {"sources": sources}


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("mille")
    roots = sorted((REFERENCE / "clean/2kfalignment").glob("*.root"))
    assert worker("convert", convert_request(directory, roots), directory).returncode == 0
    return directory


def request(converted: Path, directory: Path, **changed: Any) -> SolveRequest:
    directory.mkdir(exist_ok=True)
    return SolveRequest.model_validate(
        {
            "directory": directory,
            "binaries": [converted / "0.bin", converted / "1.bin"],
            "statistics": [converted / "0.json", converted / "1.json"],
            "previous": REFERENCE / "clean/previous.txt",
            "strategy": str(SINGLE),
            "solver": "builtin",
            **changed,
        }
    )


def test_the_binaries_in_order_are_those_of_the_converter_in_use(converted: Path) -> None:
    binaries = [(converted / f"{number}.bin").read_bytes() for number in range(2)]
    assert b"".join(binaries) == (REFERENCE / "clean/mp2input.bin").read_bytes()
    record = read_record(converted / "0.json")
    assert record.error is None
    assert record.statistics.records + read_record(converted / "1.json").statistics.records == 1092


def test_a_bad_root_file_gives_a_record_with_the_error_and_no_binary(tmp_path: Path) -> None:
    bad = tmp_path / "bad.root"
    bad.write_text("words")
    (tmp_path / "0.bin").write_text("from an earlier attempt")
    done = worker("convert", convert_request(tmp_path, [bad, tmp_path / "none.root"]), tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    for number, name in enumerate(("bad.root", "none.root")):
        record = ConversionRecord.model_validate_json((tmp_path / f"{number}.json").read_bytes())
        assert record.error is not None
        assert name in record.error
        assert "\n" not in record.error
        assert not (tmp_path / f"{number}.bin").exists()


def test_the_new_constants_are_those_of_the_tools_in_use(converted: Path, tmp_path: Path) -> None:
    record = solve(request(converted, tmp_path), ENV)
    ours = (tmp_path / "inputforalign.txt").read_text()
    assert ours == (REFERENCE / "clean/inputforalign.txt").read_text()
    assert (record.solver, record.exit_codes, record.records) == ("builtin", (1,), 1092)
    assert record.chi2_ndf == pytest.approx(0.88186143692559715)
    assert SolutionRecord.model_validate_json((tmp_path / "solution.json").read_bytes()) == record


def test_two_steps_leave_their_files_and_the_second_one_counts(
    converted: Path, tmp_path: Path
) -> None:
    record = solve(request(converted, tmp_path, strategy=str(TWO_STEPS)), ENV)
    assert len(record.exit_codes) == len(record.steps) == 2
    for name in ("millepede.res", "millepede.end", "mp2par_ss.txt", "steer.txt"):
        assert (tmp_path / name).read_bytes() == (tmp_path / "step1" / name).read_bytes()
    by_label = {parameter.label: parameter for parameter in record.parameters}
    assert by_label[201].sigma is not None
    assert by_label[211].sigma is not None
    assert by_label[211].value != 0
    with np.load(tmp_path / "matrix.npz") as matrix:
        assert matrix["hessian"].shape == (len(matrix["labels"]),) * 2


def test_the_same_input_gives_the_same_bytes(converted: Path, tmp_path: Path) -> None:
    written = []
    for name in ("one", "other"):
        solve(request(converted, tmp_path / name, strategy="3st"), ENV)
        files = {path.name: path for path in (tmp_path / name).iterdir() if path.is_file()}
        files.pop("millepede.log")  # names the directory
        written.append({name: path.read_bytes() for name, path in files.items()})
    assert written[0] == written[1]


def test_the_combinations_that_data_do_not_fix_are_told_on_request(
    converted: Path, tmp_path: Path
) -> None:
    record = solve(request(converted, tmp_path, eigen=True), ENV)
    assert len(record.weakest_modes) == 10
    assert record.weakest_modes[0].uncertainty is None


def test_solving_again_replaces_what_an_interrupted_attempt_left(
    converted: Path, tmp_path: Path
) -> None:
    (tmp_path / "step7").mkdir()
    (tmp_path / "solution.json").write_text("half")
    solve(request(converted, tmp_path), ENV)
    assert not (tmp_path / "step7").exists()
    assert json.loads((tmp_path / "solution.json").read_text())["iteration"] == 1


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"max_shift_mm": 0.01}, PhysicsError, "max_shift_mm"),
        ({"max_rotation_rad": 1e-6}, PhysicsError, "max_rotation_rad"),
        ({"time_limit_s": 0.001}, PhysicsError, "time_limit_s"),
        ({"strategy": "4sst"}, InputError, "did you mean '4st'"),
        ({"previous": Path("/nowhere/inputforalign.txt")}, InputError, "no such file"),
        ({"binaries": [Path("/nowhere/0.bin")]}, DamagedError, "cannot be read"),
        ({"statistics": [Path("/nowhere/0.json")]}, InputError, "cannot be read"),
    ],
)
def test_what_makes_no_sense_is_refused_and_leaves_no_solution(
    converted: Path, tmp_path: Path, changed: dict[str, Any], error: type[Exception], message: str
) -> None:
    (tmp_path / "solution.json").write_text("old")
    with pytest.raises(error, match=message):
        solve(request(converted, tmp_path, **changed), ENV)
    assert not (tmp_path / "solution.json").exists()
    assert not (tmp_path / "inputforalign.txt").exists()


def test_no_track_within_the_cuts_is_a_clear_failure(converted: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.bin").touch()
    nothing = {"statistics": Statistics(), "binary": None, "checksum": ""}
    record = read_record(converted / "0.json").model_copy(update=nothing)
    (tmp_path / "empty.json").write_text(record.model_dump_json())
    empty = {"binaries": [tmp_path / "empty.bin"], "statistics": [tmp_path / "empty.json"]}
    with pytest.raises(PhysicsError, match="no track passed the cuts"):
        solve(request(converted, tmp_path, **empty), ENV)


def test_records_that_the_solver_does_not_read_are_missed() -> None:
    record = ConversionRecord(
        number=1, root="", source=RootFile(size=1, mtime_ns=1), cuts=TrackCuts(),
        statistics=Statistics(records=7),
    )  # fmt: skip
    for read in (0, 14):
        refuse_lost_records(read, [record, record])
    with pytest.raises(PhysicsError, match="pede has read 7 records, but 14 were converted"):
        refuse_lost_records(7, [record, record])


def fake_pede(directory: Path, code: int) -> Path:
    """Return a pede that answers with the reference's result and `code`."""
    program = directory / "pede"
    program.write_text(
        f"#!{sys.executable}\nimport shutil\n"
        f"for name in ('millepede.res', 'millepede.log'):\n"
        f"    shutil.copy('{REFERENCE}/clean/' + name, name)\n"
        f"open('millepede.end', 'w').write('   {code}   words')\n"
        "open('millepede.his', 'w').close()\n"
    )
    program.chmod(0o755)
    return program


def test_pede_is_used_when_there_is_one(converted: Path, tmp_path: Path) -> None:
    changed = {"solver": "auto", "pede_install": fake_pede(tmp_path, 2)}
    record = solve(request(converted, tmp_path / "out", **changed), ENV)
    ours = (tmp_path / "out/inputforalign.txt").read_text()
    assert ours == (REFERENCE / "clean/inputforalign.txt").read_text()
    assert (record.solver, record.records) == ("pede", 1092)
    assert record.chi2_ndf == pytest.approx(0.88186143692559715)
    fewest, warning = record.warnings
    assert fewest.startswith("step 0: fewest hits: station 2 layer 2 module 0 side 0 x: 40, ")
    assert "insufficient measurements" in warning
    assert (tmp_path / "out/step0/millepede.his").exists()


def test_a_refusal_of_pede_is_told_with_its_meaning(converted: Path, tmp_path: Path) -> None:
    changed = {"solver": "pede", "pede_install": fake_pede(tmp_path, 26)}
    with pytest.raises(PhysicsError, match="exit code 26, too many rejects"):
        solve(request(converted, tmp_path / "out", **changed), ENV)


def test_a_worker_says_in_one_line_what_is_wrong(converted: Path, tmp_path: Path) -> None:
    wrong = request(converted, tmp_path, solver="pede").model_dump(mode="json")
    done = worker("solve", wrong, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no pede on PATH" in done.stderr


def test_an_output_on_a_bad_disk_is_named_and_has_not_failed(tmp_path: Path) -> None:
    root = tmp_path / "kfalignment.root"
    root.symlink_to("/proc/self/mem")  # whoever reads its beginning gets EIO
    done = worker("convert", convert_request(tmp_path, [root]), tmp_path)
    assert (done.returncode, done.stderr) == (TRANSIENT_EXIT_CODE, f"{root}: Input/output error\n")
    assert not (tmp_path / "0.json").exists()


@pytest.mark.parametrize(
    "wrong", [{"sources": [], "strategie": "3st"}, {"sources": [{"number": "x"}]}]
)
def test_a_request_that_is_none_is_refused_in_one_line(
    tmp_path: Path, wrong: dict[str, Any]
) -> None:
    done = worker("convert", wrong, tmp_path)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "convert.json" in done.stderr


needs_pede = pytest.mark.skipif(shutil.which("pede") is None, reason="there is no pede on PATH")


@needs_pede
@pytest.mark.parametrize("strategy", ["3st", str(SINGLE), str(TWO_STEPS)])
def test_pede_and_the_built_in_solver_give_the_same_constants(
    converted: Path, tmp_path: Path, strategy: str
) -> None:
    results = []
    for solver in ("builtin", "pede"):
        changed = {"solver": solver, "strategy": strategy}
        record = solve(request(converted, tmp_path / solver, **changed), os.environ)
        results.append({each.label: each for each in record.parameters})
    for label, ours in results[0].items():
        theirs = results[1][label]
        assert ours.value == pytest.approx(theirs.value, rel=2e-5, abs=1e-4 * (ours.sigma or 0))
        assert ours.sigma == (
            None if theirs.sigma is None else pytest.approx(theirs.sigma, rel=1e-4)
        )


def test_four_stations_without_a_hit_in_the_ift_are_said_in_those_words(
    converted: Path, tmp_path: Path
) -> None:
    with pytest.raises(PhysicsError, match=r"no track has a hit in the interface tracker \(IFT\)"):
        solve(request(converted, tmp_path / "solved", stations=4), ENV)
