"""`auto-iter dag`: the same alignment under HTCondor DAGMan, without a daemon."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from auto_iter.cli.command import command, one_of, option
from auto_iter.cli.options import (
    AS_JSON,
    MORE_ITERATIONS,
    SET,
    WORKSPACE,
    positive,
    the_workspace,
)
from auto_iter.cli.run import (
    ALLOW_MISSING,
    alignment_arguments,
    alignment_config,
    alignment_options,
)

if TYPE_CHECKING:
    from auto_iter.alignment.arguments import Arguments
    from auto_iter.config.schema import Config
    from auto_iter.daemon.lifecycle import Opened


@command(
    *alignment_options(is_required=False),
    option(
        "-i", "--iteration", "--iterations", dest="iterations", type=positive, metavar="N",
        help="the most iterations; it ends earlier when it has converged",
    ),
    ALLOW_MISSING,
    one_of(
        option("--submit", action="store_true", help="submit the DAG"),
        option(
            "--dry-run", action="store_true",
            help="print the DAG, the first iteration's submit descriptions, and what room it "
            "takes; write and submit nothing",
        ),
    ),
)  # fmt: skip
def dag(arguments: argparse.Namespace) -> int:
    """Hand an alignment to HTCondor DAGMan.

    Write an alignment as a DAG, and submit it: DAGMan runs it, without a daemon.

    Without --submit the DAG is only written; `condor_submit_dag alignment.dag` in the workspace
    submits it, or the same command with --submit. It goes on where a daemon, or an earlier DAG, has
    left.
    """
    from auto_iter.dag.handing import hand_over
    from auto_iter.errors import UsageError

    for name, needed in (("year", "-y/--year"), ("run", "-r/--run")):
        if getattr(arguments, name) is None:
            raise UsageError(
                f"the following arguments are required: {needed}; see `auto-iter dag --help`"
            )
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
    print(ahead)
    return 0


def _submit(opened: Opened) -> int:
    from auto_iter.dag.handing import submit

    root = opened.workspace.root
    run = submit(root)
    print(
        f"submitted as job {run.cluster}.0 ({run.key})\nfollow it with: auto-iter dag status {root}"
    )
    return 0


@dag.command(WORKSPACE, AS_JSON)
def status(arguments: argparse.Namespace) -> int:
    """Say how the DAG stands: nodes by state, and what is wrong with which."""
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.dag.look import dag_status

    found = dag_status(open_workspace(the_workspace(arguments.workspace)))
    print(json.dumps(found.as_json(), indent=2) if arguments.json else found.as_text())
    return 0


@dag.command(WORKSPACE, MORE_ITERATIONS, SET)
def rescue(arguments: argparse.Namespace) -> int:
    """Go on with a DAG that failed or was removed.

    Submit the DAG again, from where the alignment is: what is done stays done.
    """
    from auto_iter.dag.handing import hand_again

    root = the_workspace(arguments.workspace)
    return _submit(hand_again(root, arguments.iterations, arguments.overrides))


@dag.command(WORKSPACE)
def remove(arguments: argparse.Namespace) -> int:
    """Take the DAG and all of its jobs off the queue; `dag rescue` goes on."""
    from auto_iter.dag import handing

    root = the_workspace(arguments.workspace)
    job, left = handing.remove(root)
    if job is None:
        print(f"{root}: no DAG is in the queue")
    else:
        print(f"removed: job {job.cluster}.0 and its nodes")
        print(f"go on with: auto-iter dag rescue {root}; without DAGMan: auto-iter resume {root}")
    if left:
        print(f"{left} jobs have not confirmed their end yet")
    return 1 if left else 0


@dag.command(
    option("workspace", type=Path, help="its directory"),
    option("number", type=positive, help="of the iteration"),
    is_listed=False,
)
def node(arguments: argparse.Namespace) -> int:
    """Take a Millepede node's turn."""  # what run_millepede.sh calls; nothing for a person
    from auto_iter.dag.node import take_turn

    return take_turn(arguments.workspace, arguments.number)
