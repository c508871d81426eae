"""`auto-iter resume`: go on with an alignment, from its workspace alone."""

from __future__ import annotations

import argparse
import sys
import time

from auto_iter.cli.command import command, option
from auto_iter.cli.options import END_CODES, MORE_ITERATIONS, SET, WORKSPACE, the_workspace
from auto_iter.errors import AutoIterError, will_pass

AGAIN_S = 60.0
"""After a boot a disk may not be there yet, or be full: a service tries again so often."""


@command(
    WORKSPACE,
    MORE_ITERATIONS,
    SET,
    option(
        "--steal-lock", action="store_true",
        help="take the workspace from a daemon on another host that is gone for good",
    ),
    option(
        "--abandon-schedd", action="store_true",
        help="give up the jobs of a schedd that is gone for good, and submit their files again",
    ),
    option(
        "--stay-paused", action="store_true",
        help="leave an alignment paused that is; for what starts a daemon by itself",
    ),
    below=END_CODES,
)  # fmt: skip
def resume(arguments: argparse.Namespace) -> int:
    """Continue an alignment after a crash, a stop or a failure.

    Continue where the checkpoint says. Jobs that still run are not repeated. A daemon that was told
    to pause is told to go on.
    """
    # A service waits for what is in its way when it starts, as the daemon would later.
    while True:
        try:
            return _gone_on(arguments)
        except (AutoIterError, OSError) as error:
            if not (arguments.stay_paused and will_pass(error)):
                raise
            print(f"waiting, again in {AGAIN_S:g} s: {error}", file=sys.stderr, flush=True)
        time.sleep(AGAIN_S)


def _gone_on(arguments: argparse.Namespace) -> int:
    from auto_iter.control.asking import ask, request
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.daemon.lock import live_holder
    from auto_iter.daemon.session import SessionOptions, run_session

    opened = open_workspace(the_workspace(arguments.workspace))
    if _only_goes_on(arguments) and opened.snapshot.paused and live_holder(opened.workspace.lock):
        answer = ask(opened.workspace.root, request("go on"))
        if answer.by_daemon:
            print(answer.words or "the daemon goes on")
            return 0
    options = SessionOptions(
        steal_lock=arguments.steal_lock,
        iterations=arguments.iterations,
        overrides=tuple(arguments.overrides),
        abandon_schedd=arguments.abandon_schedd,
        stay_paused=arguments.stay_paused,
    )
    return run_session(opened, options)


def _only_goes_on(arguments: argparse.Namespace) -> bool:
    """Tell whether nothing is asked for that a daemon at work cannot be told."""
    changes = (arguments.iterations, arguments.overrides, arguments.steal_lock)
    return not any((*changes, arguments.abandon_schedd, arguments.stay_paused))
