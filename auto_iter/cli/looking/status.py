"""`auto-iter status`: where alignments are, for people and (`--json`, `--exit-code`) programs."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.command import command, option
from auto_iter.cli.options import WORKSPACES, the_workspaces

if TYPE_CHECKING:
    from auto_iter.daemon.screen.overview import Seen
    from auto_iter.daemon.status import Status

URGENT_FIRST = (2, 1, 12, 11, 14, 10, 13)
"""Exit codes in the order of how soon a person has to do something; then those of verdicts."""


@command(
    WORKSPACES,
    option(
        "--json", action="store_true",
        help="for programs; the format is stable: an object, or a list of them for several",
    ),
    option("--exit-code", action="store_true", help="tell the state by the exit code, see below"),
)  # fmt: skip
def status(arguments: argparse.Namespace) -> int:
    """Show where an alignment is, or several.

    Show state, iteration, jobs, what failed, what to do, and what each iteration found; of several
    workspaces a line each.

    exit codes: 0, 1, 2 as of any command; with --exit-code by state, of several
    the most urgent:
        1  failed                            11  a daemon waits; goes on by itself
       12  stopped or killed: resume it      10  a daemon is at work
       14  paused: resume it                 13  handed to DAGMan
     3..6  done, but not converged, as of `run`
        0  done and converged                 2  no workspace, or not readable
    """
    roots = the_workspaces(arguments.workspaces)
    if len(roots) == 1:
        return _one(roots[0], arguments)
    from auto_iter.daemon.screen.overview import overview, see

    seen = [see(root, _look) for root in roots]
    if arguments.json:
        print(json.dumps([_as_json(each) for each in seen], indent=2))
    else:
        print("\n".join(overview(seen)))
    codes = [_code(each) for each in seen]
    if arguments.exit_code:
        return most_urgent(codes)
    return 1 if 2 in codes else 0


def _one(root: Path, arguments: argparse.Namespace) -> int:
    status = _look(root)
    if arguments.json:
        print(json.dumps(status.as_json(), indent=2))
    else:
        from auto_iter.daemon.screen.status_text import status_text

        print(status_text(status))
    return status.exit_code if arguments.exit_code else 0


def _look(root: Path) -> Status:
    """Return the status; where nobody else looks at the jobs, as they are just now."""
    from auto_iter.daemon.status import read_status
    from auto_iter.workspace.paths import Workspace

    status = read_status(Workspace(root.absolute()), time.time())
    if status.needs_a_look:
        # Only here: whoever asks about a daemon's workspace need not wait for a schedd.
        from auto_iter.daemon.lifecycle import open_workspace
        from auto_iter.daemon.visits.look import look_for

        status = look_for(open_workspace(root), status)
    return status


def _as_json(seen: Seen) -> dict[str, object]:
    from auto_iter.daemon.status import Status

    if isinstance(seen, Status):
        return seen.as_json()
    return {"version": 1, "workspace": str(seen.root.absolute()), "error": seen.reason}


def _code(seen: Seen) -> int:
    from auto_iter.daemon.status import Status

    return seen.exit_code if isinstance(seen, Status) else 2


def most_urgent(codes: Sequence[int]) -> int:
    """Return the exit code for several alignments; of verdicts, the highest is the worst."""
    return next((code for code in URGENT_FIRST if code in codes), max(codes))
