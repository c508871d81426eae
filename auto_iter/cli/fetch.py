"""`auto-iter fetch`: bring home what finished jobs left with the batch system."""

from __future__ import annotations

import argparse

from auto_iter.cli.options import Subparsers, add_workspace_argument, the_workspace


def add_parser(subparsers: Subparsers) -> None:
    """Register the command."""
    parser = subparsers.add_parser(
        "fetch",
        help="fetch outputs and logs of a cluster (condor_transfer_data)",
        description="Fetch what finished jobs of a cluster left with the batch system, as "
        "condor_transfer_data does. A daemon, `reco` and `millepede -i` fetch by themselves.",
    )
    parser.add_argument("cluster", metavar="CLUSTER", help="its number, as `status --json` has it")
    add_workspace_argument(parser)
    parser.set_defaults(call=_fetch)


def _fetch(arguments: argparse.Namespace) -> int:
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.daemon.visits.links import fetch_cluster

    delivered, wanted = fetch_cluster(
        open_workspace(the_workspace(arguments.workspace)), arguments.cluster
    )
    print(f"{delivered} of {wanted} raw files are reconstructed")
    return 0
