"""`auto-iter watch`: alignments live in the terminal."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.command import command, option
from auto_iter.cli.options import WORKSPACES, seconds, the_workspaces

if TYPE_CHECKING:
    from auto_iter.daemon.screen.overview import Seen
    from auto_iter.daemon.screen.watching import Line
    from auto_iter.daemon.status import Status

LOG_LINES = 100


@command(
    WORKSPACES,
    option(
        "--every", type=seconds, default=2.0, metavar="S", help="look again after so long (2 s)"
    ),
)
def watch(arguments: argparse.Namespace) -> int:
    """Watch alignments live in the terminal.

    Show alignments as they go on: state, iteration, jobs, expected end, log.

    q or Ctrl-C ends it; the alignments go on. One workspace is shown in full, with the end of its
    log, several a line or two each. It reads what the daemons write down and asks no schedd. Where
    its output is not a terminal it prints a line whenever there is news, until all have come to an
    end.
    """
    roots = [root.absolute() for root in the_workspaces(arguments.workspaces)]
    if sys.stdout.isatty():
        from auto_iter.daemon.screen.terminal import draw_until_key

        draw_until_key(lambda size: _picture(roots, size), arguments.every)
        return 0
    from auto_iter.daemon.screen.watching import print_changes

    print_changes(
        lambda: _look(roots),
        lambda: time.sleep(arguments.every),
        lambda line: print(line, flush=True),
    )
    return 0


def _look(roots: list[Path]) -> list[Seen]:
    from auto_iter.daemon.screen.overview import see

    return [see(root, _read) for root in roots]


def _read(root: Path) -> Status:
    from auto_iter.daemon.status import read_status
    from auto_iter.workspace.paths import Workspace

    return read_status(Workspace(root), time.time())


def _picture(roots: list[Path], size: tuple[int, int]) -> list[Line]:
    from auto_iter.daemon.screen.watching import last_lines, screenful
    from auto_iter.workspace.paths import Workspace

    log = last_lines(Workspace(roots[0]).log, LOG_LINES) if len(roots) == 1 else []
    return screenful(_look(roots), log, size)
