"""The chain by hand: on an iteration that auto-iter need not have made, or link by link."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auto_iter.alignment.model import Stage
from auto_iter.config.schema import Config
from auto_iter.detector.constants import accumulate, changes, format_constants, read_constants
from auto_iter.detector.labels import Scheme
from auto_iter.errors import InputError, UsageError
from auto_iter.files import write_atomically
from auto_iter.millepede.conversion.files import in_processes
from auto_iter.millepede.converting import convert_sources
from auto_iter.millepede.pede.program import RunLimits, choose_pede
from auto_iter.millepede.pede.result_files import read_result
from auto_iter.millepede.place import ROOT_FILES, IterationPlace, is_workspace
from auto_iter.millepede.requests import ConvertRequest, Solver, SolveRequest, Source
from auto_iter.millepede.results import ConversionRecord, SolutionRecord
from auto_iter.millepede.solving import Engine, StepEnd
from auto_iter.millepede.strategy.file import AUTO, default_strategy, load_strategy, read_strategy
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.millepede.survey import survey_in_use
from auto_iter.millepede.workflow import solve
from auto_iter.several_runs import RawFiles, SeveralRuns, weights
from auto_iter.workspace.hashes import copies
from auto_iter.workspace.paths import STRATEGY_BY_HAND, Iteration, Workspace
from auto_iter.workspace.records import read_json

_NUMBERED = re.compile(r"_(\d+)\.root$")


@dataclass(frozen=True)
class Choices:
    """What the command line says; None leaves it to the configuration."""

    strategy: str | None = None
    survey: Path | None = None
    iteration: int | None = None
    stage: Stage | None = None
    """Where the iteration is among the phases, when a workspace knows; else as planned."""
    solver: Solver | None = None
    pede_install: Path | None = None
    allow_bad: bool = False
    held_out: frozenset[int] = frozenset()
    """Raw files that stay out of the fit."""
    modes: bool = False
    step: Callable[[], None] = lambda: None
    """Called after each converted ROOT file."""
    files: RawFiles | None = None
    """The alignment's raw files, with their weights, where there is an alignment that says so."""


def run_iteration(
    place: IterationPlace, output: Path, config: Config, choices: Choices, env: Mapping[str, str]
) -> SolutionRecord:
    """Convert and solve an iteration into the directory `output`; return what was found.

    Raises InputError, PhysicsError.
    """
    roots = sorted(place.files.glob(ROOT_FILES))
    if not roots:
        cleaned = read_json(place.root / "cleaned.json")
        if cleaned is not None:
            raise InputError(
                f"{place.root}: cleaned at {cleaned.get('cleaned')}: its fitted tracks are gone",
                "take a later iteration; its constants are in 3millepede all the same",
            )
        raise InputError(f"{place.files}: no kfalignment_*.root in there")
    (output / "mille").mkdir(parents=True, exist_ok=True)
    name = choices.strategy or _strategy_of(place.root, config)
    strategy = load_strategy(name)
    # the original may change, and what is accepted later has to be told by what it was made with
    write_atomically(output / STRATEGY_BY_HAND, read_strategy(name))
    stage = choices.stage or strategy.planned(choices.iteration or place.number)
    sources = [
        _source(path, output / "mille", _number(path, index, choices.files), choices.held_out)
        for index, path in enumerate(roots)
    ]
    records = _convert(sources, config, strategy, stage, choices.step)
    _refuse_copies(records)
    good = _good_sources(sources, records, allow_bad=choices.allow_bad)
    request = SolveRequest.of(
        stage,
        config,
        [source for source in good if not source.judges],
        {} if choices.files is None else weights(choices.files),
        hold_out=[source for source in good if source.judges],
        directory=output,
        previous=place.root / "1reco" / "inputforalign.txt",
        centre=_centre(place.root),
        strategy=name,
        survey=choices.survey or survey_in_use(Workspace(place.root.parent), config),
        solver=choices.solver or config.millepede.solver,
        pede_install=choices.pede_install or config.paths.pede_install,
        eigen=choices.modes,
    )
    return solve(request, env)


def _strategy_of(root: Path, config: Config) -> str:
    """Return the strategy of the workspace around an iteration, or the configured one."""
    copy = Workspace(root.parent).strategy
    if copy.is_file():
        return str(copy)
    name = config.alignment.strategy
    return default_strategy(3) if name == AUTO else name


def _centre(root: Path) -> Path | None:
    """Return the constants that the alignment around an iteration began with, where there is one.

    Priors pull to them; without them, to the nominal geometry.
    """
    first = Workspace(root.parent).iteration(1, 0).constants
    return first if first.is_file() else None


def _number(root: Path, index: int, files: RawFiles | None) -> int:
    """Return what the alignment calls the raw file of a ROOT file; `index` where nothing tells."""
    if isinstance(files, SeveralRuns):
        number = Iteration(root.parent, None).number_of(root.name)
        return index if number is None else number
    match = _NUMBERED.search(root.name)
    return int(match[1]) if match else index


def _source(root: Path, mille: Path, number: int, held_out: frozenset[int]) -> Source:
    stem = root.stem.removeprefix("kfalignment_")
    return Source(
        number=number,
        root=root,
        binary=mille / f"mp2input_{stem}.bin",
        statistics=mille / f"mp2input_{stem}.json",
        judges=number in held_out,
    )


def _convert(
    sources: Sequence[Source],
    config: Config,
    strategy: Strategy,
    stage: Stage,
    step: Callable[[], None],
) -> list[ConversionRecord]:
    cuts = strategy.cuts_in(stage, config.millepede.cuts)
    asked = [ConvertRequest(sources=(s,), cuts=cuts, labels=strategy.labels) for s in sources]
    workers = config.millepede.workers or os.cpu_count() or 1
    records = list[ConversionRecord]()
    for made in in_processes(convert_sources, asked, workers):
        records += made
        step()
    return records


def _refuse_copies(records: Sequence[ConversionRecord]) -> None:
    for same in copies({record.root: record.source.tracks for record in records}):
        raise InputError(
            f"{', '.join(same)}: hold the same tracks, so that they would count {len(same)} times",
            "reconstruct again what is not of its raw file, or move it away",
        )


def _good_sources(
    sources: Sequence[Source], records: Sequence[ConversionRecord], *, allow_bad: bool
) -> list[Source]:
    bad = {record.root: record.error for record in records if record.error is not None}
    if bad and (not allow_bad or len(bad) == len(sources)):
        raise InputError(
            f"{len(bad)} of {len(sources)} ROOT files are bad, e.g. {next(iter(bad.values()))}",
            "reconstruct them again, or go on without them: --allow-bad",
        )
    return [source for source in sources if source.root.name not in bad]


def solve_steering(
    steering: Path,
    solver: Solver,
    pede_install: Path | None,
    env: Mapping[str, str],
    modes: int = 0,
) -> StepEnd:
    """Do what `pede STEERING` does in the current directory, and return how it ended.

    Raises InputError for what is no text: pede would repeat it on the terminal.
    """
    if steering.is_file():
        with steering.open("rb") as content:
            if b"\0" in content.read(4096):
                raise InputError(f"{steering}: not text, so no steering file")
    program = choose_pede(solver, pede_install, env)
    return Engine(program, env, RunLimits(math.inf), modes).run(Path.cwd(), str(steering))


def add_result(previous: Path, result: Path, output: Path, scheme: Scheme) -> None:
    """Write `previous` plus a `millepede.res` to `output`: not over constants that count."""
    directory = output.absolute().parent
    if directory.name == "3millepede" and is_workspace(directory.parent.parent):
        raise UsageError(
            f"{output}: the constants that this iteration found; write elsewhere, or replace them "
            "with `auto-iter millepede -i … --accept`"
        )
    moved = changes(read_result(result).values(), scheme)
    write_atomically(output, format_constants(accumulate(read_constants(previous), moved)))
