"""`auto-iter export`: constants as the site's files for the conditions database."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from auto_iter.cli.command import command, option
from auto_iter.cli.options import WORKSPACE, positive, the_workspace


@command(
    WORKSPACE,
    option(
        "--iteration", type=positive, metavar="N", help="whose constants (default: the result)"
    ),
    option(
        "-o", "--output", type=Path, metavar="DIRECTORY",
        help="where to, a new directory (default: WORKSPACE/export-iterNN)",
    ),
    option("--since", type=positive, metavar="RUN", help="first run (default: the first aligned)"),
    option(
        "--until", type=positive, metavar="RUN",
        help="last run (default: until further notice; of several runs the last aligned)",
    ),
    option("--description", default="", metavar="TEXT", help="a line for the record"),
    option("--force", metavar="REASON", help="export in spite of doubts; the reason is recorded"),
)  # fmt: skip
def export(arguments: argparse.Namespace) -> int:
    """Write constants as files for the conditions database.

    The site's own writer makes the SQLite and POOL files, reco.reader reads them back, and every
    digit is compared. With them: interval of validity, tag, manifest and description. Refused
    unless the alignment has converged. Uploads nothing.
    """
    from auto_iter.errors import UsageError
    from auto_iter.ledger import export as ledger

    if arguments.force is not None and not arguments.force.strip():
        raise UsageError("--force: give the reason; it is recorded")
    if None not in (arguments.since, arguments.until) and arguments.until < arguments.since:
        raise UsageError(f"--until {arguments.until}: is before --since {arguments.since}")
    root = the_workspace(arguments.workspace)
    wanted = ledger.Wanted(
        iteration=arguments.iteration,
        place=arguments.output,
        since=arguments.since,
        until=arguments.until,
        description=arguments.description,
        force=arguments.force,
    )
    told = ledger.export(root, wanted, os.environ, time.time())
    place = arguments.output or root / f"export-iter{told.iteration:02d}"
    print((place / "README.txt").read_text().rstrip())
    print(place)
    return 0
