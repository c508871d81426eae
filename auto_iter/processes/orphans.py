"""Children that outlive their daemon: kept from it, and ended where one did all the same.

The kernel ends a child with its parent once it was asked to (prctl). A parent that died before is
not noticed by that, so it is looked for afterwards; what slips through both (a child that was
stopped, or had not come so far) is found by its environment when the next daemon starts.
"""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Mapping
from pathlib import Path

from auto_iter.errors import TransientError
from auto_iter.processes import ends as processes

PARENT = "AUTO_ITER_PARENT"
"""Environment variable: the pid of the daemon that started a child."""

WORKSPACE = "AUTO_ITER_WORKSPACE"
"""Environment variable: the workspace that a child, and all that it starts, works on."""

_PR_SET_PDEATHSIG = 1


def marks(workspace: Path) -> dict[str, str]:
    """Return what our children carry in their environment."""
    return {PARENT: str(os.getpid()), WORKSPACE: os.path.realpath(workspace)}


def die_with_parent(parent: int, how: signal.Signals = signal.SIGTERM) -> None:
    """Have the kernel end this process when `parent` is gone; end at once when it is (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, how)
    if os.getppid() != parent:
        os._exit(1)


def die_with_daemon(env: Mapping[str, str]) -> None:
    """Do that in a child of a daemon; nothing in a process that a person started."""
    parent = env.get(PARENT, "")
    if parent.isdecimal():
        die_with_parent(int(parent))


def end_orphans(workspace: Path) -> None:
    """End what earlier daemons left at work on `workspace`. Only for who holds its lock."""
    marker = os.path.realpath(workspace)
    if not processes.sweep(marker, variable=WORKSPACE):
        left = " ".join(map(str, processes.marked(marker, variable=WORKSPACE)))
        raise TransientError(
            f"{workspace}: processes of an earlier daemon still work there, pid {left}; "
            "they cannot be killed while the disk hangs: try again later"
        )
