"""`auto-iter reco`: one iteration's reconstruction only, as a link of the chain by hand."""

from __future__ import annotations

import argparse
import time

from auto_iter.cli.options import Subparsers, positive
from auto_iter.cli.run import add_alignment_options, alignment_arguments, alignment_config

EPILOG = """\
The chain by hand, iteration after iteration:
  auto-iter reco -y 2023 -r 011705 -f 400-450 -i 1 --wait
  auto-iter millepede run -i Y2023_R011705_F400-450/iter01
  auto-iter reco -y 2023 -r 011705 -f 400-450 -i 2 --wait     (with the new constants)
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "reco",
        help="one iteration's reconstruction only",
        description="Submit the reconstruction of one iteration, and return (or wait for it).",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_alignment_options(parser)
    parser.add_argument(
        "-i", "--iteration", type=positive, default=1, metavar="N", help="which (1)"
    )
    parser.add_argument("--wait", action="store_true", help="wait until the outputs are there")
    parser.add_argument(
        "--allow-missing", action="store_true", help="go on without raw files that are not there"
    )
    parser.set_defaults(call=_reco)


def _reco(arguments: argparse.Namespace) -> int:
    from auto_iter.session import Wishes, run_session, start_reco

    config = alignment_config(arguments)
    asked = alignment_arguments(arguments, config, None)
    opened = start_reco(
        asked,
        config,
        arguments.iteration,
        allow_missing=arguments.allow_missing,
        now=time.time(),
    )
    reached = {"mille", "pede"} if arguments.wait else {"wait_reco", "mille", "pede"}
    return run_session(opened, Wishes(until=frozenset(reached)))
