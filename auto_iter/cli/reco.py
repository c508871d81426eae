"""`auto-iter reco`: one iteration's reconstruction only, as a link of the chain by hand."""

from __future__ import annotations

import argparse

from auto_iter.cli.options import Subparsers, positive
from auto_iter.cli.run import (
    add_alignment_options,
    add_dry_run_option,
    alignment_arguments,
    alignment_config,
)

EPILOG = """\
That is the chain by hand, iteration after iteration; nothing has to run in
between. The same line again submits what failed. `auto-iter resume` continues
from wherever that is.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "reco",
        help="one iteration's reconstruction only",
        description="Submit the reconstruction of one iteration, and return (or wait for it).",
        epilog=EPILOG,
    )
    add_alignment_options(parser)
    parser.add_argument(
        "-i", "--iteration", type=positive, default=1, metavar="N", help="which iteration (1)"
    )
    parser.add_argument("--wait", action="store_true", help="wait until the outputs are there")
    parser.add_argument(
        "--allow-missing", action="store_true", help="continue without raw files that are missing"
    )
    add_dry_run_option(parser)
    parser.set_defaults(call=_reco)


def _reco(arguments: argparse.Namespace) -> int:
    from auto_iter.daemon.visits.links import RecoOptions, reco
    from auto_iter.rawfiles import spoken
    from states.table import RECONSTRUCTED

    config = alignment_config(arguments)
    asked = alignment_arguments(arguments, config, None)
    number = arguments.iteration
    if arguments.dry_run:
        from auto_iter.daemon.visits.rehearsal import rehearse_reco

        missing = arguments.allow_missing
        print(rehearse_reco(asked, config, number, allow_missing=missing).as_text())
        return 0
    options = RecoOptions(number, arguments.wait, arguments.allow_missing)
    opened, code = reco(asked, config, options)
    iteration = opened.workspace.iteration(number, asked.run).root
    if opened.snapshot.iteration == number and opened.snapshot.state in RECONSTRUCTED:
        print(f"next by hand: auto-iter millepede -i {iteration}")
    elif code == 0 and opened.snapshot.canary is not None:
        print(
            f"raw file {spoken(opened.snapshot.canary)} is tried first: once its output is there, "
            "the same line again submits the others (all at once: --set reco.canary=false)"
        )
    elif code == 0:
        print(f"when the jobs have ended: auto-iter millepede -i {iteration}")
    return code
