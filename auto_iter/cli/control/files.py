"""`auto-iter files`: the raw files of an alignment, one by one."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from auto_iter.cli.options import Subparsers, add_workspace_argument, the_workspace


def add_parser(subparsers: Subparsers) -> None:
    """Register the command and its own commands."""
    parser = subparsers.add_parser(
        "files",
        help="list raw files, give them their tries back, leave them out",
        description="Show the raw files of an alignment with their states, or act on some of them.",
    )
    parser.set_defaults(call=_list, workspace=None, json=False)
    actions = parser.add_subparsers(title="commands", metavar="COMMAND")
    listing = actions.add_parser(
        "list",
        help="list them with their states (also: just `files`)",
        description="List the raw files of this iteration with their states.",
    )
    add_workspace_argument(listing)
    listing.add_argument("--json", action="store_true", help="for programs; the format is stable")
    listing.set_defaults(call=_list)
    retry = actions.add_parser(
        "retry",
        help="give raw files that failed all their tries back, and submit them again",
        description="Give raw files their tries in this iteration back. A daemon submits at once "
        "those that had given up; held jobs are treated as if held for the first time.",
    )
    _add_files(retry, "retry")
    skip = actions.add_parser(
        "skip",
        help="leave raw files out of this alignment from now on",
        description="Leave raw files out, in this iteration and in all that follow. Their jobs are "
        "removed, outputs that are there already are not used. There is no way back: constants of "
        "different raw files are different constants.",
    )
    _add_files(skip, "skip")


def _add_files(parser: argparse.ArgumentParser, wish: str) -> None:
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="raw files: 412, 00412 or 420-425 (end excluded)"
    )
    parser.add_argument(
        "-w", "--workspace", type=Path, metavar="WORKSPACE",
        help="the alignment's directory (default: the only one here)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="answer for programs")
    parser.set_defaults(call=_change, wish=wish)


def _list(arguments: argparse.Namespace) -> int:
    from auto_iter.control.raw_files import raw_files
    from auto_iter.daemon.lifecycle import open_workspace

    opened = open_workspace(the_workspace(arguments.workspace))
    files = raw_files(opened)
    if arguments.json:
        listed = [each.as_json() for each in files]
        print(json.dumps({"iteration": opened.snapshot.iteration, "files": listed}, indent=2))
        return 0
    for each in files:
        print(each.words)
    return 0


def _change(arguments: argparse.Namespace) -> int:
    from auto_iter.control.asking import ask, refuse_dag, request
    from auto_iter.control.raw_files import numbers_of, raw_files, refuse_unfit
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.errors import UsageError
    from auto_iter.rawfiles import spoken

    root, skip = the_workspace(arguments.workspace), arguments.wish == "skip"
    opened = open_workspace(root)
    refuse_dag(opened)
    if opened.snapshot.state == "done" and not skip:
        raise UsageError(f"{root}: the alignment is done; no raw file is tried again")
    meant = numbers_of(arguments.files, opened.snapshot.arguments)
    refuse_unfit(raw_files(opened), meant, skip=skip)
    answer = ask(root, request(arguments.wish, meant))
    if arguments.json:
        told: dict[str, object] = {
            "workspace": str(answer.workspace.root),
            "taken": answer.is_taken,
        }
        told |= {"by_daemon": answer.by_daemon, arguments.wish: list(map(spoken, meant))}
        print(json.dumps(told))
        return 0
    names = " ".join(map(spoken, meant))
    print(f"left out from now on: {names}" if skip else f"all tries again: {names}")
    if answer.words:
        print(answer.words)
    if not answer.by_daemon and answer.snapshot.state != "done":
        print(f"no daemon is running; go on with: {answer.workspace.resume_command}")
    return 0
