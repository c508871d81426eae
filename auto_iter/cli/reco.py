"""`auto-iter reco`: one iteration's reconstruction only, as a link of the chain by hand."""

from __future__ import annotations

import argparse

from auto_iter.cli.command import command, option
from auto_iter.cli.options import positive
from auto_iter.cli.run import (
    ALLOW_MISSING,
    DRY_RUN,
    alignment_arguments,
    alignment_config,
    alignment_options,
)


@command(
    *alignment_options(),
    option("-i", "--iteration", type=positive, default=1, metavar="N", help="which iteration (1)"),
    option("--wait", action="store_true", help="wait until the outputs are there"),
    ALLOW_MISSING,
    DRY_RUN,
)
def reco(arguments: argparse.Namespace) -> int:
    """One iteration's reconstruction only.

    Submit the reconstruction of one iteration, and return (or wait for it).

    examples:
      auto-iter reco -y 2023 -r 011705 -f 400-450 -i 1
      # how far the jobs are
      auto-iter status Y2023_R011705_F400-450
      # constants of what came back
      auto-iter millepede -i Y2023_R011705_F400-450/iter01
      # with the new constants
      auto-iter reco -y 2023 -r 011705 -f 400-450 -i 2

    That is the chain by hand, iteration after iteration; nothing has to run in between. The same
    line again submits what failed. `auto-iter resume` continues from wherever that is.
    """
    from auto_iter.daemon.visits import links
    from auto_iter.rawfiles import spoken
    from states.table import RECONSTRUCTED

    config = alignment_config(arguments)
    asked = alignment_arguments(arguments, config, None)
    number, missing = arguments.iteration, arguments.allow_missing
    if arguments.dry_run:
        from auto_iter.daemon.visits.rehearsal import rehearse_reco

        print(rehearse_reco(asked, config, number, allow_missing=missing))
        return 0
    opened, code = links.reco(asked, config, number, wait=arguments.wait, allow_missing=missing)
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
