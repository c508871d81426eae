"""`auto-iter files`: the raw files of an alignment, one by one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

from auto_iter.cli.command import command, option
from auto_iter.cli.options import ANSWER_AS_JSON, AS_JSON, WORKSPACE, the_workspace

if TYPE_CHECKING:
    from auto_iter.alignment.requests import Wish

CHOSEN: Final = (
    option(
        "files", nargs="+", metavar="FILE", help="raw files: 412, 00412 or 420-425 (end excluded)"
    ),
    option(
        "-w", "--workspace", type=Path, metavar="WORKSPACE",
        help="the alignment's directory (default: the only one here)",
    ),
    ANSWER_AS_JSON,
)  # fmt: skip


@command()
def files(_: argparse.Namespace) -> int:
    """List raw files, give them their tries back, leave them out.

    Show the raw files of an alignment with their states, or act on some of them.
    """
    return _list(None, as_json=False)


@files.command(WORKSPACE, AS_JSON)
def list_(arguments: argparse.Namespace) -> int:
    """List the raw files of this iteration with their states (also: just `files`)."""
    return _list(arguments.workspace, as_json=arguments.json)


@files.command(*CHOSEN)
def retry(arguments: argparse.Namespace) -> int:
    """Give raw files that failed all their tries back, and submit them again.

    Give raw files their tries in this iteration back. A daemon submits at once those that had given
    up; held jobs are treated as if held for the first time.
    """
    return _change(arguments, "retry")


@files.command(*CHOSEN)
def skip(arguments: argparse.Namespace) -> int:
    """Leave raw files out of this alignment from now on.

    Leave raw files out, in this iteration and in all that follow. Their jobs are removed, outputs
    that are there already are not used. There is no way back: constants of different raw files are
    different constants.
    """
    return _change(arguments, "skip")


def _list(workspace: Path | None, *, as_json: bool) -> int:
    from auto_iter.control.raw_files import raw_files
    from auto_iter.daemon.lifecycle import open_workspace

    opened = open_workspace(the_workspace(workspace))
    found = raw_files(opened)
    if as_json:
        listed = [each.as_json() for each in found]
        print(json.dumps({"iteration": opened.snapshot.iteration, "files": listed}, indent=2))
        return 0
    for each in found:
        print(each.words)
    return 0


def _change(arguments: argparse.Namespace, wish: Wish) -> int:
    from auto_iter.control.asking import ask, refuse_dag, request
    from auto_iter.control.raw_files import numbers_of, raw_files, refuse_unfit
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.errors import UsageError
    from auto_iter.rawfiles import spoken

    root, is_skip = the_workspace(arguments.workspace), wish == "skip"
    opened = open_workspace(root)
    refuse_dag(opened)
    if opened.snapshot.state == "done" and not is_skip:
        raise UsageError(f"{root}: the alignment is done; no raw file is tried again")
    meant = numbers_of(arguments.files, opened.snapshot.arguments)
    refuse_unfit(raw_files(opened), meant, skip=is_skip)
    answer = ask(root, request(wish, meant))
    if arguments.json:
        told: dict[str, object] = {
            "workspace": str(answer.workspace.root),
            "taken": answer.is_taken,
        }
        told |= {"by_daemon": answer.by_daemon, wish: list(map(spoken, meant))}
        print(json.dumps(told))
        return 0
    names = " ".join(map(spoken, meant))
    print(f"left out from now on: {names}" if is_skip else f"all tries again: {names}")
    if answer.words:
        print(answer.words)
    if not answer.by_daemon and answer.snapshot.state != "done":
        print(f"no daemon is running; go on with: {answer.workspace.resume_command}")
    return 0
