"""Options that several commands share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from auto_iter.cli.command import option

END_CODES = """\
exit codes:
  0  done and converged; stopped where that was asked for
  1  failed: `auto-iter status` says why, and what to do
  2  wrong usage: an option, a setting or a file that was named
  3  done, iterations used up     4  plateau     5  oscillating     6  diverging
  130, 143, 129  interrupted by Ctrl-C, SIGTERM, SIGHUP; `resume` goes on
"""
"""Of what runs an alignment."""

N = TypeVar("N", int, float)
_SHOWN = 40
"""So many characters of a wrong value are repeated."""


def count(text: str) -> int:
    """Return a number of things, 0 or more, from the command line."""
    return _at_least(0, _whole(text), text)


def positive(text: str) -> int:
    """Return a number of things, 1 or more, from the command line."""
    return _at_least(1, _whole(text), text)


def amount(text: str) -> float:
    """Return a finite number, 0 or more, from the command line."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a number, got {text!r}")
    return _at_least(0.0, value, text)


def seconds(text: str) -> float:
    """Return a length of time above 0 from the command line."""
    return _at_least(0.1, amount(text), text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:  # no number, or one of more digits than Python reads
        raise argparse.ArgumentTypeError(f"must be a whole number, got {text[:_SHOWN]!r}") from None


def _at_least(least: N, value: N, text: str) -> N:
    if value < least:
        raise argparse.ArgumentTypeError(f"must be at least {least:g}, got {text[:_SHOWN]!r}")
    return value


SET = option(
    "--set", action="append", default=[], dest="overrides", metavar="KEY=VALUE",
    help="override one setting, e.g. alignment.polling_interval_seconds=60 (repeatable)",
)  # fmt: skip
CONFIG = option(
    "--config", type=Path, metavar="FILE",
    help="configuration, YAML or the older JSON (default: auto_iter.yaml or config.json here)",
)  # fmt: skip
WORKSPACE = option(
    "workspace", type=Path, nargs="?", metavar="WORKSPACE",
    help="an alignment's directory, e.g. Y2023_R011705_F400-450 (default: the only one here)",
)  # fmt: skip
WORKSPACES = option(
    "workspaces", type=Path, nargs="*", metavar="WORKSPACE",
    help="alignments' directories, e.g. Y2023_R011705_F* (default: all that are here)",
)  # fmt: skip
ITERATION = option(
    "iteration", type=Path, metavar="ITERATION", help="WORKSPACE/iterNN, or a workspace: its result"
)
MORE_ITERATIONS = option(
    "-i", "--iterations", type=positive, metavar="N", help="change the number of iterations"
)
ANSWER_AS_JSON = option("--json", action="store_true", help="answer for programs")
AS_JSON = option("--json", action="store_true", help="for programs; the format is stable")

SHOWN = 5
"""So many workspaces are offered to choose from."""


def the_workspaces(given: Sequence[Path]) -> list[Path]:
    """Return the workspaces meant: those given, or all in the current directory.

    Raises UsageError where there is none.
    """
    from auto_iter.errors import UsageError

    found = list(given) or _workspaces_here()
    if not found:
        raise UsageError("no workspace here; name one, e.g. Y2023_R011705_F400-450")
    return found


def _workspaces_here() -> list[Path]:
    if Path("state.yaml").is_file():
        return [Path()]
    return sorted(path.parent for path in Path().glob("Y*_R*_F*/state.yaml"))


def the_workspace(given: Path | None) -> Path:
    """Return the workspace meant: the given one, or the only one in the current directory."""
    from auto_iter.errors import UsageError

    found = the_workspaces([] if given is None else [given])
    if len(found) == 1:
        return found[0]
    names = " ".join(map(str, found[:SHOWN]))
    raise UsageError(f"{len(found)} workspaces here; name one of them: {names}")
