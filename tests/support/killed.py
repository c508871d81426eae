"""A real `kill -9` before or after any change of the disk: in a fork, that tidies nothing up."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

EVERY = pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.long)])
"""At every so many of its chances a work is killed: at each of them, where there is time."""

_CHANGES = (
    (Path, "rename"),
    (Path, "replace"),
    (Path, "mkdir"),
    (Path, "unlink"),
    (Path, "rmdir"),
    (Path, "symlink_to"),
    (Path, "write_text"),
    (Path, "write_bytes"),
    (os, "fsync"),
    (shutil, "copyfile"),
    (shutil, "rmtree"),
    (tempfile, "mkdtemp"),
    (tempfile, "mkstemp"),
)


def killed_at(step: int, work: Callable[[], object]) -> bool:
    """Do `work` in a fork that is killed at its nth chance; tell whether it came to that.

    Chances are before and after each change of the disk. Raises AssertionError when it fails.
    """
    child = os.fork()
    if child == 0:
        code = 1
        try:
            _arm(step)
            work()
            code = 0
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.waitstatus_to_exitcode(status) == 0, "the work itself failed"
    return False


def _arm(step: int) -> None:
    chances = 0

    def tick() -> None:
        nonlocal chances
        chances += 1
        if chances == step:
            os.kill(os.getpid(), signal.SIGKILL)

    for owner, name in _CHANGES:
        setattr(owner, name, _watched(getattr(owner, name), tick))


def _watched(original: Callable[..., Any], tick: Callable[[], None]) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        tick()
        result = original(*args, **kwargs)
        tick()
        return result

    return call
