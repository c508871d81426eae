"""Workspaces: found, opened, changed, and made ready to go on."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments, refuse_iterations
from auto_iter.alignment.judges.hold_out import held_out
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.registry import resolve_config, system_of
from auto_iter.config.file import differences, dump_config, load_config
from auto_iter.config.schema import Config, Reco
from auto_iter.errors import CheckpointError, InputError, UsageError
from auto_iter.files import write_atomically
from auto_iter.iteration.chain import check_chain
from auto_iter.iteration.envscript import check_calypso
from auto_iter.iteration.reconstruction import WorkspaceReconstruction
from auto_iter.iteration.solver_choice import as_frozen
from auto_iter.millepede.strategy.file import load_strategy, parse_strategy, read_strategy
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.millepede.survey import checked_survey, survey_in_use
from auto_iter.workspace.paths import Workspace, workspace_name
from states.machine import StateMachine
from states.next_iteration import NOTHING_FAILED, begin_next
from states.table import ARROWS, TERMINAL


@dataclass(frozen=True)
class Opened:
    """A workspace with what is known of it. `remark` is something a person should hear."""

    workspace: Workspace
    snapshot: Snapshot
    config: Config
    remark: str | None = None


def locate(arguments: Arguments, config: Config) -> Workspace:
    """Return where the alignment of these arguments lives."""
    name = workspace_name(arguments.year, arguments.run, arguments.files)
    return Workspace((config.paths.work_dir / name).absolute())


def open_workspace(root: Path) -> Opened:
    """Return the workspace at `root`. Raises InputError, CheckpointError or UsageError."""
    workspace = Workspace(root.absolute())
    snapshot, remark = open_snapshot(root)
    config = resolve_config(load_config(workspace.config), os.environ)  # it may have been edited
    return Opened(workspace, snapshot, config, remark)


def open_snapshot(root: Path) -> tuple[Snapshot, str | None]:
    """Return what the checkpoint of the workspace at `root` holds, and what to remark on it.

    Raises InputError or CheckpointError.
    """
    workspace = Workspace(root.absolute())
    if not workspace.root.is_dir():
        raise InputError(
            f"{root}: no such workspace", "give the directory that `auto-iter run` made"
        )
    snapshot, damage = checkpoint.load(workspace.checkpoint)
    if snapshot.state not in ARROWS:
        raise CheckpointError(
            f"{workspace.checkpoint}: state {snapshot.state!r} is none of {', '.join(ARROWS)}",
            "restore it from state.yaml.bak",
        )
    return snapshot, None if damage is None else f"{damage}; the backup is used"


def open_to_stop(root: Path) -> Opened:
    """Return the workspace at `root` also when its configuration is broken.

    What its checkpoint says of its jobs is enough to find and end them.
    """
    try:
        return open_workspace(root)
    except UsageError as error:
        workspace = Workspace(root.absolute())
        snapshot, _ = checkpoint.load(workspace.checkpoint)
        keys = [attempt.key for attempt in snapshot.attempts]
        keys += [snapshot.intent.key] if snapshot.intent is not None else []
        config = Config().but("batch", system=system_of(keys))
        return Opened(workspace, snapshot, config, f"{error}; the jobs are found without it")


def abandoned(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot without the submissions that a lost schedd may still have.

    Their files are submitted anew; what comes of the old jobs all the same does no harm.
    """
    keys = [each.key for each in snapshot.attempts]
    left = snapshot.but_attempts(keys, is_over=True, is_left_behind=True)
    return left.but(intent=None, hindrance=None)


def the_strategy(opened: Opened) -> Strategy:
    """Return the workspace's own copy of its strategy. Raises InputError."""
    path = opened.workspace.strategy
    # workspaces of the first version have no copy
    return load_strategy(path if path.exists() else opened.config.alignment.strategy)


def reconstruction(opened: Opened, strategy: Strategy | None = None) -> WorkspaceReconstruction:
    """Return the workspace's side of reconstruction."""
    arguments = opened.snapshot.arguments
    return WorkspaceReconstruction(
        workspace=opened.workspace,
        config=opened.config,
        year=arguments.year,
        run=arguments.run,
        files=arguments.files,
        strategy=strategy or the_strategy(opened),
        stations=arguments.stations,
        excluded=frozenset(opened.snapshot.excluded),
        skipped=opened.snapshot.skipped,
        dag_key=opened.snapshot.dag_key,
    )


def limits(opened: Opened) -> Reco:
    """Return how often raw files are tried, and what else holds for their reconstruction."""
    reco = opened.config.reco
    if opened.snapshot.dag is None:
        return reco
    # DAGMan has tried again as often as it may: what failed has failed.
    return reco.model_copy(update={"max_attempts": 1, "max_losses": 1})


def held_out_files(opened: Opened) -> frozenset[int]:
    """Return the raw files that stay out of the fits. Raises UsageError where none can."""
    snapshot, fraction = opened.snapshot, opened.config.alignment.hold_out
    return held_out(snapshot.arguments.files.numbers, snapshot.excluded, fraction)


def refuse_differences(opened: Opened, arguments: Arguments, config: Config) -> None:
    """Raise UsageError when a second `run` asks for something else than the first."""
    there, asked = opened.snapshot.arguments.model_dump(), arguments.model_dump()
    differ = [(key, there[key], asked[key]) for key in there if there[key] != asked[key]]
    differ += differences(opened.config, as_frozen(config, opened.config))
    if differ:
        which = ", ".join(f"{key} is {old} there, not {new}" for key, old, new in differ)
        raise UsageError(
            f"{opened.workspace.root}: {which}; `auto-iter resume` continues it as it is, and "
            "takes -i and --set"
        )


def change(opened: Opened, iterations: int | None, overrides: Sequence[str]) -> Opened:
    """Return the workspace with more iterations or other settings, written down."""
    snapshot, config = opened.snapshot, opened.config
    if overrides:
        config = resolve_config(load_config(opened.workspace.config, overrides), os.environ)
        check_calypso(config)
        held_out_files(replace(opened, config=config))
        _change_strategy(opened, config, {each.partition("=")[0].strip() for each in overrides})
        write_atomically(opened.workspace.config, dump_config(config))
        snapshot = _not_solved_yet(snapshot)
    if iterations is not None:
        refuse_iterations(iterations)
        done = snapshot.iteration if snapshot.state == "done" else snapshot.iteration - 1
        if iterations < max(done, 1):
            raise UsageError(f"-i {iterations}: {done} iterations are already done")
        longer = snapshot.arguments.model_copy(update={"iterations": iterations})
        is_enough = snapshot.settled and iterations <= done
        snapshot = snapshot.but(arguments=longer, settled=is_enough)
    return Opened(opened.workspace, snapshot, config, opened.remark)


def _not_solved_yet(snapshot: Snapshot) -> Snapshot:
    """Return the snapshot without a solution that is not in the history yet.

    Whether it would be the same with other settings is for the fingerprint to say.
    """
    if snapshot.state != "next_iteration" or snapshot.by_hand is not None:
        return snapshot
    return snapshot.but(state="mille", solution=None)


def _change_strategy(opened: Opened, config: Config, named: Collection[str]) -> None:
    """Copy another strategy or survey into the workspace, once both are known to be possible here.

    Also one of the same name, where its setting is `named`: the file may have changed. A survey
    that is not wanted any more stays, unused: the configuration says what counts. Raises
    InputError, also when the strategy lacks the phase that the alignment is in.
    """
    name, own = config.alignment.strategy, opened.config.alignment
    is_same = name == own.strategy and "alignment.strategy" not in named
    text = None if is_same else read_strategy(name)
    strategy = the_strategy(opened) if text is None else parse_strategy(text, name)
    check_chain(opened.snapshot.arguments, strategy, config, os.environ)
    if opened.snapshot.phase >= len(strategy.phases):
        raise InputError(
            f"strategy {name}: has {len(strategy.phases)} phases, and this alignment is in its "
            f"phase {opened.snapshot.phase + 1}",
            "start another alignment from these constants: alignment.initial_constants",
        )
    asked = config.alignment.survey
    is_other = asked != own.survey or "alignment.survey" in named
    survey = checked_survey(
        asked if is_other else survey_in_use(opened.workspace, config), strategy
    )
    if text is not None:
        write_atomically(opened.workspace.strategy, text)
    if is_other and survey:
        write_atomically(opened.workspace.survey, survey)


def revive(snapshot: Snapshot, now: float) -> Snapshot:
    """Return the snapshot of a failed or stopped alignment, ready to go on where it was.

    What failed gets all its tries again: a person has looked at it. A finished alignment goes on
    only when it was given more iterations.
    """
    if snapshot.state == "done":
        if snapshot.settled or snapshot.iteration >= snapshot.arguments.iterations:
            return snapshot
        state = StateMachine(snapshot.state).fire("extend")
        return begin_next(snapshot, now).but(state=state)
    if snapshot.state in TERMINAL:
        state = StateMachine(snapshot.state).fire("resume")
        return snapshot.but(state=state, **NOTHING_FAILED)
    return snapshot
