"""`auto-iter reproduce`: an iteration's constants once more, from its tracks."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from auto_iter.cli.options import Subparsers
from auto_iter.processes.threads import use_one_thread


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "reproduce",
        help="make an iteration's constants once more from its tracks, and compare",
        description="By its manifest: the same settings, strategy and solver. Nothing in the "
        "workspace changes. Exit code 0 where they are the same to the byte, 1 where not: then "
        "it says what differs.",
    )
    parser.add_argument(
        "iteration",
        type=Path,
        metavar="ITERATION",
        help="WORKSPACE/iterNN, or a workspace: its result",
    )
    parser.set_defaults(call=_reproduce)


def _reproduce(arguments: argparse.Namespace) -> int:
    use_one_thread()
    from auto_iter.ledger.places import workspace_and_iteration
    from auto_iter.ledger.reproduce import reproduce
    from auto_iter.ledger.text import reproduced_lines
    from auto_iter.workspace.paths import Workspace

    root, number = workspace_and_iteration(arguments.iteration)
    found = reproduce(Workspace(root), number, os.environ)
    print("\n".join(reproduced_lines(found)))
    return 0 if found.is_identical else 1
