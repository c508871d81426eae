"""An alignment is handed to DAGMan: from the beginning, from a daemon, or once more."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import DagRun, Snapshot
from auto_iter.batch.htcondor.dagman.manager import DagJob, DagManager, dagman_program
from auto_iter.batch.htcondor.dagman.text import DAG_FILE
from auto_iter.batch.htcondor.finding import Finder, schedd_in
from auto_iter.batch.registry import resolve_config
from auto_iter.config.file import dump_config
from auto_iter.config.schema import Config
from auto_iter.daemon.handover import (
    RECONSTRUCTING,
    dag_manager,
    for_a_dag,
    refuse_live_dag,
    schedd_of,
)
from auto_iter.daemon.lifecycle import Opened, change, locate, open_workspace, revive
from auto_iter.daemon.session import SessionOptions, run_session, start
from auto_iter.daemon.signals import restore_signals
from auto_iter.daemon.visits.links import held
from auto_iter.daemon.visits.stopping import remove_jobs
from auto_iter.dag.files import prepare_nodes, refuse_place, write_dag
from auto_iter.errors import AutoIterError, CutShortError, PermanentError, UsageError
from auto_iter.files import write_atomically
from auto_iter.iteration.solver_choice import change_in_words, frozen


def hand_over(arguments: Arguments, config: Config, *, allow_missing: bool) -> Opened:
    """Make, or take, the workspace of these arguments, and write its DAG; nothing is submitted.

    Raises UsageError where a daemon or another DAG is at work on it, or HTCondor is not there.
    """
    resolved = resolve_config(config, os.environ)
    refuse_no_htcondor(resolved)
    refuse_place(locate(arguments, resolved).root)
    opened = start(arguments, config, allow_missing=allow_missing)
    return hand_again(opened.workspace.root)


def hand_again(root: Path, iterations: int | None = None, overrides: Sequence[str] = ()) -> Opened:
    """Write the DAG of a workspace anew, from where its alignment is, with other settings."""
    opened = open_workspace(root)
    refuse_no_htcondor(opened.config, root)
    refuse_place(opened.workspace.root)
    refuse_live_dag(opened)
    snapshot = opened.snapshot
    if snapshot.dag is None and (snapshot.live_attempts or snapshot.intent is not None):
        # Two jobs of a raw file at once would be one too many.
        count, left = remove_jobs(opened, keep_outputs=True)
        print(f"jobs of {count} raw files are taken off the queue; the DAG starts them again")
        if left:
            raise AutoIterError(f"{left} of them have not confirmed their end yet: try again")
    with held(root) as (found, lock):
        refuse_live_dag(found)
        opened = change(found, iterations, overrides)
        snapshot = ready_to_go_on(opened)
        opened = _with_one_solver(opened)
        snapshot = for_a_dag(found, snapshot, _key(opened, snapshot.dags + 1))
        checkpoint.save(opened.workspace.checkpoint, snapshot, lock.check)
    code = AutoIterError.exit_code
    if snapshot.state in RECONSTRUCTING:
        options = SessionOptions(until=frozenset({"submit_reco"}), under_dagman=True)
        code = run_session(replace(opened, snapshot=snapshot), options)
        restore_signals()
    opened = open_workspace(root)
    snapshot = opened.snapshot
    if snapshot.state == "failed":
        raise PermanentError("the alignment could not be prepared; see above")
    if snapshot.dag is None or snapshot.state in RECONSTRUCTING - {"submit_reco"}:
        message = f"{root}: interrupted: no DAG was written; the same command goes on"
        raise CutShortError(message, code)
    if snapshot.crowded:
        print(f"note: little room: {snapshot.crowded}")
    try:
        write_dag(opened, snapshot.dag)
        if opened.snapshot.state in RECONSTRUCTING:
            prepare_nodes(opened)
    except OSError as error:
        raise PermanentError(
            f"{error.filename or root}: {error.strerror}", "mend that, and try again"
        ) from None
    return opened


def refuse_no_htcondor(config: Config, root: Path | None = None) -> None:
    """Raise UsageError where jobs run elsewhere. `config` is resolved."""
    if config.batch.system != "htcondor":
        whose = "this machine has none" if root is None else f"{root} was made for another one"
        raise UsageError(f"a DAG needs HTCondor as its batch system; {whose} (batch.system)")


def ready_to_go_on(opened: Opened) -> Snapshot:
    """Return the snapshot as a DAG would begin with it. Raises UsageError where all is done."""
    snapshot = revive(opened.snapshot, time.time())
    if snapshot.state == "done":
        root = opened.workspace.root
        raise UsageError(
            f"{root}: this alignment is done; for more iterations: auto-iter dag rescue {root} -i N"
        )
    return snapshot


def _with_one_solver(opened: Opened) -> Opened:
    """Return the workspace with its solver written down: worker nodes could differ in `auto`."""
    history = opened.snapshot.history
    config, what = frozen(opened.config, history, os.environ)
    if what is not None:
        write_atomically(opened.workspace.config, dump_config(config))
        print(f"millepede.solver: auto is from now on {what}")
    changed = change_in_words(config, history, os.environ)
    if changed is not None:
        print(f"note: {changed}")
    return replace(opened, config=config)


def _key(opened: Opened, number: int) -> str:
    with closing(schedd_of(opened)) as schedd:
        name = schedd.name()
    prefix = opened.workspace.key_prefix(opened.snapshot.workspace_id)
    return f"{prefix}-dag-{number:02d}@{name}"


def submit(root: Path) -> DagRun:
    """Submit the DAG that was written last, exactly once; return what is known of it.

    Killed at any moment and called again, it finds what it has submitted by its key.
    """
    with held(root) as (opened, lock):
        run = opened.snapshot.dag
        if run is None:
            raise UsageError(f"{root}: has no DAG; `auto-iter dag rescue {root}` writes one")
        with closing(schedd_of(opened)) as schedd:
            found = Finder(schedd, time.monotonic, time.sleep).find(run.key)
            if found is not None:
                cluster = int(found.cluster)
            else:
                config = opened.config
                options: dict[str, str | int] = {
                    "DagmanPath": dagman_program(config.dag.condor_dagman),
                    "Force": 1,
                }
                if config.htcondor.max_idle is not None:
                    options["MaxIdle"] = config.htcondor.max_idle
                manager = DagManager(root, schedd.at(schedd_in(run.key)))
                cluster = manager.submit(run.key, options, config.htcondor).cluster
        submitted = run.model_copy(update={"cluster": cluster, "submitted_at": time.time()})
        snapshot = opened.snapshot.but(dag=submitted)
        checkpoint.save(opened.workspace.checkpoint, snapshot, lock.check)
        return submitted


def remove(root: Path) -> tuple[DagJob | None, int]:
    """Take the DAG and all of its jobs off the queue; return it, and how many jobs are left."""
    opened = open_workspace(root)
    refuse_without_dag(opened)
    run = opened.snapshot.dag
    key = "" if run is None else run.key
    with dag_manager(opened) as manager:
        job = manager.live(key)
        if job is not None:
            manager.refuse_elsewhere(job)
            return job, manager.remove(job, key)
        return None, manager.clear(None if run is None else run.cluster, key) if run else 0


def refuse_without_dag(opened: Opened) -> None:
    """Refuse an alignment that nobody has handed to DAGMan. Raises UsageError."""
    root = opened.workspace.root
    if opened.snapshot.dag is None and not (root / DAG_FILE).exists():
        raise UsageError(
            f"{root}: no DAG has been written here; auto-iter status says how the alignment stands"
        )
