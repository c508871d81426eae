"""`auto-iter millepede run`: the chain of one iteration, as its own solution or as a what-if."""

from __future__ import annotations

import argparse
import os
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from auto_iter.cli.command import Option, option
from auto_iter.cli.options import CONFIG, SET
from auto_iter.processes.threads import use_one_thread

if TYPE_CHECKING:
    from auto_iter.alignment.model import Stage
    from auto_iter.config.schema import Alignment, Config
    from auto_iter.daemon.lifecycle import Opened
    from auto_iter.millepede.place import IterationPlace

EPILOG = """\
In a workspace, an iteration that is reconstructed and has no constants yet gets its own: those that
`resume` would find. Everything else is a what-if, in iterNN/3millepede.by-hand/NAME, from which
nothing goes on, unless --accept says so. Elsewhere the outcome is in 3millepede, and replaces
what was there.
"""


SOLVER: Final = (
    option(
        "--solver", choices=("auto", "builtin", "pede"),
        help="the built-in one, pede, or pede where there is one (default: configuration)",
    ),
    option("--pede", type=Path, metavar="PATH", help="pede or its directory"),
)  # fmt: skip


def run_options(*, is_required: bool) -> tuple[Option, ...]:
    """Return the options of the whole chain."""
    return (
        option(
            "-i", "--input", type=Path, required=is_required, metavar="DIRECTORY",
            help="an iteration, its 1reco, or its 2kfalignment with the ROOT files",
        ),
        option("--strategy", help="name, or a YAML file (default: configuration)"),
        option(
            "--name",
            help="what to call a what-if: iterNN/3millepede.by-hand/NAME (default: strategy)",
        ),
        option(
            "--accept", action="store_true",
            help="make these the constants that count; what came after them is set aside as "
            "outdated",
        ),
        option(
            "--iteration", type=int, metavar="N",
            help="which iteration it is (default: from iterNN)",
        ),
        option("--allow-bad", action="store_true", help="go on without bad ROOT files"),
        option(
            "--modes", action="store_true", help="tell which combinations are weakly constrained"
        ),
        CONFIG,
        SET,
        *SOLVER,
    )  # fmt: skip


def solve_iteration(arguments: argparse.Namespace) -> int:
    """Solve one iteration."""
    from auto_iter.errors import UsageError
    from auto_iter.millepede.place import find_place

    if arguments.input is None:
        raise UsageError("which iteration? `auto-iter millepede -i DIRECTORY`, or a COMMAND")
    place = find_place(arguments.input)
    config = _config(arguments, place)
    if arguments.accept:
        return _accepted(arguments, place, config)
    reason = _why_a_what_if(arguments, place, config)
    if reason is None and place.workspace is not None:
        return _own(place, place.workspace)
    output = _what_if(arguments, place, config)
    print(f"new constants: {output / 'inputforalign.txt'}")
    if reason is not None:
        print(f"a what-if, from which nothing goes on ({reason}); --accept would make it count")
    return 0


def _config(arguments: argparse.Namespace, place: IterationPlace) -> Config:
    from auto_iter.config.file import load_config
    from auto_iter.config.resolve import with_absolute_paths

    file = arguments.config
    if file is None and place.workspace is not None:
        own = place.workspace / "config.yaml"
        file = own if own.is_file() else None
    return with_absolute_paths(load_config(file, arguments.overrides, os.environ))


def _why_a_what_if(
    arguments: argparse.Namespace, place: IterationPlace, config: Config
) -> str | None:
    """Return why the outcome is not the iteration's own; None when it is, or in no workspace."""
    from auto_iter.config.resolve import with_absolute_paths
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.daemon.visits.links import why_not_own
    from auto_iter.errors import AutoIterError

    if place.workspace is None:
        return None if arguments.name is None else "by its name"
    if not place.is_an_iteration:
        return f"{place.root.name} is no iteration of the alignment"
    try:
        own = open_workspace(place.workspace).config
        differs = with_absolute_paths(own) != config or _asks_for_something_else(arguments, own)
        known = "other settings than the alignment's"
        return known if differs else why_not_own(place.workspace, place.number)
    except AutoIterError as error:
        return str(error)


def _asks_for_something_else(arguments: argparse.Namespace, own: Config) -> bool:
    strategy, number = arguments.strategy, arguments.iteration
    return (
        strategy not in (None, own.alignment.strategy)
        or number is not None
        or arguments.name is not None
        or arguments.solver is not None
        or arguments.pede is not None
        or arguments.allow_bad
        or arguments.modes
    )


def _own(place: IterationPlace, workspace: Path) -> int:
    """Make the very solution that the daemon would make, and go on from it."""
    from auto_iter.cli.millepede.summary import format_solution
    from auto_iter.daemon.visits.links import solve_own
    from auto_iter.millepede.results import SolutionRecord

    code = solve_own(workspace, place.number)
    if code == 0:
        solution = place.root / "3millepede" / "solution.json"
        print(format_solution(SolutionRecord.model_validate_json(solution.read_bytes())))
        print(f"constants of iteration {place.number}: {place.root}/3millepede/inputforalign.txt")
        print(f"next by hand: auto-iter reco … -i {place.number + 1}")
    return code


def _accepted(arguments: argparse.Namespace, place: IterationPlace, config: Config) -> int:
    from auto_iter.daemon.visits.links import accept, refuse_unfit
    from auto_iter.errors import UsageError

    if place.workspace is None or not place.is_an_iteration:
        raise UsageError(
            f"--accept: {place.root} is no iteration of an alignment (WORKSPACE/iterNN)"
        )
    refuse_unfit(place.workspace, place.number)  # better now than after minutes
    output = _what_if(arguments, place, config)
    code = accept(place.workspace, place.number, output)
    if code == 0:
        print(f"constants of iteration {place.number}: {place.root}/3millepede/inputforalign.txt")
    return code


def _what_if(arguments: argparse.Namespace, place: IterationPlace, config: Config) -> Path:
    """Convert and solve in a directory of its own; return that."""
    use_one_thread()
    from auto_iter.cli.bar import bar
    from auto_iter.cli.millepede.summary import format_modes, format_solution
    from auto_iter.daemon.visits.links import refuse_damaged
    from auto_iter.errors import CheckpointError
    from auto_iter.millepede.by_hand import Choices, run_iteration
    from auto_iter.millepede.place import ROOT_FILES

    if place.workspace is not None and place.is_an_iteration:
        with suppress(CheckpointError):  # where nothing is recorded of them
            refuse_damaged(place.workspace, place.number)
    own, asked = _own_settings(place), config.alignment
    strategy, survey = arguments.strategy, asked.survey
    if own is not None:
        strategy = asked.strategy if strategy is None else strategy
        if strategy == own.strategy:
            strategy = None  # the workspace's copy, whatever has become of the original
        if survey == own.survey:
            survey = None  # likewise
    opened = _opened(place)
    choices = Choices(
        strategy=strategy,
        survey=survey,
        iteration=arguments.iteration,
        stage=None if strategy or arguments.iteration else _stage(place, opened),
        solver=arguments.solver,
        pede_install=arguments.pede,
        allow_bad=arguments.allow_bad,
        modes=arguments.modes,
        files=None if opened is None else opened.snapshot.arguments.files,
        held_out=_held_out(place, opened, config),
    )
    output = place.output(arguments.name, Path(strategy or config.alignment.strategy).stem)
    with bar("ROOT files", len([*place.files.glob(ROOT_FILES)])) as step:
        shown = replace(choices, step=step)
        record = run_iteration(place, output, config, shown, os.environ)
    print(format_solution(record))
    names = {each.label: each.name for each in record.parameters}
    for line in format_modes(record.weakest_modes, names):
        print(line)
    return output


def _own_settings(place: IterationPlace) -> Alignment | None:
    """Return what the workspace's own configuration says of the loop, if there is one."""
    from auto_iter.config.file import load_config

    if place.workspace is None or not (place.workspace / "config.yaml").is_file():
        return None
    return load_config(place.workspace / "config.yaml").alignment


def _stage(place: IterationPlace, opened: Opened | None) -> Stage | None:
    """Return in which phase the workspace has, or had, this iteration."""
    if opened is None or not place.is_an_iteration or place.number > opened.snapshot.iteration:
        return None
    return opened.snapshot.stage_of(place.number)


def _held_out(place: IterationPlace, opened: Opened | None, config: Config) -> frozenset[int]:
    """Return which of the workspace's raw files `config` holds out of the fit."""
    from auto_iter.daemon.lifecycle import held_out_files

    if opened is None or not place.is_an_iteration:
        return frozenset()
    return held_out_files(replace(opened, config=config))


def _opened(place: IterationPlace) -> Opened | None:
    """Return the workspace that this lies in, if it can be read."""
    from auto_iter.daemon.lifecycle import open_workspace
    from auto_iter.errors import AutoIterError

    if place.workspace is None:
        return None
    try:
        return open_workspace(place.workspace)
    except AutoIterError:
        return None
