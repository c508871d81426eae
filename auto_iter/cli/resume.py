"""`auto-iter resume`: go on with an alignment, from its workspace alone."""

from __future__ import annotations

import argparse

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
        "resume",
        help="continue an alignment after a crash, a stop or a failure",
        description="Continue where the checkpoint says. Jobs that still run are not repeated.",
    )
    add_workspace_argument(parser)
    parser.add_argument(
        "-i", "--iterations", type=positive, metavar="N", help="change the number of iterations"
    )
    add_set_option(parser)
    parser.add_argument(
        "--steal-lock",
        action="store_true",
        help="take the workspace from a daemon on another host that is gone for good",
    )
    parser.add_argument(
        "--abandon-schedd",
        action="store_true",
        help="give up the jobs of a schedd that is gone for good, and submit their files again",
    )
    parser.set_defaults(call=_resume)


def _resume(arguments: argparse.Namespace) -> int:
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.daemon.session import SessionOptions, run_session

    opened = open_workspace(the_workspace(arguments.workspace))
    options = SessionOptions(
        steal_lock=arguments.steal_lock,
        iterations=arguments.iterations,
        overrides=tuple(arguments.overrides),
        abandon_schedd=arguments.abandon_schedd,
    )
    return run_session(opened, options)
