"""`auto-iter rollback`: back to the constants of an earlier iteration."""

from __future__ import annotations

import argparse
import time

from auto_iter.cli.options import Subparsers, add_workspace_argument, positive, the_workspace


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "rollback",
        help="go back to the constants of an earlier iteration",
        description="What came after iteration N is set aside in outdated-K/ and made anew by "
        "`auto-iter resume`. Nothing is deleted; nothing is submitted.",
    )
    add_workspace_argument(parser)
    parser.add_argument(
        "--to", type=positive, required=True, metavar="N", help="the iteration to go back to"
    )
    parser.set_defaults(call=_rollback)


def _rollback(arguments: argparse.Namespace) -> int:
    from auto_iter.ledger.rollback import rollback

    root = the_workspace(arguments.workspace)
    snapshot, words = rollback(root, arguments.to, time.time())
    print(f"{words}\niteration {snapshot.iteration} is next: auto-iter resume {root}")
    return 0
