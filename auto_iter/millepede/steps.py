"""The steps of one iteration: pede runs, one after the other, each in its own directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auto_iter.errors import InputError
from auto_iter.millepede.causes import RefusalError
from auto_iter.millepede.pedefiles import (
    CONSTRAINTS,
    PARAMETERS,
    PRIOR,
    Knowledge,
    StepParameter,
    format_constraints,
    format_parameters,
    format_prior,
    step_parameters,
    write_step_files,
)
from auto_iter.millepede.result import Parameter, read_result
from auto_iter.millepede.solving import Engine, StepEnd
from auto_iter.millepede.strategy import Phase, Strategy


@dataclass(frozen=True)
class Steps:
    """What all steps of an iteration gave together.

    `merged`: value of each parameter after the last step; one that the last step fixed keeps
    presigma and uncertainty from the last step that had it free. `covariance`: of label pairs,
    where the solver tells it.
    """

    phase: Phase
    engine: Engine
    ends: tuple[StepEnd, ...]
    merged: Mapping[int, Parameter]
    covariance: Mapping[tuple[int, int], float]


def run_steps(  # noqa: PLR0913, PLR0917 - an iteration needs all of these
    directory: Path,
    binaries: Sequence[Path],
    strategy: Strategy,
    phase: Phase,
    seen_stations: Collection[int],
    knowledge: Knowledge,
    engine: Engine,
) -> Steps:
    """Run the steps of `phase` in `directory/step0`, `step1`, … (replaced when there).

    All paths absolute. Raises PhysicsError when there is nothing to solve or pede refuses.
    """
    filled = _with_records(binaries)
    for stale in directory.glob("step[0-9]*"):
        shutil.rmtree(stale)
    values: dict[int, float] = {}
    merged: dict[int, Parameter] = {}
    covariance: dict[tuple[int, int], float] = {}
    ends: list[StepEnd] = []
    for number, step in enumerate(phase.steps):
        where = directory / f"step{number}"
        where.mkdir(parents=True)
        parameters = step_parameters(strategy, step, values, seen_stations)
        names = [os.path.relpath(binary, where) for binary in filled]
        title = f"{strategy.name}, {phase.name}, step {number}, fixed: {', '.join(step.fix)}"
        texts = _texts(strategy, phase, parameters, knowledge)
        steering = write_step_files(where, strategy.pede, texts, names, title)
        end = engine.run(where, steering.name)
        end.raise_if_failed(f"step {number}", where)
        found = read_result(where / "millepede.res")
        values = {label: parameter.value for label, parameter in found.items()}
        _merge(merged, found)
        covariance.update(end.covariance)
        ends.append(end)
    return Steps(phase, engine, tuple(ends), merged, covariance)


def _texts(
    strategy: Strategy, phase: Phase, parameters: Sequence[StepParameter], knowledge: Knowledge
) -> dict[str, str]:
    texts = {
        CONSTRAINTS: format_constraints(strategy, parameters),
        PARAMETERS: format_parameters(parameters),
    }
    prior = format_prior(strategy, phase, parameters, knowledge)
    return texts | {PRIOR: prior} if prior else texts


def _with_records(binaries: Sequence[Path]) -> list[Path]:
    """Return the binaries that hold anything: pede stumbles over empty files."""
    try:
        filled = [binary for binary in binaries if binary.stat().st_size > 0]
    except OSError as error:
        raise InputError(f"{error.filename}: no such Mille file; convert it again") from error
    if not filled:
        raise RefusalError(
            "no track passed the cuts", "look at the statistics in 3millepede/mille, or loosen cuts"
        )
    return filled


def _merge(merged: dict[int, Parameter], found: Mapping[int, Parameter]) -> None:
    for label, parameter in found.items():
        before = merged.get(label)
        if before is not None and before.is_free and not parameter.is_free:
            merged[label] = Parameter(
                label, parameter.value, before.presigma, parameter.change, before.sigma
            )
        else:
            merged[label] = parameter
