"""What a failed job left: the end of its log, and whether a full disk of ours is to blame."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path

from auto_iter.alignment.model import Problem
from auto_iter.batch.driver import DiskUse
from auto_iter.batch.exitcodes import CANNOT_DELIVER, DISK_FULL, describe_exit
from auto_iter.rawfiles import spoken
from auto_iter.workspace.paths import Iteration

_TAIL_BYTES = 4000
_TAIL_LINES = 15
_FULL = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EROFS))


def evidence(paths: Iteration, problem: Problem) -> str:
    """Return what is known of a problem: reason, exit code's meaning, end of the error log."""
    log = paths.job_log(problem.number, "err")
    lines = [f"raw file {spoken(problem.number)} {problem.trouble}: {problem.reason}"]
    if problem.machine:
        lines[0] += f" (on {problem.machine})"
    if problem.exit_code is not None or problem.signal is not None:
        lines.append(describe_exit(problem.exit_code, problem.signal))
    tail = last_lines(log)
    lines.append(f"end of {log}:" if tail else f"{log} is empty or not there")
    return "\n".join(lines + [f"  {line}" for line in tail])


def met_full_disk(
    paths: Iteration, problem: Problem, use: DiskUse, is_full: Callable[[], bool], *, was_full: bool
) -> bool:
    """Tell whether a job failed because the workspace's disk is, or was, full.

    What jobs say themselves counts: the disk may have room again, by the very output that they gave
    up. What else fails while the disk is full can say nothing, or says anything.
    """
    runs_here = use is DiskUse.RUN
    delivers_here = use is DiskUse.DELIVER and problem.exit_code == CANNOT_DELIVER
    if not (runs_here or delivers_here):
        return False
    if was_full or (runs_here and problem.exit_code == DISK_FULL):
        return True
    said = [problem.reason, *last_lines(paths.job_log(problem.number, "err"))]
    return any(words in line for line in said for words in _FULL) or is_full()


def last_lines(log: Path) -> list[str]:
    """Return the end of a log; nothing where it cannot be read."""
    try:
        with log.open("rb") as lines:
            lines.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return lines.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return []
