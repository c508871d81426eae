"""`auto-iter rollback`: back to the constants of an earlier iteration."""

from __future__ import annotations

import argparse
import time

from auto_iter.cli.command import command, option
from auto_iter.cli.options import WORKSPACE, positive, the_workspace


@command(
    WORKSPACE,
    option("--to", type=positive, required=True, metavar="N", help="the iteration to go back to"),
)
def rollback(arguments: argparse.Namespace) -> int:
    """Go back to the constants of an earlier iteration.

    What came after iteration N is set aside in outdated-K/ and made anew by `auto-iter resume`.
    Nothing is deleted; nothing is submitted.

    examples:
      auto-iter rollback --to 2 Y2023_R011705_F400-450   iteration 3 is made anew
      auto-iter resume Y2023_R011705_F400-450
    """
    from auto_iter.ledger import rollback as ledger

    root = the_workspace(arguments.workspace)
    snapshot, words = ledger.rollback(root, arguments.to, time.time())
    print(f"{words}\niteration {snapshot.iteration} is next: auto-iter resume {root}")
    return 0
