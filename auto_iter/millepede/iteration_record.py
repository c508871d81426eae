"""`solution.json`: what an iteration's steps found, in the numbers that history and report need."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict

from auto_iter.detector.constants import Change
from auto_iter.detector.labels import Parameter
from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.results import (
    ChangeRecord,
    ModeRecord,
    ParameterRecord,
    SolutionRecord,
    StepRecord,
)
from auto_iter.millepede.solver.spectrum import largest_shares
from auto_iter.millepede.solving import StepEnd
from auto_iter.millepede.steps import Steps
from auto_iter.millepede.strategy.whole import Strategy

COMPONENTS = 8
"""How many parameters of a mode are told."""


def solution_record(
    request: SolveRequest,
    strategy: Strategy,
    steps: Steps,
    moved: Sequence[Change],
    statistics: Statistics,
) -> SolutionRecord:
    """Return the record of an iteration. Largest values count free parameters only."""
    last = steps.ends[-1].figures
    free = [change for change in moved if change.is_free]
    pulls = _pulls(steps.merged.values(), strategy)
    return SolutionRecord(
        iteration=request.iteration,
        within=request.within,
        fingerprint=request.fingerprint,
        strategy=strategy.name,
        binaries=tuple(path.name for path in request.binaries),
        weights=request.weights,
        phase=steps.phase.name,
        solver=steps.engine.name,
        tracks=statistics.tracks_kept,
        **asdict(last),
        chi2_ndf=last.chi2_ndf,
        track_chi2_ndf=statistics.chi2_kept / max(statistics.ndf_kept, 1),
        max_shift_um=1e3 * max((abs(c.value) for c in free if c.is_shift), default=0.0),
        max_rotation_mrad=1e3 * max((abs(c.value) for c in free if not c.is_shift), default=0.0),
        max_pull=max(pulls.values(), default=0.0),
        pulls=pulls,
        free_parameters=sum(each.is_free for each in steps.merged.values()),
        gated=len(steps.held),
        held=tuple(place.name for place in steps.held),
        exit_codes=tuple(end.ending.code for end in steps.ends),
        steps=tuple(
            StepRecord(
                name=step.name,
                exit_code=end.ending.code,
                meaning=end.ending.meaning,
                **asdict(end.figures),
            )
            for step, end in zip(steps.phase.steps, steps.ends, strict=True)
        ),
        warnings=steps.warnings,
        statistics=statistics,
        parameters=tuple(_parameter_record(each, strategy) for each in steps.merged.values()),
        changes=tuple(_change_record(change) for change in moved),
        weakest_modes=mode_records(steps.ends[-1]),
    )


def mode_records(end: StepEnd) -> tuple[ModeRecord, ...]:
    """Return the least determined combinations, weakest first, where they were asked for."""
    modes = end.spectrum.weakest if end.spectrum is not None else ()
    return tuple(
        ModeRecord(
            eigenvalue=mode.eigenvalue,
            uncertainty=mode.uncertainty if math.isfinite(mode.uncertainty) else None,
            components=dict(largest_shares(mode.components, mode.labels, COMPONENTS)),
        )
        for mode in modes
    )


def _pulls(parameters: Iterable[Parameter], strategy: Strategy) -> dict[str, float]:
    """Return for each group of parameters (`layer ry`) its largest |change| in uncertainties.

    pede starts an iteration's first step at zero, so a value is a change.
    """
    pulls: dict[str, float] = {}
    for parameter in parameters:
        place = strategy.places.get(parameter.label)
        if place is None or not parameter.is_free or not parameter.sigma:
            continue
        pulls[place.kind] = max(pulls.get(place.kind, 0.0), abs(parameter.value) / parameter.sigma)
    return pulls


def _parameter_record(parameter: Parameter, strategy: Strategy) -> ParameterRecord:
    return ParameterRecord(
        label=parameter.label,
        name=strategy.name_of(parameter.label),
        value=parameter.value,
        sigma=parameter.sigma,
        presigma=parameter.presigma,
    )


def _change_record(change: Change) -> ChangeRecord:
    return ChangeRecord(
        key=change.key,
        parameter=change.parameter,
        change=change.value,
        sigma=change.sigma,
        free=change.is_free,
    )
