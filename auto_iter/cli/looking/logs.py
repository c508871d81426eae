"""`auto-iter logs`: the workspace's log in readable lines, and what is added to it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path

from auto_iter.cli.command import command, option
from auto_iter.cli.options import WORKSPACE, count, the_workspace

LOOK_EVERY_S = 0.5


@command(
    WORKSPACE,
    option("-f", "--follow", action="store_true", help="keep printing what is added"),
    option("-n", "--lines", type=count, default=50, help="how many lines back to begin (50)"),
    option("--json", action="store_true", help="print the lines as they are: JSON"),
)
def logs(arguments: argparse.Namespace) -> int:
    """Show the end of an alignment's log in readable lines."""
    from auto_iter.errors import InputError
    from auto_iter.workspace.paths import Workspace

    workspace = Workspace(the_workspace(arguments.workspace))
    has_old = not workspace.log.exists() and workspace.old_log.is_file()
    path = workspace.old_log if has_old else workspace.log
    if not path.is_file():
        raise InputError(f"{path}: no log here yet", "is that a workspace?")
    for line in _lines(path, arguments.lines, follow=arguments.follow):
        print(line if arguments.json else _for_people(line), flush=True)
    return 0


def _for_people(line: str) -> str:
    """Return a JSON log line as a person reads it; any other line as it is."""
    from auto_iter.log.line import entry_of, readable

    entry = entry_of(line)
    return line if entry is None else readable(entry)


def _lines(path: Path, back: int, *, follow: bool) -> Iterator[str]:
    with path.open(errors="replace") as log:
        yield from [line.rstrip("\n") for line in log.readlines()[-back:] if back]
        inode = path.stat().st_ino
        while follow:
            added = log.readline()
            if added:
                yield added.rstrip("\n")
                continue
            time.sleep(LOOK_EVERY_S)
            if path.exists() and path.stat().st_ino != inode:  # rotated
                yield from _lines(path, 10**9, follow=True)
