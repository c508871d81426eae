"""`auto-iter report`: tables and figures of an alignment as far as it is, in one page."""

from __future__ import annotations

import argparse

from auto_iter.cli.command import command
from auto_iter.cli.options import WORKSPACE, the_workspace


@command(WORKSPACE)
def report(arguments: argparse.Namespace) -> int:
    """Make the report of an alignment: one HTML page, and its figures as PNG.

    Makes WORKSPACE/report/ of what is there now: report.html, which needs neither another file nor
    a network, its figures as PNG, constants.txt and report.json. The daemon, which may run
    meanwhile, makes the page after each iteration, too, and the rest at the end.
    """
    from auto_iter.processes.threads import use_one_thread

    root = the_workspace(arguments.workspace)
    use_one_thread()  # hence the import below
    from auto_iter.report.build import write_report

    print(write_report(root)[0])
    return 0
