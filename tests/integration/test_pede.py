"""pede as a program: a small stand-in takes its place, so that every way to end can be had."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import psutil
import pytest

from auto_iter.errors import PermanentError, PhysicsError
from auto_iter.millepede.exit_codes import ENDINGS, Use, ending_of
from auto_iter.millepede.pede.program import RunLimits, choose_pede, find_pede, run_pede
from auto_iter.millepede.pede.result_files import read_ending

ENV = dict(os.environ)


def make_pede(path: Path, body: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!{sys.executable}\nimport os, sys, time, subprocess\n{body}\n")
    path.chmod(0o755)
    return path


def ends_with(code: int) -> str:
    return f"open('millepede.end', 'w').write('   {code:2d}   some words\\n')"


@pytest.mark.parametrize(
    ("code", "use", "good_by_hand"),
    [
        (0, Use.ACCEPT, True),
        (1, Use.ACCEPT, True),
        (2, Use.WARN, True),
        (3, Use.REFUSE, True),
        (4, Use.FAIL, False),
        (5, Use.FAIL, False),
        (-1, Use.FAIL, False),
        (26, Use.FAIL, False),
        (99, Use.FAIL, False),
    ],
)
def test_an_exit_code_is_judged(code: int, use: Use, good_by_hand: bool) -> None:
    ending = ending_of(code)
    assert (ending.code, ending.use) == (code, use)
    assert ending.is_good_by_hand == good_by_hand


def test_every_failure_says_what_to_do() -> None:
    assert all(e.remedy for e in ENDINGS.values() if e.use is not Use.ACCEPT)


@pytest.mark.parametrize("content", [None, "", "words"])
def test_no_exit_code_means_crashed(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "millepede.end").write_text(content)
    assert read_ending(tmp_path).code == -1


def test_a_run_keeps_its_output_and_tells_its_exit_code(tmp_path: Path) -> None:
    pede = make_pede(tmp_path / "bin/pede", f"print('said', sys.argv[1:])\n{ends_with(1)}")
    run_pede(pede, "steer.txt", tmp_path, env=ENV, limits=RunLimits(30))
    assert read_ending(tmp_path).code == 1
    assert (tmp_path / "pede.out").read_text() == "said ['steer.txt']\n"


def test_its_own_directory_is_among_the_libraries(tmp_path: Path) -> None:
    pede = make_pede(tmp_path / "bin/pede", f"print(os.environ['LD_LIBRARY_PATH'])\n{ends_with(0)}")
    run_pede(pede, "s", tmp_path, env={**ENV, "LD_LIBRARY_PATH": "/x"}, limits=RunLimits(30))
    assert (tmp_path / "pede.out").read_text() == f"{tmp_path / 'bin'}:/x\n"


def test_a_crash_is_not_taken_for_the_run_before(tmp_path: Path) -> None:
    (tmp_path / "millepede.end").write_text("    0   Ended normally\n")
    pede = make_pede(tmp_path / "bin/pede", "os.abort()")
    run_pede(pede, "s", tmp_path, env=ENV, limits=RunLimits(30))
    assert read_ending(tmp_path).code == -1


def test_beyond_its_time_limit_the_whole_process_group_is_killed(tmp_path: Path) -> None:
    body = (
        "child = subprocess.Popen(['sleep', '60'])\n"
        "open('pids', 'w').write(f'{os.getpid()} {child.pid}')\ntime.sleep(60)"
    )
    pede = make_pede(tmp_path / "bin/pede", body)
    started = time.monotonic()
    with pytest.raises(PhysicsError, match="time limit"):
        run_pede(pede, "s", tmp_path, env=ENV, limits=RunLimits(1.0))
    assert time.monotonic() - started < 20
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    while any(map(is_alive, pids)):  # a killed process takes a moment to go
        assert time.monotonic() - started < 20


def is_alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_beyond_its_memory_limit_it_is_killed(tmp_path: Path) -> None:
    pede = make_pede(tmp_path / "bin/pede", "x = bytearray(200_000_000)\ntime.sleep(60)")
    with pytest.raises(PhysicsError, match="more than 100 MB"):
        run_pede(pede, "s", tmp_path, env=ENV, limits=RunLimits(30, memory_mb=100))


def test_pede_is_found_by_file_directory_or_path(tmp_path: Path) -> None:
    pede = make_pede(tmp_path / "bin/pede", "")
    assert find_pede(pede, None) == pede
    assert find_pede(tmp_path / "bin", None) == pede
    assert find_pede(tmp_path, None) == pede
    assert find_pede(None, str(tmp_path / "bin")) == pede
    assert find_pede(None, str(tmp_path)) is None


def test_a_configured_pede_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="pede_install"):
        find_pede(tmp_path, os.environ["PATH"])


def test_a_requested_pede_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PermanentError, match="no pede on PATH"):
        choose_pede("pede", None, {"PATH": str(tmp_path)})


def test_a_program_that_cannot_run_is_refused(tmp_path: Path) -> None:
    pede = make_pede(tmp_path / "bin/pede", "")
    pede.write_text("#!/no/such/interpreter\n")
    with pytest.raises(PermanentError, match="cannot run"):
        run_pede(pede, "s", tmp_path, env=ENV, limits=RunLimits(30))
