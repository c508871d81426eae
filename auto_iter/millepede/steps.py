"""The steps of one iteration: pede runs, one after the other, each in its own directory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auto_iter.detector.constants import Covariance
from auto_iter.detector.labels import Parameter, Place, Scheme
from auto_iter.errors import InputError, PhysicsError
from auto_iter.millepede.evidence.hits import EXAMPLES, Evidence
from auto_iter.millepede.pede.input import (
    CONSTRAINTS,
    PARAMETERS,
    PRIOR,
    SURVEY,
    Knowledge,
    Parameters,
    format_constraints,
    format_prior,
    format_survey,
    step_parameters,
    write_step_files,
)
from auto_iter.millepede.pede.result_files import read_result
from auto_iter.millepede.solving import Engine, StepEnd
from auto_iter.millepede.steering.reader import Binary
from auto_iter.millepede.steering.writer import format_binary, format_parameters
from auto_iter.millepede.strategy.parts import Phase
from auto_iter.millepede.strategy.whole import Strategy

TOO_FEW_ENTRIES, TOO_MANY_REJECTS = 2, 26
"""Exit codes of pede of which the tracks tell more than pede does."""


@dataclass(frozen=True)
class Steps:
    """What all steps of an iteration gave together.

    `merged`: value of each parameter after the last step; one that the last step fixed keeps
    presigma and uncertainty from the last step that had it free. `covariance`: of label pairs,
    where the solver tells it. `remarks`: what the data lack; `held`: what stays for that reason.
    """

    scheme: Scheme
    phase: Phase
    engine: Engine
    ends: tuple[StepEnd, ...]
    merged: Mapping[int, Parameter]
    covariance: Covariance
    remarks: tuple[str, ...] = ()
    held: tuple[Place, ...] = ()

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a person should know about the solution."""
        of_steps = (each for number, end in enumerate(self.ends) for each in end.warnings(number))
        return (*self.remarks, *of_steps)


def run_steps(  # noqa: PLR0913, PLR0917 - an iteration needs all of these
    directory: Path,
    binaries: Sequence[Binary],
    strategy: Strategy,
    phase: Phase,
    evidence: Evidence,
    knowledge: Knowledge,
    engine: Engine,
) -> Steps:
    """Run the steps of `phase` in `directory/step0`, `step1`, … (replaced when there).

    All paths absolute. Raises PhysicsError when there is nothing to solve or pede refuses.
    """
    filled = _with_records(binaries, evidence)
    short = evidence.short(strategy.places.values())
    for stale in directory.glob("step[0-9]*"):
        shutil.rmtree(stale)
    values: dict[int, float] = {}
    merged: dict[int, Parameter] = {}
    covariance: dict[tuple[int, int], float] = {}
    ends: list[StepEnd] = []
    remarks = list(evidence.remarks(strategy, phase))
    for number, step in enumerate(phase.steps):
        where = directory / f"step{number}"
        where.mkdir(parents=True)
        parameters = step_parameters(strategy, step, values, evidence.statistics.stations, short)
        _refuse_when_all_is_short(f"step {number}", parameters, short, evidence)
        names = [format_binary(os.path.relpath(each.path, where), each.weight) for each in filled]
        title = f"{strategy.name}, {phase.name}, step {number}, fixed: {', '.join(step.fix)}"
        texts = _texts(strategy, phase, parameters, knowledge)
        measured = not texts.keys().isdisjoint((PRIOR, SURVEY))
        pede = strategy.pede.in_one_step() if measured else strategy.pede
        steering = write_step_files(where, pede, texts, names, title)
        end = engine.run(where, steering.name)
        end.raise_if_failed(
            f"step {number}",
            where,
            evidence.losses.by_rejects(end.rejects) if end.ending.code == TOO_MANY_REJECTS else "",
            accept_bad_matrix=engine.accept_bad_matrix,
        )
        found = read_result(where / "millepede.res")
        if not engine.accept_bad_matrix:
            _refuse_bad_uncertainties(f"step {number}", where, found.values(), strategy)
        found = _following(found, parameters)
        values = {label: parameter.value for label, parameter in found.items()}
        _merge(merged, found)
        covariance.update(end.covariance)
        ends.append(end)
        if end.ending.code == TOO_FEW_ENTRIES:
            moved = [place for place, each in parameters.items() if each.is_free]
            remarks.append(f"step {number}: fewest hits: {evidence.fewest(moved)}")
    held = tuple(sorted(evidence.held(strategy, phase)))
    return Steps(
        strategy.labels, phase, engine, tuple(ends), merged, covariance, tuple(remarks), held
    )


def _texts(
    strategy: Strategy, phase: Phase, parameters: Parameters, knowledge: Knowledge
) -> dict[str, str]:
    texts = {
        CONSTRAINTS: format_constraints(strategy, parameters),
        PARAMETERS: format_parameters(parameters.values()),
    }
    measured = {
        PRIOR: format_prior(strategy, phase, parameters, knowledge),
        SURVEY: format_survey(strategy, parameters, knowledge),
    }
    return texts | {name: text for name, text in measured.items() if text}


def _with_records(binaries: Sequence[Binary], evidence: Evidence) -> list[Binary]:
    """Return the binaries that hold anything: pede stumbles over empty files."""
    try:
        filled = [binary for binary in binaries if binary.path.stat().st_size > 0]
    except OSError as error:
        raise InputError(f"{error.filename}: no such Mille file; convert it again") from error
    if not filled:
        raise PhysicsError("no track passed the cuts", evidence.losses.of_tracks())
    return filled


def _refuse_when_all_is_short(
    step: str, parameters: Parameters, short: Collection[Place], evidence: Evidence
) -> None:
    """Raise PhysicsError when nothing that the step frees has enough hits."""
    if any(parameter.is_free for parameter in parameters.values()):
        return
    raise PhysicsError(
        f"{step}: too few hits: what it may move has at most {evidence.most_hits(short)} for a "
        f"parameter, and {evidence.enough} are needed",
        evidence.losses.want_of_hits(),
    )


def _refuse_bad_uncertainties(
    step: str, where: Path, found: Iterable[Parameter], strategy: Strategy
) -> None:
    """Raise PhysicsError when a fitted parameter has no uncertainty, or one that is none."""
    bad = [parameter for parameter in found if parameter.is_without_uncertainty]
    if not bad:
        return
    names = [strategy.name_of(each.label) for each in bad[:EXAMPLES]]
    raise PhysicsError(
        f"{step}: {len(bad)} fitted parameters have no uncertainty, or a negative one: "
        f"{', '.join(names)}{', …' if len(bad) > EXAMPLES else ''} ({where})",
        "the data do not fix them: `auto-iter millepede solve --modes 5 steer.txt` there tells "
        "which combinations are weak and want holding; millepede.accept_bad_matrix goes on anyway",
    )


def _following(found: Mapping[int, Parameter], asked: Parameters) -> dict[int, Parameter]:
    """Return what was found, with what follows where that is which it follows."""
    led = {each.label: each.follows for each in asked.values() if each.follows is not None}
    moved = {
        label: replace(found[label], value=found[leader].value, follows=leader)
        for label, leader in led.items()
    }
    return {**found, **moved}


def _merge(merged: dict[int, Parameter], found: Mapping[int, Parameter]) -> None:
    for label, parameter in found.items():
        before = merged.get(label)
        if before is not None and before.is_free and not parameter.is_free:
            merged[label] = replace(parameter, presigma=before.presigma, sigma=before.sigma)
        elif before is not None and before.follows is not None and not parameter.is_free:
            merged[label] = replace(parameter, follows=before.follows)
        else:
            merged[label] = parameter
