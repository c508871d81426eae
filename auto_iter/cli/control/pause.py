"""`auto-iter pause`: nothing new is begun, until `resume`."""

from __future__ import annotations

import argparse
import json

from auto_iter.cli.command import command
from auto_iter.cli.options import ANSWER_AS_JSON, WORKSPACE, the_workspace


@command(WORKSPACE, ANSWER_AS_JSON)
def pause(arguments: argparse.Namespace) -> int:
    """Submit nothing and begin no iteration until `resume`.

    Pause an alignment: jobs that run go on and are looked after, what is in is converted and
    solved, but nothing is submitted and no iteration begins. It stays paused whatever happens to
    the daemon, until `auto-iter resume`.

    examples:
      auto-iter pause Y2023_R011705_F400-450
      auto-iter resume Y2023_R011705_F400-450    goes on
    """
    from auto_iter.control.asking import ask, refuse_dag, request
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.errors import UsageError

    root = the_workspace(arguments.workspace)
    opened = open_workspace(root)
    refuse_dag(opened)
    if opened.snapshot.state == "done":
        raise UsageError(f"{root}: the alignment is done; there is nothing to pause")
    answer = ask(root, request("pause"))
    if arguments.json:
        told = {"workspace": str(answer.workspace.root), "paused": True, "taken": answer.is_taken}
        print(json.dumps({**told, "by_daemon": answer.by_daemon}))
        return 0
    print(
        answer.words
        or f"paused: jobs that run go on; go on with: {answer.workspace.resume_command}"
    )
    return 0
