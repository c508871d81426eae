"""A workspace changes hands: from a daemon to a DAG and back, and never has both at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.snapshot import DagRun, Snapshot
from auto_iter.batch.htcondor.dagman.manager import DagJob, DagManager
from auto_iter.batch.htcondor.dagman.nodes import bring_home, key_of, needed_memory, needed_time
from auto_iter.batch.htcondor.dagman.text import DAG_FILE
from auto_iter.batch.htcondor.finding import schedd_in
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.daemon.lifecycle import Opened
from auto_iter.errors import UsageError

RECONSTRUCTING = frozenset({"prepare", "submit_reco", "wait_reco"})
"""States of an iteration that still needs jobs."""


def schedd_of(opened: Opened) -> ScheddProcess:
    """Return the configured schedd of a workspace; to be closed."""
    config = opened.config.htcondor
    return ScheddProcess(pool=config.pool, schedd=config.schedd, timeout_s=config.call_timeout_s)


@contextmanager
def dag_manager(opened: Opened) -> Iterator[DagManager]:
    """Give what talks to DAGMan's schedd about a workspace."""
    key = opened.snapshot.dag_key
    with closing(schedd_of(opened)) as schedd:
        yield DagManager(opened.workspace.root, schedd.at(schedd_in(key or "")))


def refuse_live_dag(opened: Opened) -> None:
    """Raise UsageError where DAGMan has the workspace. Raises TransientError where unknown."""
    root, run = opened.workspace.root, opened.snapshot.dag
    if run is None and not (root / DAG_FILE).exists():
        return
    with dag_manager(opened) as manager:
        key = opened.snapshot.dag_key or ""
        job = manager.live(key)
        left = [] if job is not None or run is None else manager.jobs(run.cluster, key)
        if job is not None:
            manager.refuse_elsewhere(job)
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


def settled(opened: Opened) -> Snapshot:
    """Bring home what a DAG's nodes left, and return the snapshot that knows of it.

    Only where the DAG and its jobs are gone.
    """
    snapshot = opened.snapshot
    if snapshot.dag is None:
        return snapshot
    paths = opened.workspace.iteration(snapshot.iteration, snapshot.arguments.run)
    if snapshot.state in RECONSTRUCTING:
        bring_home(paths.root)
    return with_needs(snapshot, paths.reco)


def with_needs(snapshot: Snapshot, reco: Path) -> Snapshot:
    """Return the snapshot that knows what raw files needed in an iteration of a DAG."""
    return snapshot.but(
        memory_mb={**snapshot.memory_mb, **needed_memory(reco)},
        time_s={**snapshot.time_s, **needed_time(reco)},
    )


def in_words(job: DagJob) -> str:
    """Return which job of which schedd that is."""
    return f"job {job.cluster}.0 on {job.schedd}"


def for_a_daemon(opened: Opened) -> Snapshot:
    """Return what a DAG left as a daemon goes on with; its file would only mislead from now on."""
    if opened.snapshot.dag is None:
        return opened.snapshot
    snapshot = settled(opened)
    for path in opened.workspace.root.glob(f"{DAG_FILE}*"):
        if path.name == DAG_FILE or ".rescue" in path.name:
            path.unlink(missing_ok=True)
    return _jobs_needed(snapshot).but(dag=None)


def for_a_dag(opened: Opened, snapshot: Snapshot, key: str) -> Snapshot:
    """Return what a daemon left, its jobs removed, or a DAG, as the next DAG goes on with."""
    known = settled(opened)
    return handed(snapshot, key).but(memory_mb=known.memory_mb, time_s=known.time_s)


def handed(snapshot: Snapshot, key: str) -> Snapshot:
    """Return the snapshot of an alignment that DAGMan has under `key`, once more than before."""
    return _jobs_needed(snapshot).but(dag=DagRun(key=key), dags=snapshot.dags + 1, paused=None)


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
