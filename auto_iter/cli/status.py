"""`auto-iter status`: where an alignment is, for people and (`--json`) for programs."""

from __future__ import annotations

import argparse
import json
import time

from auto_iter.cli.options import Subparsers, add_workspace_argument, the_workspace


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser("status", help="show where an alignment is")
    add_workspace_argument(parser)
    parser.add_argument("--json", action="store_true", help="for programs; the format is stable")
    parser.set_defaults(call=_status)


def _status(arguments: argparse.Namespace) -> int:
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.daemon.status import Status

    opened = open_workspace(the_workspace(arguments.workspace))
    status = Status.of(opened.workspace, opened.snapshot, now=time.time())
    if status.needs_a_look:
        # Only here: whoever asks about a daemon's workspace need not wait for a schedd.
        from auto_iter.daemon.look import look_for

        status = look_for(opened, status)
    if arguments.json:
        print(json.dumps(status.as_json(), indent=2))
    else:
        print(status.as_text())
    return 0
