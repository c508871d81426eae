"""What is wrong with the input is said in one clear line, with the right exit code."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from auto_iter.cli import main
from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from tests.integration.commands import (
    DONE,
    SimulatedDetector,
    call,
    call_here,
    checkpoint,
    command,
    program,
    run_command,
    wait_until,
)

RUN = ("run", "-y", "2023", "-r", "011705", "-f", "400-402", "-i", "1")


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, simulated: SimulatedDetector) -> Path:
    """Return an empty directory to work in, with the simulation's configuration."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")  # where there is no pede
    shutil.copy(simulated.config, tmp_path / "auto_iter.yaml")
    return tmp_path


def refused(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str], here: Path
) -> tuple[int, str]:
    """Return exit code and the one line that was said; nothing may have been written."""
    before = sorted(here.rglob("*"))
    try:
        code = main(arguments)
    except SystemExit as exit_:  # argparse's way
        code = int(exit_.code or 0)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    assert sorted(here.rglob("*")) == before
    return code, said.err


def with_option(name: str, value: str) -> tuple[str, ...]:
    arguments = list(RUN)
    arguments[arguments.index(name) + 1] = value
    return tuple(arguments)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (with_option("-f", "450-450"), 2, "has to lie above the start"),
        (with_option("-f", "450:400"), 2, "has to lie above the start"),
        (with_option("-f", "4x0"), 2, "raw files '4x0'"),
        (with_option("-f", "123456"), 2, "at most five digits"),
        (with_option("-r", "0117a5"), 2, "run '0117a5'"),
        (with_option("-y", "202"), 2, "year '202'"),
        (with_option("-i", "0"), 2, "must be at least 1"),
        (with_option("-i", "many"), 2, "must be a whole number, got 'many'"),
        (with_option("-f", "400-405"), 2, "3 of 5 raw files: 00402..00404 (not there)"),
        ((*RUN, "--raw_dir", "nowhere"), 2, "nowhere: no such raw directory"),
        ((*RUN, "--raw_dir", "2023"), 2, "2023: no such raw directory"),
        ((*RUN, "--strategy", "3stt"), 2, "3st"),
        ((*RUN, "--threest", "--strategy", "ift-global"), 2, "needs 4 stations"),
        ((*RUN, "--set", "millepede.solver=pede"), 2, "there is no pede on PATH"),
        ((*RUN, "--set", "paths.pede_install=nowhere"), 2, "no pede at"),
        ((*RUN, "--set", "reco.memry_mb=1"), 2, "did you mean memory_mb?"),
        ((*RUN, "--set", "reco.memory_mb=much"), 2, "--set reco.memory_mb=much: reco.memory_mb"),
        ((*RUN, "--set", "reco.memory_mb"), 2, "must be key=value"),
        ((*RUN, "--config", "nowhere.yaml"), 2, "nowhere.yaml: No such file"),
        ((*RUN, "--iter", "3"), 2, "unrecognized arguments: --iter"),
        (("run", "-y", "2023"), 2, "required: -r/--run"),
        (RUN[:5], 2, "-f/--files says which raw files"),
        ((*RUN[:4], "011705:400,011710:9@0"), 2, "the weight after @ is a number above 0"),
        (("status",), 2, "no workspace here"),
        (("resume", "nowhere"), 2, "nowhere: no such workspace"),
        (("rnu",), 2, "invalid choice: 'rnu'"),
        (with_option("-f", "450-450")[1:], 2, "has to lie above the start"),  # without `run`
        (("-y", "2023"), 2, "auto-iter run: the following arguments are required: -r/--run"),
        ((*RUN, "--calypso_path", "nowhere"), 2, "nowhere: no such Calypso installation"),
        ((*RUN, "--raw_dir=~/nowhere"), 2, "/nowhere: no such raw directory"),
    ],
)
def test_it_is_refused_in_one_line_and_nothing_is_written(
    arguments: tuple[str, ...],
    code: int,
    said: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    got, line = refused(arguments, capsys, here)
    assert got == code
    assert said in line


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("reco:\n  memry_mb: 4000\n", "mine.yaml:2: reco.memry_mb: unknown key; did you mean"),
        (
            "reco:\n  memory_mb: much\n",
            "mine.yaml:2: reco.memory_mb: must be a whole number, got 'much'",
        ),
        ("reco: [1\n", "mine.yaml:2: "),
        ("- 1\n", "mine.yaml: must be sections"),
        ("alignment:\n  polling_interval_seconds: -5\n", "greater than 0"),
    ],
)
def test_a_wrong_configuration_is_told_with_its_line(
    text: str, said: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "mine.yaml").write_text(text)
    code, line = refused((*RUN, "--config", "mine.yaml"), capsys, here)
    assert code == 2
    assert said in line


DIGITS = "9" * 5001
BOMB = "paths: &a {raw_dir: [x, x]}\nreco: {asetup_input: [*a, *a, *a, *a, *a, *a]}\n"
SET = "--set"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((*RUN, "--config", "/dev/full"), "/dev/full: a device, not a file"),
        ((*RUN, "--config", "/dev/zero"), "/dev/zero: a device, not a file"),
        ((*RUN, "--config", "."), ".: Is a directory"),
        ((*RUN, "--config", "huge.yaml"), "huge.yaml: more than 1 MB"),
        ((*RUN, "--config", "self.yaml"), "self.yaml:1: an alias (*a)"),
        ((*RUN, "--config", "bomb.yaml"), "bomb.yaml:2: an alias (*a)"),
        ((*RUN, "--config", "deep.yaml"), "deep.yaml:1: nested too deeply"),
        ((*RUN, "--config", "digits.yaml"), "a number or a date that makes no sense"),
        ((*RUN, "--config", "twice.yaml"), "twice.yaml:3: reco is there twice, first in line 1"),
        ((*RUN, "--config", "key.yaml"), "key.yaml:3: memory_mb is there twice, first in line 2"),
        ((*RUN, "--config", "twice.json"), "twice.json:1: reco is there twice"),
        ((*RUN, SET, "paths=&a {raw_dir: *a}"), "an alias (*a)"),
        ((*RUN, SET, f"reco.memory_mb={DIGITS}"), "makes no sense"),
        ((*RUN, SET, "alignment.default_iterations=yes"), "must be a number, got True"),
        ((*RUN, SET, "alignment.default_iterations=5000"), "must be at most 1000, got 5000"),
        ((*RUN, SET, "alignment.polling_interval_seconds=true"), "must be a number, got True"),
        ((*RUN, SET, "millepede.cuts.max_residual_mm=true"), "must be a number, got True"),
        ((*RUN, SET, "htcondor.max_retries=false"), "must be a number, got False"),
        ((*RUN, SET, "htcondor.spool=2"), "must be true or false, got 2"),
        ((*RUN, SET, "paths.raw_dir=5"), "must be a path, got 5"),
        ((*RUN, SET, "reco=5"), "must be a section with settings, got 5"),
        ((*RUN, SET, "millepede.solver=fast"), "must be 'auto', 'builtin' or 'pede', got 'fast'"),
        ((*RUN, SET, "htcondor.job_flavour=brunch"), "'workday', 'tomorrow', 'testmatch'"),
        ((*RUN, SET, "htcondor.extra={queue: 5}"), "'queue' is no command of a submit"),
        ((*RUN, SET, 'htcondor.extra={"a b": 5}'), "'a b' is no command of a submit"),
        ((*RUN, SET, 'htcondor.extra={a: "1\\nqueue"}'), "holds a line break"),
        ((*RUN, SET, 'htcondor.requirements="x\\nqueue 9"'), "holds a line break"),
        ((*RUN, SET, 'htcondor.accounting_group="x\\ry"'), "holds a line break"),
        (with_option("-i", "99999999999999"), "-i 99999999999999: at most 1000 iterations"),
        (with_option("-i", DIGITS), "must be a whole number"),
        ((*RUN, "--strategy", "strategy.yaml"), "strategy.yaml: line 2: name is there twice"),
        ((*RUN, "--strategy", "method.yaml"), "pede.hugecut: must be greater than 0"),
        ((*RUN, "--strategy", "nowhere.yaml"), "nowhere.yaml: no such file"),
        ((*RUN, "--strategy", "~nobody-here/s.yaml"), "~nobody-here/s.yaml: no such file"),
        (
            ("millepede", "solve", "steer.txt", "--pede", "~nobody-here/p"),
            "no pede at ~nobody-here",
        ),
        ((*RUN, "--work_dir", "mis/typed/path"), "mis/typed/path: no such directory"),
        ((*RUN, "--batch", "htcondor"), "HTCondor is not configured on this machine"),
        (("simulate", "mis/typed/path"), "mis/typed: no such directory"),
        (("simulate", "new", "--layer-shift-um", "nan"), "must be a number, got 'nan'"),
        (("simulate", "new", "--noise", "inf"), "must be a number, got 'inf'"),
        (("simulate", "new", "--noise", "-1"), "must be at least 0, got '-1'"),
        (("simulate", "new", "--events", "0"), "must be at least 1, got '0'"),
        (("logs", "-n", "-5"), "must be at least 0, got '-5'"),
        (("stop", "--timeout", "nan"), "must be a number, got 'nan'"),
        (("constants", "plot", "flat.txt", "-o", "e.jpg"), "has to end in .png, .pdf, .svg"),
        (("constants", "plot", "flat.txt", "-o", "no/e.png"), "no/e.png: cannot be written"),
        (("constants", "show", "/bin/ls"), "/bin/ls: no constants"),
        (("millepede", "solve", "/bin/ls"), "/bin/ls: not text, so no steering file"),
        (("millepede", "convert", "x.root", "-o", "x", "--max-chi2", "nan"), "got 'nan'"),
        (("millepede", "convert", "x.root", "-o", "x", "--workers", "0"), "must be at least 1"),
        (("millepede", "dump", "flat.txt", "-n", "-1"), "must be at least 0"),
        (("millepede", "run", "-i", "."), "no 2kfalignment in or beside it"),
        (("resume", "a\x1bb"), "a?b: no such workspace"),
    ],
    ids=lambda value: " ".join(value)[-60:] if isinstance(value, tuple) else None,
)
def test_what_once_got_through_does_not(
    arguments: tuple[str, ...],
    said: str,
    here: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("CONDOR_CONFIG", raising=False)
    for name, text in (
        ("huge.yaml", "#" * 1_000_001),
        ("self.yaml", "paths: &a {raw_dir: *a}\n"),
        ("bomb.yaml", BOMB),
        ("deep.yaml", "[" * 100_000),
        ("digits.yaml", f"reco: {{memory_mb: {DIGITS}}}\n"),
        ("twice.yaml", "reco: {memory_mb: 1}\nbatch: {system: local}\nreco: {disk_mb: 1}\n"),
        ("key.yaml", "reco:\n  memory_mb: 1\n  memory_mb: 2\n"),
        ("twice.json", '{"reco": {}, "reco": {}}'),
        ("strategy.yaml", "name: a\nname: b\n"),
        ("method.yaml", "name: a\nphases: [{name: a, steps: [{}]}]\npede: {hugecut: -1}\n"),
        ("flat.txt", '"10": [0, 0, 0, 0, 0, 0]'),
    ):
        (here / name).write_text(text)
    got, line = refused(arguments, capsys, here)
    for pydantic_says in ("Input should", "unable to parse", "validation error"):
        assert pydantic_says not in line
    assert said in line
    assert got == 2


def test_a_picture_is_of_the_kind_that_its_name_says(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "flat.txt").write_text('"10": [1, 0, 0, 0, 0, 0]')
    for kind, head in (("png", b"\x89PNG"), ("pdf", b"%PDF-"), ("svg", b"<?xml")):
        output = here / f"e.{kind}"
        assert main(("constants", "plot", "flat.txt", "-o", str(output))) == 0
        assert output.read_bytes().startswith(head)
    assert capsys.readouterr().err == ""


def test_an_unreadable_raw_file_is_named(
    here: Path, capsys: pytest.CaptureFixture[str], simulated: SimulatedDetector
) -> None:
    shutil.copytree(simulated.config.parent / "raw", here / "raw")
    victim = here / "raw/2023/011705/Faser-Physics-011705-00401.raw"
    victim.unlink()
    victim.mkdir()  # root reads whatever the mode says, but no directory
    code, line = refused((*RUN, "--raw_dir", "raw"), capsys, here)
    assert code == 2
    assert "00401 (unreadable: Is a directory)" in line


def test_constants_to_start_from_must_be_finite(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "start.txt").write_text('"10": [0, NaN, 0, 0, 0, 0]')
    code, line = refused((*RUN, "--set", "alignment.initial_constants=start.txt"), capsys, here)
    assert code == 2
    assert "start.txt: key '10': y is nan, not a finite number" in line


def test_a_calypso_that_is_not_there_is_refused_though_a_script_is(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (here / "env.sh").write_text("export MINE=1\n")
    options = ("--env_script", "env.sh", "--calypso_path", "~/nowhere")
    code, line = refused((*RUN, *options), capsys, here)
    assert code == 2
    assert f"{Path.home()}/nowhere: no such Calypso installation; correct --calypso_path" in line


def test_a_script_that_wins_over_the_calypso_given_is_remarked_upon(
    here: Path, one_file: SimulatedDetector
) -> None:
    (installed,) = re.findall(r"calypso_install: (.*)", one_file.config.read_text())
    (here / "env.sh").write_text(f"source {installed}/setup.sh\n")
    other = here / "calypso"
    other.mkdir()
    (other / "setup.sh").touch()
    options = ("--env_script", "env.sh", "--calypso_path", str(other))
    line = [*run_command(one_file, *options)]
    line.remove("run")
    ran = call(line, here)
    assert ran.returncode == NOT_CONVERGED_EXIT_CODE  # after one iteration
    assert f"{here}/env.sh is there and is used as it is, though it does not name {other}" in (
        ran.stderr
    )


def test_a_wrong_calypso_costs_one_job_of_fifty(here: Path) -> None:
    raw = here / "raw/2023/011705"
    raw.mkdir(parents=True)
    for number in range(400, 450):
        (raw / f"Faser-Physics-011705-{number:05d}.raw").write_text("events")
    other = here / "another_release"
    other.mkdir()
    (other / "setup.sh").touch()
    (other / "asetup.faser").touch()
    asked = ("-y", "2023", "-r", "011705", "-f", "400-450", "-i", "2", "--raw_dir", "raw")
    poll = ("--set", "alignment.polling_interval_seconds=1")
    ran = call(
        command("run", *asked, "--calypso_path", str(other), "--env_script", "env.sh", *poll), here
    )
    assert ran.returncode == 1
    assert "exit code 20: the environment script failed" in ran.stderr
    tried = checkpoint(here / "Y2023_R011705_F400-450")["attempts"]
    assert [(each["first"], each["jobs"]) for each in tried] == [(400, 1)]
    assert len(list(here.glob("Y*/iter01/1reco/logs/*.err"))) == 1


def test_neither_env_script_nor_calypso_is_refused(
    here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_calypso = ("--set", "paths.calypso_install=null", "--env_script", "missing.sh")
    code, line = refused((*RUN, *no_calypso), capsys, here)
    assert code == 2
    assert "give --env_script or --calypso_path" in line


FAILING = {
    "it says why": ("echo no geometry >&2; exit 1", (), "no geometry"),
    "no ROOT file": (
        "touch Faser-Physics-011705-00400-kfalignment.root", (), "is not a ROOT file",
    ),
    "no file": ("exit 0", (), "left 0 files"),
    "no end": ("sleep 1000", ("--set", "reco.time_limit_s=1"), "time limit of 1 s"),
}  # fmt: skip


RESUMED = "no end"
"""The others are resumed in the long form."""


@pytest.mark.parametrize("name", [name for name in FAILING if name != RESUMED])
def test_a_reconstruction_that_fails_is_shown(
    name: str, here: Path, one_file: SimulatedDetector
) -> None:
    failed_reconstruction(name, here, one_file)


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name == RESUMED else pytest.mark.long) for name in FAILING],
)
def test_a_reconstruction_that_failed_is_resumed_once_mended(
    name: str, here: Path, one_file: SimulatedDetector
) -> None:
    workspace = failed_reconstruction(name, here, one_file)
    mended = ("--set", "reco.program=faser_reco_alignment.py", "--set", "reco.time_limit_s=null")
    assert call(command("resume", str(workspace), *mended), here).returncode in DONE


def failed_reconstruction(name: str, here: Path, one_file: SimulatedDetector) -> Path:
    """Return the workspace of an alignment that ended as its failure says."""
    text, settings, said = FAILING[name]
    bad = program(here / "reco.sh", text)
    once = ("--set", "reco.max_attempts=1", "--set", f"reco.program={bad}", *settings)
    failed = call(run_command(one_file, *once), here)
    workspace = here / "Y2023_R011705_F400"
    assert failed.returncode == 1
    assert "1 of 1 raw files" in failed.stdout
    assert said in failed.stdout
    assert "auto-iter resume" in failed.stdout
    assert list((workspace / "iter01/2kfalignment").iterdir()) == []
    assert checkpoint(workspace)["state"] == "failed"
    return workspace


@pytest.fixture
def finished(here: Path, one_iteration: Path) -> Path:
    """Return a finished workspace of one's own."""
    return shutil.copytree(one_iteration, here / one_iteration.name)


def test_a_damaged_checkpoint_is_noticed_and_the_backup_used(finished: Path) -> None:
    state = finished / "state.yaml"
    state.write_bytes(state.read_bytes()[:400])
    resumed = call(command("resume", str(finished)), finished.parent)
    assert resumed.returncode in DONE
    assert "the backup is used" in resumed.stderr
    assert checkpoint(finished)["state"] == "done"
    state.write_bytes(state.read_bytes()[:400])
    (finished / "state.yaml.bak").unlink()
    lost = call_here(command("resume", str(finished)), finished.parent)
    assert lost.returncode == 1
    assert lost.stderr.count("\n") == 1
    assert "damaged" in lost.stderr


def test_a_newer_checkpoint_is_refused_and_left_alone(finished: Path) -> None:
    state = finished / "state.yaml"
    state.write_text(state.read_text().replace("schema: 1", "schema: 99"))
    newer = state.read_bytes()
    refusal = call_here(command("resume", str(finished)), finished.parent)
    assert refusal.returncode == 1
    assert "schema 99 is newer than this auto-iter knows" in refusal.stderr
    assert state.read_bytes() == newer


def test_other_arguments_for_the_same_workspace_are_refused_by_name(
    finished: Path, one_file: SimulatedDetector
) -> None:
    other = run_command(one_file, "--fourst", "--set", "reco.max_attempts=7", iterations=4)
    refusal = call_here(other, finished.parent)
    assert refusal.returncode == 2
    for difference in (
        "iterations is 1 there, not 4",
        "stations is 3 there, not 4",
        "reco.max_attempts is 3 there, not 7",
    ):
        assert difference in refusal.stderr


def test_iterations_without_a_checkpoint_are_not_taken_over(
    finished: Path, one_file: SimulatedDetector
) -> None:
    for name in ("state.yaml", "state.yaml.bak"):
        (finished / name).unlink()
    refusal = call_here(run_command(one_file), finished.parent)
    assert refusal.returncode == 2
    assert "has iterations, but no state.yaml" in refusal.stderr


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("  state: done", "  state: bogus", "state 'bogus' is none of prepare, "),
        ("    files: '400'", "    files: abc", "raw files 'abc'"),
        ("    year: 2023", "    year: 3", "arguments.year: must be at least 2020"),
    ],
)
def test_what_was_edited_into_a_checkpoint_is_checked(
    old: str, new: str, said: str, finished: Path
) -> None:
    state = finished / "state.yaml"
    edited = re.sub(r"(?m)^checksum: .*$", "checksum: edited", state.read_text())
    assert old in edited
    state.write_text(edited.replace(old, new))
    (finished / "state.yaml.bak").unlink()
    refusal = call_here(command("resume", str(finished)), finished.parent)
    assert refusal.returncode == 1
    assert refusal.stderr.count("\n") == 1
    assert said in refusal.stderr


def test_a_setting_that_cannot_work_is_refused_and_not_kept(finished: Path) -> None:
    before = (finished / "config.yaml").read_bytes()
    wrong = ("--set", "alignment.strategy=4st")
    refusal = call_here(command("resume", str(finished), "-i", "2", *wrong), finished.parent)
    assert refusal.returncode == 2
    assert "needs 4 stations" in refusal.stderr
    assert (finished / "config.yaml").read_bytes() == before


def test_outputs_made_with_other_constants_are_not_used(finished: Path) -> None:
    state = finished / "state.yaml"
    edited = re.sub(r"(?m)^checksum: .*$", "checksum: edited", state.read_text())
    state.write_text(edited.replace("  state: done", "  state: prepare"))
    given = finished.parent / "given.txt"
    given.write_text('"10": [1, 0, 0, 0, 0, 0]')
    setting = ("--set", f"alignment.initial_constants={given}")
    refusal = call_here(command("resume", str(finished), *setting), finished.parent)
    assert refusal.returncode == 1
    assert "reconstructed with other constants" in refusal.stdout


def test_garbage_in_lock_and_log_is_no_reason_to_die(finished: Path) -> None:
    (finished / "daemon.lock").write_bytes(b"gar\xffbage{")
    with (finished / "log.jsonl").open("ab") as log:
        log.write(b"\xff\xfe\n")
    for name in ("status", "logs", "stop"):
        assert call_here(command(name, str(finished)), finished.parent).returncode == 0


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """Return a file system of 40 MB: enough for an alignment, until something else fills it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)]
    may_mount = os.geteuid() == 0 and shutil.which("mount") is not None
    if not may_mount or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("file systems cannot be mounted here")
    yield disk
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_is_refused_at_the_start(
    here: Path, small_disk: Path, simulated: SimulatedDetector
) -> None:
    fill(small_disk, leave=100_000)
    refusal = call(run_command(simulated, "--work_dir", str(small_disk)), here)
    assert refusal.returncode == 1
    assert "No space left on device; a workspace needs a writable disk" in refusal.stderr
    assert not list(small_disk.glob("Y*"))


def test_a_read_only_disk_is_refused(
    here: Path, small_disk: Path, simulated: SimulatedDetector
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    refusal = call(run_command(simulated, "--work_dir", str(small_disk)), here)
    assert refusal.returncode == 1
    assert "Read-only file system; a workspace needs a writable disk" in refusal.stderr


def test_a_disk_that_fills_up_is_waited_for_and_no_job_is_blamed(
    here: Path, small_disk: Path, simulated: SimulatedDetector
) -> None:
    go = here / "go"
    slow = program(
        here / "reco.sh",
        f'while [ ! -e {go} ]; do sleep 0.05; done; exec faser_reco_alignment.py "$@"',
    )
    workspace = small_disk / "Y2023_R011705_F400-402"
    daemon = subprocess.Popen(
        run_command(
            simulated, "--work_dir", str(small_disk),
            "--set", f"reco.program={slow}", "--set", "reco.max_attempts=1",
        ),
        cwd=here, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    wait_until(lambda: checkpoint(workspace).get("progress", {}).get("running"), "jobs run")
    filler = fill(small_disk, leave=0)
    go.touch()
    assert daemon.stderr is not None
    for line in daemon.stderr:
        if "not counted as failed" in line:  # all have met the full disk
            break
    filler.unlink()
    told = daemon.stderr.read()
    assert daemon.wait() in DONE, told
    assert "job failed" not in told
    assert checkpoint(workspace)["state"] == "done"


def fill(disk: Path, *, leave: int) -> Path:
    """Use up all space of a file system but `leave` bytes."""
    filler = disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as content:
        while shutil.disk_usage(disk).free > leave:
            content.write(bytes(4096))
    return filler
