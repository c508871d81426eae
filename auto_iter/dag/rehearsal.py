"""What handing an alignment to DAGMan would write and submit; nothing is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

from auto_iter.alignment.arguments import Arguments
from auto_iter.batch.registry import resolve_config
from auto_iter.config.schema import Config
from auto_iter.daemon.handover import handed, refuse_live_dag
from auto_iter.daemon.lifecycle import Opened, locate, reconstruction
from auto_iter.daemon.lock import refuse_holder
from auto_iter.daemon.session import start
from auto_iter.dag.files import DagFile, dag_files, refuse_place
from auto_iter.dag.handing import ready_to_go_on, refuse_no_htcondor
from auto_iter.iteration.forecast import forecast
from auto_iter.iteration.solver_choice import frozen


def rehearse(
    arguments: Arguments, config: Config, *, allow_missing: bool
) -> tuple[list[DagFile], str]:
    """Return the files with which an alignment would begin as a DAG, or go on, and what it takes.

    Raises what `handing.hand_over` would.
    """
    resolved = resolve_config(config, os.environ)
    refuse_no_htcondor(resolved)
    refuse_place(locate(arguments, resolved).root)
    opened = start(arguments, config, allow_missing=allow_missing, dry_run=True)
    refuse_holder(opened.workspace.lock)
    refuse_live_dag(opened)
    going_on = ready_to_go_on(opened)
    prefix = opened.workspace.key_prefix(opened.snapshot.workspace_id)
    snapshot = handed(going_on, f"{prefix}-dag-{going_on.dags + 1:02d}@SCHEDD")
    solved, _ = frozen(opened.config, snapshot.history, os.environ)
    opened = replace(opened, snapshot=snapshot, config=solved)
    ahead = forecast(reconstruction(opened), snapshot.stage, snapshot.arguments.iterations)
    return list(_shown(opened)), ahead


def _shown(opened: Opened) -> Iterator[DagFile]:
    """Return the DAG and the descriptions of the iteration that comes first."""
    snapshot = opened.snapshot
    run = snapshot.dag
    if run is None:
        return
    first = opened.workspace.iteration(snapshot.iteration, snapshot.arguments.run)
    yield DagFile(*reconstruction(opened).submit_file(snapshot.stage))
    for each in dag_files(opened, run):
        if each.path.suffix == ".dag" or each.path == first.millepede / "millepede.sub":
            yield each
