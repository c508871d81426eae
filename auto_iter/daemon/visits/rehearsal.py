"""What `run` or `reco` would submit next; nothing is written, and no schedd is asked."""

from __future__ import annotations

import os
import time

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.model import Stage
from auto_iter.batch.registry import resolve_config
from auto_iter.config.schema import Config
from auto_iter.daemon.lifecycle import Opened, locate, open_workspace, reconstruction, revive
from auto_iter.daemon.lock import refuse_holder
from auto_iter.daemon.session import start
from auto_iter.errors import UsageError
from auto_iter.iteration.forecast import forecast
from auto_iter.millepede.place import is_workspace


def rehearse_run(arguments: Arguments, config: Config, *, allow_missing: bool) -> str | None:
    """Return what an alignment would begin or go on with; None where nothing is left of it.

    Raises what `run` would raise.
    """
    now = time.time()
    opened = start(arguments, config, allow_missing=allow_missing, dry_run=True)
    refuse_holder(opened.workspace.lock)
    snapshot = revive(opened.snapshot, now)
    if snapshot.state == "done":
        return None
    return _rehearsal(opened, snapshot.stage, snapshot.arguments.iterations)


def rehearse_reco(arguments: Arguments, config: Config, number: int, *, allow_missing: bool) -> str:
    """Return what the reconstruction of iteration `number` alone would be. Raises UsageError."""
    root = locate(arguments, resolve_config(config, os.environ)).root
    if is_workspace(root):
        kept = open_workspace(root).snapshot.arguments.iterations
        arguments = arguments.model_copy(update={"iterations": kept})
    opened = start(arguments, config, allow_missing=allow_missing, dry_run=True)
    refuse_holder(opened.workspace.lock)
    snapshot = opened.snapshot
    begins = snapshot.iteration + (snapshot.state == "done")
    if number not in {begins, snapshot.iteration + 1}:
        raise UsageError(f"iteration {number}: this workspace is at {snapshot.iteration}")
    within = snapshot.stage.within + number - snapshot.iteration
    return _rehearsal(opened, Stage(number, snapshot.phase, within), number)


def _rehearsal(opened: Opened, stage: Stage, last: int) -> str:
    """Return the next submit description, where it would be, and what all iterations take."""
    mine = reconstruction(opened)
    path, text = mine.submit_file(stage)
    return f"==> {path} <==\n{text.rstrip()}\n\n{forecast(mine, stage, last)}"
