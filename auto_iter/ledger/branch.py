"""A branch: another alignment of the same raw files, from the constants of an iteration of this."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from stat import S_IMODE

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.history import Origin, record_of
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.registry import resolve_config
from auto_iter.config.file import load_config
from auto_iter.daemon.lifecycle import Opened, open_workspace
from auto_iter.daemon.making import create_workspace
from auto_iter.detector.stations import WITH_IFT
from auto_iter.errors import InputError
from auto_iter.files import digest, write_atomically
from auto_iter.ledger.places import whole_directory
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.millepede.survey import survey_in_use
from auto_iter.workspace.hashes import differs
from auto_iter.workspace.paths import Workspace


@dataclass(frozen=True)
class Branch:
    """What is asked: from which iteration, with which strategy and settings, and where to."""

    at: int
    strategy: str | None = None
    place: Path | None = None
    iterations: int | None = None
    overrides: tuple[str, ...] = ()


def branch(root: Path, asked: Branch, now: float) -> Workspace:
    """Make the workspace of a branch and return it; nothing of the alignment at `root` changes.

    It appears whole or not at all. Raises UsageError where it makes no sense, InputError where
    the constants are not there, or not those that were found.
    """
    parent = open_workspace(root)
    constants, origin = _beginning(parent, asked.at)
    place = (asked.place or _usual_place(parent, asked)).absolute()
    with whole_directory(place) as made:
        write_atomically(Workspace(made).initial_constants, constants)
        begun = _begun(Workspace(made), parent, asked, now)
        checkpoint.save(Workspace(made).checkpoint, begun.but(origin=origin))
    return Workspace(place)


def _beginning(parent: Opened, number: int) -> tuple[str, Origin]:
    """Return the constants that a branch begins with, and where they come from."""
    record = record_of(parent.snapshot.history, number, f"--at {number}")
    path = parent.workspace.iteration(number, parent.snapshot.arguments.run).new_constants
    if differs(path, record.hashes.constants):
        what = "does not match its checksum" if path.exists() else "is not there any more"
        raise InputError(f"{path}: {what}", "restore it from a copy, or branch elsewhere")
    text = path.read_text()
    origin = Origin(
        workspace=parent.workspace.root.name,
        workspace_id=parent.snapshot.workspace_id,
        iteration=number,
        constants=digest(text.encode()),
        manifest=record.manifest,
    )
    return text, origin


def _usual_place(parent: Opened, asked: Branch) -> Path:
    name = Path(asked.strategy or parent.snapshot.strategy or "branch").stem
    return parent.workspace.root.with_name(f"{parent.workspace.root.name}-{asked.at}-{name}")


def _begun(made: Workspace, parent: Opened, asked: Branch, now: float) -> Snapshot:
    """Make the workspace of a branch that has its constants, and return how it begins."""
    strategy = asked.strategy or str(parent.workspace.strategy)
    survey = survey_in_use(parent.workspace, parent.config)
    overrides = [
        *([] if survey is None else [f"alignment.survey={survey}"]),
        *asked.overrides,
        f"alignment.strategy={strategy}",
        "alignment.initial_constants=null",
    ]
    loaded = load_config(parent.workspace.config, overrides)
    config = resolve_config(loaded, os.environ)
    arguments = _arguments(parent, asked, strategy)
    if parent.workspace.env_script.is_file():
        # Made of nothing but what is durable: an empty script would be taken for the jobs' own.
        script = parent.workspace.env_script
        write_atomically(made.env_script, script.read_bytes(), mode=S_IMODE(script.stat().st_mode))
    opened = create_workspace(
        made, arguments, config, allow_missing=bool(parent.snapshot.excluded), now=now
    )
    skipped = dict.fromkeys(parent.snapshot.skipped, 1)
    return opened.snapshot.but(skipped=skipped, lost=parent.snapshot.lost)


def _arguments(parent: Opened, asked: Branch, name: str) -> Arguments:
    there = parent.snapshot.arguments
    strategy = load_strategy(name)
    usual = strategy.iterations or parent.config.alignment.default_iterations
    return there.model_copy(
        update={
            "iterations": asked.iterations or usual,
            "stations": WITH_IFT if strategy.needs_ift else there.stations,
        }
    )
