"""Programs of auto-iter without new interpreters: a fork of this one, which has all imported.

An alignment is some ten processes, each of which would import more than it does. Forks do the same
in a fraction of the time: they have their own arguments, environment, descriptors and signals as a
program has them, and run it under the name `__main__`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn

from auto_iter.processes import ends as processes
from tests.crash.hook.recorder import start_if_asked

ONE_THREAD = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1")
"""To be in the environment before numerics are imported: forks of threads come to no good."""

SKIPPED = "auto_iter.report"
"""Plots take longest, and nothing depends on them."""

_HEAVY = (
    "auto_iter.batch.local.supervisor",
    "auto_iter.cli.run",
    "auto_iter.daemon.compose",
    "auto_iter.millepede.converting",
    "auto_iter.iteration.worker",
    "auto_iter.millepede.workflow",
    "auto_iter.weakmodes.drift",
    "auto_iter.daemon.session",
    "rich.progress",
)
_FIRST = 3  # the first descriptor that is not one of the standard ones


def warm_up() -> None:
    """Import what all forks need, and take in their orphans. To be called once, before any."""
    for name in _HEAVY:
        importlib.import_module(name)
    processes.become_subreaper()
    gc.freeze()


def program(
    module: str, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str], limit_s: float
) -> tuple[int, str]:
    """Do `python -m module arguments` in a fork; return its exit code and what it said.

    On return none of its processes is left: as after a power cut, or a cleanly ended alignment.
    Raises TimeoutError.
    """
    with tempfile.TemporaryFile() as said:
        pid = os.fork()
        if pid == 0:
            with open(os.devnull) as nothing:  # noqa: PTH123
                os.dup2(nothing.fileno(), 0)
            for standard in (1, 2):
                os.dup2(said.fileno(), standard)
            os.chdir(cwd)
            setattr(subprocess, "Popen", _ForkingPopen)  # noqa: B010 - not the same to mypy
            start_if_asked(environment)
            _become(module, arguments, environment, ())
        try:
            status = _wait(pid, limit_s)
        finally:
            _end_all()
        said.seek(0)
        return os.waitstatus_to_exitcode(status), said.read().decode(errors="replace")


def _wait(pid: int, limit_s: float) -> int:
    deadline, pause_s = time.monotonic() + limit_s, 0.005
    while time.monotonic() < deadline:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)
    raise TimeoutError(f"it has not ended after {limit_s:g} s")


def _end_all() -> None:
    """Kill every process that is left of a program, and reap it."""
    with contextlib.suppress(ChildProcessError):
        while True:
            processes.send(processes.descendants(os.getpid()), signal.SIGKILL)
            if os.waitpid(-1, os.WNOHANG) == (0, 0):
                time.sleep(0.002)


class _ForkingPopen(subprocess.Popen[Any]):
    """Starts Python programs of auto-iter by a fork that goes on as if it were one."""

    def __init__(self, args: Sequence[str], **more: Any) -> None:
        words = [str(word) for word in args]
        if words[:2] == [sys.executable, "-m"]:
            environment, keep = dict(more.get("env") or os.environ), more.get("pass_fds", ())
            # Called when the descriptors, the directory and the session are the new process's.
            more["preexec_fn"] = lambda: _become(words[2], words[3:], environment, keep)
        super().__init__(args, **more)


def _become(
    module: str, arguments: Sequence[str], environment: Mapping[str, str], keep: Collection[int]
) -> NoReturn:
    """Go on as the program `module`."""
    if module == SKIPPED:
        os._exit(0)
    exit_code = 1
    try:
        _forget_signals()
        _close_all_but(keep)
        os.environ.clear()
        os.environ.update(environment)
        sys.argv = [module, *arguments]
        sys.stdin = open(0, closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
        sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
        exit_code = _run(module)
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(exit_code)


def _run(module: str) -> int:
    warnings.simplefilter("ignore")  # it was imported before; that is the point
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        if isinstance(ended.code, str):
            sys.stderr.write(f"{ended.code}\n")
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _forget_signals() -> None:
    signal.set_wakeup_fd(-1)
    for each in signal.valid_signals():
        if callable(signal.getsignal(each)):
            signal.signal(each, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as Python begins


def _close_all_but(keep: Collection[int]) -> None:
    """Close all descriptors but the standard ones and `keep`, as exec would."""
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        if int(name) >= _FIRST and int(name) not in keep:
            with contextlib.suppress(OSError):
                os.close(int(name))
