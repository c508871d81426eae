"""`auto-iter branch`: another alignment, from the constants of an iteration of this one."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from auto_iter.cli.command import command, option
from auto_iter.cli.options import SET, WORKSPACE, positive, the_workspace


@command(
    WORKSPACE,
    option(
        "--at", type=positive, required=True, metavar="N", help="whose constants it begins with"
    ),
    option("--strategy", help="name, or a YAML file (default: the same)"),
    option("-i", "--iterations", type=positive, help="how many at most (default: as in `run`)"),
    option(
        "-o", "--output", type=Path, metavar="DIRECTORY",
        help="the new workspace (default: WORKSPACE-N-STRATEGY, beside it)",
    ),
    SET,
)  # fmt: skip
def branch(arguments: argparse.Namespace) -> int:
    """Begin another alignment from the constants of an iteration of this one.

    A workspace of its own with the same raw files and configuration; `auto-iter resume` runs it.
    The alignment that it is branched from does not change.
    """
    from auto_iter.ledger import branch as ledger

    asked = ledger.Branch(
        at=arguments.at,
        strategy=arguments.strategy,
        place=arguments.output,
        iterations=arguments.iterations,
        overrides=tuple(arguments.overrides),
    )
    made = ledger.branch(the_workspace(arguments.workspace), asked, time.time())
    print(f"{made.root}\nrun it with: {made.resume_command}")
    return 0
