"""A workspace changes hands: from a daemon to a DAG and back, and never has both at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.snapshot import DagRun, Snapshot
from auto_iter.batch.htcondor.child import ScheddProcess
from auto_iter.batch.htcondor.dagman.manager import DagJob, DagManager
from auto_iter.batch.htcondor.dagman.nodes import key_of
from auto_iter.batch.htcondor.finding import schedd_in
from auto_iter.daemon.lifecycle import Opened
from auto_iter.errors import UsageError

RECONSTRUCTING = frozenset({"prepare", "submit_reco", "wait_reco"})
"""States of an iteration that still needs jobs."""


@contextmanager
def dag_manager(opened: Opened) -> Iterator[DagManager]:
    """Give what talks to DAGMan's schedd about a workspace."""
    config = opened.config.htcondor
    key = opened.snapshot.dag_key
    schedd = ScheddProcess(pool=config.pool, schedd=config.schedd, timeout_s=config.call_timeout_s)
    with closing(schedd):
        yield DagManager(opened.workspace.root, schedd.at(schedd_in(key or "")))


def refuse_live_dag(opened: Opened) -> None:
    """Raise UsageError where DAGMan has the workspace. Raises TransientError where unknown."""
    run = opened.snapshot.dag
    if run is None:
        return
    with dag_manager(opened) as manager:
        job = manager.live(run.key)
        left = [] if job is not None else manager.jobs(run.cluster, run.key)
    root = opened.workspace.root
    if job is not None:
        raise UsageError(
            f"{root}: DAGMan runs this alignment ({in_words(job)}); follow it with `auto-iter dag "
            f"status {root}`, or end it with `auto-iter dag remove {root}`"
        )
    if left:
        raise UsageError(
            f"{root}: {len(left)} jobs of a DAG that is gone are still in the queue; `auto-iter "
            f"dag remove {root}` removes them"
        )


def in_words(job: DagJob) -> str:
    """Return which job of which schedd that is."""
    return f"job {job.cluster}.0 on {job.schedd}"


def for_a_daemon(snapshot: Snapshot) -> Snapshot:
    """Return what a DAG left as a daemon goes on with: outputs that are there count."""
    if snapshot.dag is None:
        return snapshot
    return _jobs_needed(snapshot).but(dag=None)


def for_a_dag(snapshot: Snapshot, run: DagRun) -> Snapshot:
    """Return what a daemon left, its jobs removed, as a DAG goes on with."""
    return _jobs_needed(snapshot).but(dag=run)


def _jobs_needed(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot before an iteration's submission, unless its outputs are all there."""
    if snapshot.state not in RECONSTRUCTING:
        return snapshot
    # Prepared anew: a DAG's submit description is another one.
    return snapshot.but(state="prepare", intent=None, attempts=(), submitted_up_to=None)


def with_nodes_ended(snapshot: Snapshot, jobs: int) -> Snapshot:
    """Return the snapshot of an iteration whose nodes are through, to be judged like any jobs."""
    run = snapshot.dag
    if run is None or snapshot.state not in RECONSTRUCTING:
        return snapshot
    nodes = Attempt(
        number=1,
        key=key_of(snapshot.iteration, run.key),
        cluster=str(run.cluster or 0),
        jobs=jobs,
        submitted_at=run.submitted_at or snapshot.iteration_started_at,
        schedd=schedd_in(run.key),
    )
    return snapshot.but(state="wait_reco", intent=None, attempts=(nodes,), failure=None)
