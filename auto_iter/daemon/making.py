"""A workspace is made, or what that would be is said, once all that would refuse it was asked."""

from __future__ import annotations

import os
import secrets
import shutil

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.registry import driver_of
from auto_iter.config.file import dump_config
from auto_iter.config.schema import Config
from auto_iter.daemon.lifecycle import Opened, held_out_files, reconstruction
from auto_iter.errors import InputError, PermanentError, UsageError
from auto_iter.files import refuse_full_disk, write_atomically
from auto_iter.iteration.chain import check_chain
from auto_iter.iteration.envscript import check_calypso
from auto_iter.millepede.strategy.file import load_strategy, read_strategy
from auto_iter.millepede.survey import checked_survey
from auto_iter.rawfiles import describe_missing, missing
from auto_iter.workspace.paths import Workspace


def planned(
    workspace: Workspace, arguments: Arguments, config: Config, *, allow_missing: bool, now: float
) -> Opened:
    """Return the workspace that these arguments would make; nothing is written.

    `config` is resolved. Raises InputError or UsageError for all that would refuse it.
    """
    if next(workspace.root.glob("iter[0-9]*"), None) is not None:
        raise UsageError(
            f"{workspace.root}: has iterations, but no state.yaml; restore that, or move the "
            "directory away to start afresh"
        )
    check_calypso(config)
    excluded = missing_files(arguments, config, allow_missing=allow_missing)
    strategy = load_strategy(config.alignment.strategy)
    check_chain(arguments, strategy, config, os.environ)
    checked_survey(config.alignment.survey, strategy)
    snapshot = Snapshot(
        workspace_id=secrets.token_hex(4),
        arguments=arguments,
        iteration_started_at=now,
        excluded=tuple(sorted(excluded)),
    )
    opened = Opened(workspace, snapshot, config)
    held_out_files(opened)
    reconstruction(opened, strategy).check_inputs()
    _refuse_missing_places(workspace, config)
    return opened


def create_workspace(
    workspace: Workspace, arguments: Arguments, config: Config, *, allow_missing: bool, now: float
) -> Opened:
    """Make a workspace; the checkpoint comes last, so a workspace either is one or is not.

    `config` is resolved.
    """
    opened = planned(workspace, arguments, config, allow_missing=allow_missing, now=now)
    fresh = not workspace.root.exists()
    try:
        workspace.root.mkdir(parents=True, exist_ok=True)
        # Where an alignment could not even begin; later, a full disk is waited for.
        refuse_full_disk(workspace.root)
        write_atomically(workspace.config, dump_config(config))
        write_atomically(workspace.strategy, read_strategy(config.alignment.strategy))
        if survey := checked_survey(config.alignment.survey):
            write_atomically(workspace.survey, survey)
        checkpoint.save(workspace.checkpoint, opened.snapshot)
    except OSError as error:
        if fresh:
            shutil.rmtree(workspace.root, ignore_errors=True)
        raise PermanentError(
            f"{workspace.root}: {error.strerror}", "a workspace needs a writable disk with space"
        ) from None
    return opened


def _refuse_missing_places(workspace: Workspace, config: Config) -> None:
    """Raise InputError for what would only be tried again for ever, or made where nobody looks."""
    work_dir = workspace.root.parent
    if not work_dir.parent.is_dir():
        raise InputError(f"{work_dir}: no such directory", "create it, or correct --work_dir")
    driver_of(config).refuse_machine(os.environ)


def missing_files(arguments: Arguments, config: Config, *, allow_missing: bool) -> frozenset[int]:
    """Return the raw files that are left out. Raises InputError unless that is allowed."""
    wanted = arguments.files
    absent = missing(config.paths.raw_dir, arguments.year, arguments.run, wanted.numbers)
    if not absent:
        return frozenset()
    if allow_missing and len(absent) < len(wanted):
        return frozenset(one.number for one in absent)
    raise InputError(
        describe_missing(absent, len(wanted)),
        "choose other files"
        + ("" if len(absent) == len(wanted) else ", or continue without them with --allow-missing"),
    )
