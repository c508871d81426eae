"""`auto-iter reproduce`: an iteration's constants once more, from its tracks."""

from __future__ import annotations

import argparse
import os

from auto_iter.cli.command import command
from auto_iter.cli.options import ITERATION
from auto_iter.processes.threads import use_one_thread


@command(ITERATION)
def reproduce(arguments: argparse.Namespace) -> int:
    """Make an iteration's constants once more from its tracks, and compare.

    By its manifest: the same settings, strategy and solver. Nothing in the workspace changes. Exit
    code 0 where they are the same to the byte, 1 where not: then it says what differs.
    """
    use_one_thread()
    from auto_iter.ledger import reproduce as ledger
    from auto_iter.ledger.places import workspace_and_iteration
    from auto_iter.ledger.text import reproduced_lines
    from auto_iter.workspace.paths import Workspace

    root, number = workspace_and_iteration(arguments.iteration)
    found = ledger.reproduce(Workspace(root), number, os.environ)
    print("\n".join(reproduced_lines(found)))
    return 0 if found.is_identical else 1
