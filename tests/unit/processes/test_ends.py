"""Processes of a job are found by their marker."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from auto_iter.processes.ends import marked, sweep

VARIABLE = "AUTO_ITER_TEST_MARK"

OVERWRITTEN = """
import ctypes
def texts(*values):
    return (ctypes.c_char_p * (len(values) + 1))(*values, None)
environment = texts(b"", b"AUTO_ITER_TEST_MARK=overwritten")
print("ready", flush=True)
ctypes.CDLL(None).execve(b"/bin/sleep", texts(b"sleep", b"600"), environment)
"""


def test_a_process_that_overwrote_the_start_of_its_environment_is_found_and_ended() -> None:
    env = {VARIABLE: "overwritten"}
    with subprocess.Popen(
        [sys.executable, "-c", OVERWRITTEN], env=env, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        while not _command(process.pid).startswith(b"sleep"):
            assert process.poll() is None
        try:
            assert marked("overwritten", variable=VARIABLE) == [process.pid]
            assert marked("overwrit", variable=VARIABLE) == []
        finally:
            process.kill()
    assert sweep("overwritten", variable=VARIABLE)


def test_a_process_in_the_middle_of_an_exec_is_found(tmp_path: Path) -> None:
    program = tmp_path / "again"
    program.write_text('#!/bin/sh\nexec "$0"\n')
    program.chmod(0o755)
    env = {VARIABLE: "again", "PATH": os.environ["PATH"]}
    with subprocess.Popen([program], env=env) as process:
        try:
            looks = [marked("again", variable=VARIABLE) for _ in range(200)]
        finally:
            process.kill()
    assert looks.count([process.pid]) == len(looks)


def _command(pid: int) -> bytes:
    with open(f"/proc/{pid}/cmdline", "rb") as command:  # noqa: PTH123
        return command.read()
