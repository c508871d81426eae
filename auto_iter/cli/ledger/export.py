"""`auto-iter export`: constants as the site's files for the conditions database."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from auto_iter.cli.options import Subparsers, add_workspace_argument, positive, the_workspace


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "export",
        help="write constants as files for the conditions database",
        description="The site's own writer makes the SQLite and POOL files, reco.reader reads them "
        "back, and every digit is compared. With them: interval of validity, tag, manifest and "
        "description. Refused unless the alignment has converged. Uploads nothing.",
    )
    add_workspace_argument(parser)
    parser.add_argument(
        "--iteration", type=positive, metavar="N", help="whose constants (default: the result)"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="DIRECTORY",
        help="where to, a new directory (default: WORKSPACE/export-iterNN)",
    )
    parser.add_argument(
        "--since", type=positive, metavar="RUN", help="first run (default: the first aligned)"
    )
    parser.add_argument(
        "--until",
        type=positive,
        metavar="RUN",
        help="last run (default: until further notice; of several runs the last aligned)",
    )
    parser.add_argument("--description", default="", metavar="TEXT", help="a line for the record")
    parser.add_argument(
        "--force", metavar="REASON", help="export in spite of doubts; the reason is recorded"
    )
    parser.set_defaults(call=_export)


def _export(arguments: argparse.Namespace) -> int:
    from auto_iter.errors import UsageError
    from auto_iter.ledger.export import Wanted, export

    if arguments.force is not None and not arguments.force.strip():
        raise UsageError("--force: give the reason; it is recorded")
    if None not in (arguments.since, arguments.until) and arguments.until < arguments.since:
        raise UsageError(f"--until {arguments.until}: is before --since {arguments.since}")
    root = the_workspace(arguments.workspace)
    wanted = Wanted(
        iteration=arguments.iteration,
        place=arguments.output,
        since=arguments.since,
        until=arguments.until,
        description=arguments.description,
        force=arguments.force,
    )
    told = export(root, wanted, os.environ, time.time())
    place = arguments.output or root / f"export-iter{told.iteration:02d}"
    print((place / "README.txt").read_text().rstrip())
    print(place)
    return 0
