"""What `run` or `reco` would submit next; nothing is written, and no schedd is asked."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.model import Stage
from auto_iter.batch.registry import resolve_config
from auto_iter.config.schema import Config
from auto_iter.daemon.lifecycle import Opened, locate, open_workspace, reconstruction, revive
from auto_iter.daemon.lock import refuse_holder
from auto_iter.daemon.session import foreseen
from auto_iter.errors import UsageError
from auto_iter.iteration.forecast import Forecast, forecast
from auto_iter.millepede.place import is_workspace


@dataclass(frozen=True)
class Rehearsal:
    """The next submit description, where it would be, and what all iterations take."""

    path: Path
    text: str
    ahead: Forecast

    def as_text(self) -> str:
        """Return it as people read it: the file, and then the figures."""
        return f"==> {self.path} <==\n{self.text.rstrip()}\n\n{self.ahead.as_text()}"


def rehearse_run(arguments: Arguments, config: Config, *, allow_missing: bool) -> Rehearsal | None:
    """Return what an alignment would begin or go on with; None where nothing is left of it.

    Raises what `run` would raise.
    """
    now = time.time()
    opened = foreseen(arguments, config, allow_missing=allow_missing, now=now)
    refuse_holder(opened.workspace.lock)
    snapshot = revive(opened.snapshot, now)
    if snapshot.state == "done":
        return None
    return _rehearsal(opened, snapshot.stage, snapshot.arguments.iterations)


def rehearse_reco(
    arguments: Arguments, config: Config, number: int, *, allow_missing: bool
) -> Rehearsal:
    """Return what the reconstruction of iteration `number` alone would be. Raises UsageError."""
    root = locate(arguments, resolve_config(config, os.environ)).root
    if is_workspace(root):
        kept = open_workspace(root).snapshot.arguments.iterations
        arguments = arguments.model_copy(update={"iterations": kept})
    opened = foreseen(arguments, config, allow_missing=allow_missing, now=time.time())
    refuse_holder(opened.workspace.lock)
    snapshot = opened.snapshot
    begins = snapshot.iteration + (snapshot.state == "done")
    if number not in {begins, snapshot.iteration + 1}:
        raise UsageError(f"iteration {number}: this workspace is at {snapshot.iteration}")
    within = snapshot.stage.within + number - snapshot.iteration
    return _rehearsal(opened, Stage(number, snapshot.phase, within), number)


def _rehearsal(opened: Opened, stage: Stage, last: int) -> Rehearsal:
    mine = reconstruction(opened)
    return Rehearsal(*mine.submit_file(stage), forecast(mine, stage, last))
