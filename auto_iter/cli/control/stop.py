"""`auto-iter stop`: end the daemon; with `--jobs`, its jobs too."""

from __future__ import annotations

import argparse
from pathlib import Path

from auto_iter.cli.command import command, option
from auto_iter.cli.options import WORKSPACE, amount, the_workspace


@command(
    WORKSPACE,
    option("--jobs", action="store_true", help="remove the running jobs as well"),
    option(
        "--lost", metavar="HOST",
        help="HOST is gone for good: give up its daemon, and its jobs in the local batch system",
    ),
    option("--timeout", type=amount, default=90.0, help="seconds to wait for it (90)"),
)  # fmt: skip
def stop(arguments: argparse.Namespace) -> int:
    """Stop the daemon; its jobs keep running, and `auto-iter resume` picks them up."""
    from auto_iter.daemon.lifecycle import open_to_stop
    from auto_iter.daemon.visits.stopping import declare_lost, remove_jobs, stop_daemon

    opened = open_to_stop(the_workspace(arguments.workspace))
    if arguments.lost is not None:
        jobs = declare_lost(opened, arguments.lost)
        print(f"{jobs} jobs on {arguments.lost} are lost; `auto-iter resume` runs them again")
        return 0
    if opened.snapshot.dag is not None:
        return _stop_dag(opened.workspace.root, jobs=arguments.jobs)
    stopped = stop_daemon(opened.workspace, arguments.timeout)
    print("the daemon has stopped" if stopped else "no daemon is running")
    if arguments.jobs:
        if opened.remark is not None:
            print(opened.remark)
        jobs, left = remove_jobs(opened)
        print(
            f"the jobs of {jobs} raw files are removed; `auto-iter resume` submits them again"
            if jobs
            else "it has no jobs"
        )
        if left:
            print(f"{left} of them have not been confirmed to end yet; `resume` waits for that")
    return 0


def _stop_dag(root: Path, *, jobs: bool) -> int:
    from auto_iter.dag.handing import remove

    if not jobs:
        print(f"no daemon is running: DAGMan has this alignment; auto-iter dag remove {root}")
        return 0
    job, left = remove(root)
    print(
        "no DAG is in the queue" if job is None else f"removed: job {job.cluster}.0 and its nodes"
    )
    return 1 if left else 0
