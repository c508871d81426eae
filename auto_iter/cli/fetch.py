"""`auto-iter fetch`: bring home what finished jobs left with the batch system."""

from __future__ import annotations

import argparse

from auto_iter.cli.command import command, option
from auto_iter.cli.options import WORKSPACE, the_workspace


@command(
    option("cluster", metavar="CLUSTER", help="its number, as `status --json` has it"), WORKSPACE
)
def fetch(arguments: argparse.Namespace) -> int:
    """Fetch outputs and logs of a cluster (condor_transfer_data).

    Fetch what finished jobs of a cluster left with the batch system, as condor_transfer_data does.
    A daemon, `reco` and `millepede -i` fetch by themselves.
    """
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.daemon.visits.links import fetch_cluster

    delivered, wanted = fetch_cluster(
        open_workspace(the_workspace(arguments.workspace)), arguments.cluster
    )
    print(f"{delivered} of {wanted} raw files are reconstructed")
    return 0
