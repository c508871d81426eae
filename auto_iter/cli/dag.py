"""`auto-iter dag`: the same alignment under HTCondor DAGMan, without a daemon."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.options import (
    Subparsers,
    add_set_option,
    add_workspace_argument,
    positive,
    the_workspace,
)
from auto_iter.cli.run import add_alignment_options, alignment_arguments, alignment_config

if TYPE_CHECKING:
    from auto_iter.alignment.arguments import Arguments
    from auto_iter.config.schema import Config
    from auto_iter.daemon.lifecycle import Opened

EPILOG = """\
Without --submit the DAG is only written; `condor_submit_dag alignment.dag` in the workspace submits
it, or the same command with --submit. It goes on where a daemon, or an earlier DAG, has left.
"""


def add_parser(subparsers: Subparsers) -> None:
    """Register the command and its own commands."""
    parser = subparsers.add_parser(
        "dag",
        help="hand an alignment to HTCondor DAGMan",
        description="Write an alignment as a DAG, and submit it: DAGMan runs it, without a daemon.",
        epilog=EPILOG,
    )
    add_alignment_options(parser, required=False)
    parser.add_argument(
        "-i", "--iteration", "--iterations", dest="iterations", type=positive, metavar="N",
        help="the most iterations; it ends earlier when it has converged",
    )  # fmt: skip
    parser.add_argument(
        "--allow-missing", action="store_true", help="go on without raw files that are not there"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--submit", action="store_true", help="submit the DAG")
    what.add_argument(
        "--dry-run", action="store_true",
        help="print the DAG, the first iteration's submit descriptions, and what room it takes; "
        "write and submit nothing",
    )  # fmt: skip
    parser.set_defaults(call=_write, required=parser)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    _add_status(commands)
    _add_rescue(commands)
    _add_remove(commands)
    _add_node(commands)


def _add_status(commands: Subparsers) -> None:
    status = commands.add_parser(
        "status",
        help="say how the DAG stands, node by node",
        description="Say how the DAG stands: nodes by state, and what is wrong with which.",
    )
    add_workspace_argument(status)
    status.add_argument("--json", action="store_true", help="for programs; the format is stable")
    status.set_defaults(call=_status)


def _add_rescue(commands: Subparsers) -> None:
    rescue = commands.add_parser(
        "rescue",
        help="go on with a DAG that failed or was removed",
        description="Submit the DAG again, from where the alignment is: what is done stays done.",
    )
    add_workspace_argument(rescue)
    rescue.add_argument(
        "-i", "--iterations", type=positive, metavar="N", help="change the number of iterations"
    )
    add_set_option(rescue)
    rescue.set_defaults(call=_rescue)


def _add_remove(commands: Subparsers) -> None:
    remove = commands.add_parser(
        "remove",
        help="take the DAG and all of its jobs off the queue",
        description="Take the DAG and all of its jobs off the queue; `dag rescue` goes on.",
    )
    add_workspace_argument(remove)
    remove.set_defaults(call=_remove)


def _add_node(commands: Subparsers) -> None:
    # What run_millepede.sh calls; nothing for a person.
    node = commands.add_parser("node", description="Take a Millepede node's turn.")
    node.add_argument("workspace", type=Path, help="its directory")
    node.add_argument("number", type=positive, help="of the iteration")
    node.set_defaults(call=_node)


def _write(arguments: argparse.Namespace) -> int:
    from auto_iter.dag.handing import hand_over

    for name, option in (("year", "-y/--year"), ("run", "-r/--run")):
        if getattr(arguments, name) is None:
            arguments.required.error(f"the following arguments are required: {option}")
    config = alignment_config(arguments)
    asked = alignment_arguments(arguments, config, arguments.iterations)
    if arguments.dry_run:
        return _rehearse(asked, config, allow_missing=arguments.allow_missing)
    opened = hand_over(asked, config, allow_missing=arguments.allow_missing)
    if arguments.submit:
        return _submit(opened)
    root = opened.workspace.root
    print(f"written: {root / 'alignment.dag'}\nsubmit it with: auto-iter dag rescue {root}")
    return 0


def _rehearse(asked: Arguments, config: Config, *, allow_missing: bool) -> int:
    from auto_iter.dag.rehearsal import rehearse

    files, ahead = rehearse(asked, config, allow_missing=allow_missing)
    for each in files:
        print(f"==> {each.path} <==\n{each.text}")
    print(ahead.as_text())
    return 0


def _submit(opened: Opened) -> int:
    from auto_iter.dag.handing import submit

    root = opened.workspace.root
    run = submit(root)
    print(
        f"submitted as job {run.cluster}.0 ({run.key})\nfollow it with: auto-iter dag status {root}"
    )
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.dag.look import dag_status
    from auto_iter.dag.status import print_status

    status = dag_status(open_workspace(the_workspace(arguments.workspace)))
    print_status(status, as_json=arguments.json)
    return 0


def _rescue(arguments: argparse.Namespace) -> int:
    from auto_iter.dag.handing import hand_again

    root = the_workspace(arguments.workspace)
    return _submit(hand_again(root, arguments.iterations, arguments.overrides))


def _remove(arguments: argparse.Namespace) -> int:
    from auto_iter.dag.handing import remove

    root = the_workspace(arguments.workspace)
    job, left = remove(root)
    if job is None:
        print(f"{root}: no DAG is in the queue")
    else:
        print(f"removed: job {job.cluster}.0 and its nodes")
        print(f"go on with: auto-iter dag rescue {root}; without DAGMan: auto-iter resume {root}")
    if left:
        print(f"{left} jobs have not confirmed their end yet")
    return 1 if left else 0


def _node(arguments: argparse.Namespace) -> int:
    from auto_iter.dag.node import take_turn

    return take_turn(arguments.workspace, arguments.number)
