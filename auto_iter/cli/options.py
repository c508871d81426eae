"""Options that several commands share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]  # noqa: SLF001 - no public name
else:
    Subparsers = object

END_CODES = """\
exit codes:
  0  done and converged; stopped where that was asked for
  1  failed: `auto-iter status` says why, and what to do
  2  wrong usage: an option, a setting or a file that was named
  3  done, iterations used up     4  plateau     5  oscillating     6  diverging
  130, 143, 129  interrupted by Ctrl-C, SIGTERM, SIGHUP; `resume` goes on
"""
"""Of what runs an alignment."""

EXIT_CODES = """\
exit codes:
  0 well, 1 failed, 2 wrong usage, 130 interrupted by Ctrl-C
"""
"""Of everything else."""

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


SHOWN = 5
"""So many workspaces are offered to choose from."""


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add `--config` and `--set`."""
    parser.add_argument(
        "--config",
        type=Path,
        metavar="FILE",
        help="configuration, YAML or the older JSON (default: auto_iter.yaml or config.json here)",
    )
    add_set_option(parser)


def add_set_option(parser: argparse.ArgumentParser) -> None:
    """Add `--set`."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        dest="overrides",
        metavar="KEY=VALUE",
        help="override one setting, e.g. alignment.polling_interval_seconds=60 (repeatable)",
    )


def add_workspace_argument(parser: argparse.ArgumentParser) -> None:
    """Add the positional WORKSPACE."""
    parser.add_argument(
        "workspace",
        type=Path,
        nargs="?",
        metavar="WORKSPACE",
        help="an alignment's directory, e.g. Y2023_R011705_F400-450 (default: the only one here)",
    )


def add_workspaces_argument(parser: argparse.ArgumentParser) -> None:
    """Add the positional WORKSPACE, of which there may be several."""
    parser.add_argument(
        "workspaces",
        type=Path,
        nargs="*",
        metavar="WORKSPACE",
        help="alignments' directories, e.g. Y2023_R011705_F* (default: all that are here)",
    )


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
