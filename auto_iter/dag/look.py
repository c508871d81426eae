"""How a DAG stands just now: what the queue says, and what lies in the workspace."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path

from auto_iter.alignment.model import Problem, Trouble
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.exitcodes import describe_exit
from auto_iter.batch.holds import decide
from auto_iter.batch.htcondor.ads import Ad
from auto_iter.batch.htcondor.dagman.ends import ERRORS, NodeEnd, last_end
from auto_iter.batch.htcondor.dagman.nodes import failures
from auto_iter.batch.htcondor.dagman.text import (
    DAG_FILE,
    FAILED,
    millepede_node,
    node_of,
    reco_node,
)
from auto_iter.batch.htcondor.flavours import more_time
from auto_iter.config.batch import Holds, HTCondor
from auto_iter.daemon.handover import dag_manager
from auto_iter.daemon.lifecycle import Opened, reconstruction
from auto_iter.dag.files import rescue_files
from auto_iter.dag.handing import refuse_without_dag
from auto_iter.dag.status import JOB_STATES, DagStatus, Wrong
from auto_iter.errors import AutoIterError
from auto_iter.iteration.evidence import last_lines

TOLD_LINES = 5
"""So many lines of a node's log are told with what is wrong with it."""


def dag_status(opened: Opened) -> DagStatus:
    """Look at the queue and at the workspace."""
    refuse_without_dag(opened)
    snapshot, root = opened.snapshot, opened.workspace.root
    run = snapshot.dag
    job, last, queued, trouble = None, None, list[Ad](), None
    cluster = None if run is None else run.cluster
    try:
        with dag_manager(opened) as manager:
            key = "" if run is None else run.key
            job = manager.live(key)
            cluster = cluster if job is None else job.cluster
            if job is None and key:
                last = manager.last(key)
            queued = manager.jobs(cluster, key) if cluster is not None or key else []
    except AutoIterError as error:
        trouble = str(error)
    nodes, wrong = _nodes(opened, queued, cluster)
    rescue = rescue_files(root)
    return DagStatus(
        root=root,
        snapshot=snapshot,
        nodes=nodes,
        seen_at=time.time() if trouble is None else _last_sign(root),
        job=job,
        wrong=wrong,
        rescue=int(rescue[-1].name[-3:]) if rescue else None,
        expected_end=_expected_end(snapshot),
        trouble=trouble,
        last_exit=None if last is None else last.exit_code,
        phases={each.iteration: each.phase for each in snapshot.history}
        | {snapshot.iteration: snapshot.phase_name},
    )


def _last_sign(root: Path) -> float:
    """Return when DAGMan or a node last wrote into the workspace."""
    signs = [root / f"{DAG_FILE}.dagman.out", root / "state.yaml"]
    return max(path.stat().st_mtime for path in signs if path.exists())


Counts = dict[int, Counter[str]]


def _nodes(
    opened: Opened, queued: list[Ad], cluster: int | None
) -> tuple[Counts, tuple[Wrong, ...]]:
    """Return how many nodes are how, by iteration, and what is wrong with some.

    `cluster`: DAGMan's, where it is known.
    """
    snapshot = opened.snapshot
    each, now = len(reconstruction(opened).wanted()) + 1, snapshot.iteration
    is_over = snapshot.state == "done"
    counts: Counts = {n: Counter() for n in range(1, snapshot.arguments.iterations + 1)}
    for counter in (counts[n] for n in counts if n < now or (n == now and is_over)):
        counter["done"] = each
    if is_over:
        return counts, ()
    wrong = [*_queued(queued, counts, opened.config.htcondor.holds)]
    wrong += _current(opened, queued, counts[now])
    wrong += _millepede(opened, queued, counts, cluster)
    for counter in (counts[n] for n in counts if n >= now):
        counter["waiting"] = max(each - counter.total(), 0)
    return counts, tuple(wrong)


def _current(opened: Opened, queued: list[Ad], counter: Counter[str]) -> list[Wrong]:
    """Count what has ended of the iteration that the alignment is at."""
    snapshot, mine = opened.snapshot, reconstruction(opened)
    paths = opened.workspace.iteration(snapshot.iteration, snapshot.arguments.run)
    in_queue = {int(ad["AutoIterRawFile"]) for ad in queued if "AutoIterRawFile" in ad}
    failed = {n: each for n, each in failures(paths.reco).items() if n not in in_queue}
    delivered = mine.delivered(snapshot.iteration)
    # What HTCondor brings back lies in its job's directory until the Millepede node's turn.
    brought = (n for n in mine.wanted() if (paths.job_directory(n) / paths.output_name(n)).exists())
    delivered |= frozenset(brought)
    counter["done"] = len(delivered - failed.keys() - in_queue)
    counter["failed"] = len(failed) + (snapshot.state == "failed")
    name = partial(reco_node, snapshot.iteration)
    config = opened.config.htcondor
    return [_failed(name(number), problem, config) for number, problem in failed.items()]


def _millepede(
    opened: Opened, queued: list[Ad], counts: Counts, cluster: int | None
) -> Iterator[Wrong]:
    """Yield how Millepede nodes ended that could not say so in the checkpoint.

    Also of the iteration before: killed once all was written, its node is tried again, and is over.
    """
    snapshot = opened.snapshot
    in_queue = {str(ad.get("DAGNodeName")) for ad in queued}
    for iteration in range(max(snapshot.iteration - 1, 1), snapshot.iteration + 1):
        place = opened.workspace.iteration(iteration, snapshot.arguments.run).millepede
        end, name = last_end(place, cluster or 0), millepede_node(iteration)
        if end is None or end.is_good or name in in_queue:
            continue
        if snapshot.state == "failed":
            if end.exit_code == FAILED:
                continue  # that is told, and counted, as the alignment's failure
        elif iteration == snapshot.iteration:
            counts[iteration]["failed"] += 1
        yield _ended_badly(name, end, place / ERRORS)


def _ended_badly(node: str, end: NodeEnd, log: Path) -> Wrong:
    where = f" (on {end.machine})" if end.machine else ""
    tries = f", try {end.tries}" if end.tries > 1 else ""
    tail = tuple(last_lines(log)[-TOLD_LINES:])
    reason = f"{end.meaning}{where}{tries}"
    return Wrong(node, "failed", reason, end.remedy, end.exit_code, str(log), tail)


def _queued(queued: list[Ad], counts: Counts, holds: Holds) -> Iterator[Wrong]:
    """Count the jobs in the queue; yield those that are held."""
    for ad in queued:
        name = str(ad.get("DAGNodeName", ""))
        state = JOB_STATES.get(int(ad["JobStatus"]), "running")
        try:
            iteration, number = node_of(name)
        except ValueError:
            continue
        counts.setdefault(iteration, Counter())[state] += 1
        if state != "held":
            continue
        problem = Problem(
            number or 0,
            Trouble.HELD,
            str(ad.get("HoldReason", "")),
            code=_integer(ad, "HoldReasonCode"),
            subcode=_integer(ad, "HoldReasonSubCode"),
            memory_mb=_integer(ad, "RequestMemory"),
        )
        remedy = decide(problem, 0, holds)
        if number is None:
            remedy = replace(remedy, advice="raise dag.memory_mb or dag.disk_mb, if that was it")
        yield Wrong(name, "held", f"{remedy.meaning}: {problem.reason}", remedy.advice)


def _integer(ad: Ad, name: str) -> int | None:
    return int(ad[name]) if name in ad else None


def _failed(node: str, problem: Problem, config: HTCondor) -> Wrong:
    where = f" (on {problem.machine})" if problem.machine else ""
    reason, _, remedy = describe_exit(problem.exit_code, problem.signal).partition("; ")
    if problem.exit_code is None and problem.signal is None:
        overran = problem.trouble is Trouble.OVERRAN
        reason, remedy = problem.reason, more_time(problem, config).advice if overran else ""
    return Wrong(node, "failed", f"{reason}{where}", remedy, problem.exit_code)


def _expected_end(snapshot: Snapshot) -> float | None:
    """Extrapolate from the iterations so far; None in the first one."""
    lengths = [each.finished_at - each.started_at for each in snapshot.history]
    if not lengths:
        return None
    left = snapshot.arguments.iterations - snapshot.iteration + 1
    return snapshot.iteration_started_at + left * sum(lengths) / len(lengths)
