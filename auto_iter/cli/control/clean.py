"""`auto-iter clean`: room on the disk, from iterations that are over."""

from __future__ import annotations

import argparse
import json
import time
from typing import TYPE_CHECKING

from auto_iter.cli.command import command, option
from auto_iter.cli.options import ANSWER_AS_JSON, WORKSPACE, positive, the_workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from auto_iter.control.cleaning import Bulk


@command(
    WORKSPACE,
    option(
        "--keep", type=positive, required=True, metavar="N",
        help="so many of the last finished iterations stay whole, at least 1",
    ),
    option("--dry-run", action="store_true", help="say what would go, remove nothing"),
    ANSWER_AS_JSON,
)  # fmt: skip
def clean(arguments: argparse.Namespace) -> int:
    """Remove bulky intermediate files of iterations that are over.

    Remove fitted tracks (2kfalignment), Mille binaries and the jobs' directories of all finished
    iterations but the last N. Constants, steering, results, statistics and logs stay: resuming,
    reports and guards work as before. Safe while the daemon runs.
    """
    from auto_iter.control.asking import ask, request
    from auto_iter.control.cleaning import bulk_of
    from auto_iter.daemon.lifecycle import open_workspace

    opened = open_workspace(the_workspace(arguments.workspace))
    found = bulk_of(opened.workspace, opened.snapshot, arguments.keep)
    if found and not arguments.dry_run:
        cleaned = {"iterations": tuple(each.number for each in found), "freed_bytes": _total(found)}
        # First: whoever is killed in between cleans again, and nothing is gone that nobody noted.
        ask(opened.workspace.root, request("cleaned").model_copy(update=cleaned))
        for each in found:
            each.remove(time.time())
    if arguments.json:
        told = {"iterations": [each.number for each in found], "bytes": _total(found)}
        print(json.dumps({**told, "dry_run": arguments.dry_run}))
        return 0
    would = "would free" if arguments.dry_run else "freed"
    for each in found:
        print(f"iteration {each.number}: {len(each.files)} files, {each.size / 1e6:.1f} MB")
    print(f"{would} {_total(found) / 1e6:.1f} MB" if found else "nothing to remove")
    return 0


def _total(found: Sequence[Bulk]) -> int:
    return sum(each.size for each in found)
