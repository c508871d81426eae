"""`auto-iter branch`: another alignment, from the constants of an iteration of this one."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from auto_iter.cli.options import (
    Subparsers,
    add_set_option,
    add_workspace_argument,
    positive,
    the_workspace,
)


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "branch",
        help="begin another alignment from the constants of an iteration of this one",
        description="A workspace of its own with the same raw files and configuration; "
        "`auto-iter resume` runs it. The alignment that it is branched from does not change.",
    )
    add_workspace_argument(parser)
    parser.add_argument(
        "--at", type=positive, required=True, metavar="N", help="whose constants it begins with"
    )
    parser.add_argument("--strategy", help="name, or a YAML file (default: the same)")
    parser.add_argument(
        "-i", "--iterations", type=positive, help="how many at most (default: as in `run`)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="the new workspace (default: WORKSPACE-N-STRATEGY, beside it)",
    )
    add_set_option(parser)
    parser.set_defaults(call=_branch)


def _branch(arguments: argparse.Namespace) -> int:
    from auto_iter.ledger.branch import Branch, branch

    asked = Branch(
        at=arguments.at,
        strategy=arguments.strategy,
        place=arguments.output,
        iterations=arguments.iterations,
        overrides=tuple(arguments.overrides),
    )
    made = branch(the_workspace(arguments.workspace), asked, time.time())
    print(f"{made.root}\nrun it with: {made.resume_command}")
    return 0
