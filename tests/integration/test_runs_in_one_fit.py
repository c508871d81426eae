"""One alignment of raw files of two runs, as a person makes it and looks at it afterwards."""

from __future__ import annotations

import json
from pathlib import Path

from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from auto_iter.ledger.export import Wanted, export
from tests.integration.commands import call, command

RUNS = "011705:400,011710:400@0.5"
NAME = "Y2023_R011705_F400_R011710_F400x0.5"
FILES = ["011705:00400", "011710:00400"]


def say(where: Path, *words: str) -> str:
    done = call(command(*words), where)
    assert done.returncode in {0, NOT_CONVERGED_EXIT_CODE}, done.stderr
    return done.stdout


def test_raw_files_of_two_runs_are_aligned_in_one_fit(tmp_path: Path) -> None:
    said = say(tmp_path, "simulate", "sim", "-r", RUNS, "--events", "450")
    assert f"auto-iter run -y 2023 -r {RUNS} -i 10" in said
    options = ["-y", "2023", "-r", RUNS, "-i", "1", "--config", "sim/config.yaml"]
    quick = ["--set", "alignment.polling_interval_seconds=1", "--set", "alignment.report=never"]
    say(tmp_path, "run", *options, *quick)

    workspace = tmp_path / NAME
    names = {f"kfalignment_{each.replace(':', '_')}.root" for each in FILES}
    assert {path.name for path in (workspace / "iter01/2kfalignment").iterdir()} == names
    status = json.loads(say(tmp_path, "status", NAME, "--json"))
    assert (status["run"], status["files"], status["history"][0]["files"]) == (
        "011705,011710", RUNS, 2,
    )  # fmt: skip
    listed = json.loads(say(workspace, "files", "list", "--json"))["files"]
    assert [(each["file"], each["state"]) for each in listed] == [
        (each, "reconstructed") for each in FILES
    ]
    steering = workspace / "iter01/3millepede/step0/steer.txt"
    binaries = [line.rpartition("/")[2] for line in steering.read_text().splitlines()]
    assert "mp2input_011705_00400.bin" in binaries
    assert "mp2input_011710_00400.bin -- 0.5" in binaries
    told = json.loads((workspace / "iter01/manifest.json").read_text())
    assert len({each["tracks"] for each in told["raw_files"].values()}) == 2
    assert "2 raw files: reproduced, byte by byte" in say(tmp_path, "reproduce", f"{NAME}/iter01")
    valid = export(workspace, Wanted(force="a test"), {}, 0.0)
    assert (valid.since, valid.until) == (11705, 11710)
