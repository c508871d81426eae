"""The Mille/pede chain of an iteration: ROOT files → Mille → pede, step by step → new constants.

Used by the daemon through `worker`, and by hand. Same input, same bytes: nothing written here
depends on time, place or order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from auto_iter.alignment.solution import GroupChange
from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.constants import (
    Constants,
    accumulate,
    changes,
    check_limits,
    format_constants,
    read_constants,
)
from auto_iter.detector.constants_yaml import format_yaml
from auto_iter.detector.stations import IFT, WITH_IFT
from auto_iter.errors import PhysicsError
from auto_iter.files import digest, write_atomically
from auto_iter.millepede.conversion.statistics import total
from auto_iter.millepede.evidence.hits import Evidence
from auto_iter.millepede.evidence.hold_out import hold_out_figures
from auto_iter.millepede.evidence.prediction import predict
from auto_iter.millepede.integrity import hashes_of, refuse_damaged, refuse_lost_records
from auto_iter.millepede.iteration_record import solution_record
from auto_iter.millepede.pede.input import (
    CONSTRAINTS,
    PARAMETERS,
    PRIOR,
    STEERING,
    SURVEY,
    Knowledge,
)
from auto_iter.millepede.pede.program import RunLimits, choose_pede
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.results import ConversionRecord, SolutionRecord, read_record
from auto_iter.millepede.solving import Engine
from auto_iter.millepede.steering.reader import Binary
from auto_iter.millepede.steps import Steps, run_steps
from auto_iter.millepede.strategy.file import load_strategy, read_strategy
from auto_iter.millepede.survey import load_survey
from auto_iter.workspace.hashes import sealed

KEPT = (
    "millepede.res",
    "millepede.end",
    "millepede.log",
    CONSTRAINTS,
    PARAMETERS,
    PRIOR,
    SURVEY,
    STEERING,
    "matrix.npz",
)
"""Copied from the last step to the iteration's directory."""
NEW_CONSTANTS = "inputforalign.txt"
CONSTANTS_YAML = "constants.yaml"
SOLUTION = "solution.json"
MEMORY_SHARE = 0.9
"""How much of the machine's memory pede may take before it is ended."""
MODES = 10
"""How many of the least determined combinations of constants are told on request."""


@dataclass(frozen=True)
class Review:
    """What there is to say of a solution before it is written: see `SolutionSummary`."""

    groups: tuple[GroupChange, ...] = ()
    weak_modes: int | None = None
    warnings: tuple[str, ...] = ()


Reviewer = Callable[[SolveRequest, Path, Steps, Constants], Review]


def _nobody(*_: object) -> Review:
    return Review()


def solve(
    request: SolveRequest, env: Mapping[str, str], review: Reviewer = _nobody
) -> SolutionRecord:
    """Run the steps of the iteration's phase, write the new constants, then `solution.json`.

    Raises InputError for bad input, DamagedError for binaries that no conversion wrote,
    PhysicsError when pede or the numbers say no; then there is no `solution.json`.
    """
    directory = request.directory.absolute()
    (directory / SOLUTION).unlink(missing_ok=True)
    strategy = load_strategy(request.strategy)
    survey = () if request.survey is None else load_survey(request.survey, strategy)
    previous = read_constants(request.previous)
    centre = {} if request.centre is None else read_constants(request.centre)
    before = digest(request.previous.read_bytes())
    records = [read_record(path) for path in request.statistics]
    judges = [read_record(source.statistics) for source in request.hold_out]
    if judges and not records:
        raise PhysicsError(
            "no raw file of the fit was reconstructed, only such as are held out",
            "resume to try the others again, or take alignment.hold_out=0",
        )
    binaries = (*request.binaries, *(source.binary for source in request.hold_out))
    refuse_damaged(binaries, [*records, *judges])
    statistics = total(record.statistics for record in records if record.error is None)
    cuts = records[0].cuts if records else TrackCuts()
    fewest = max(strategy.pede.entries, request.least_hits or 0)
    evidence = Evidence(statistics, cuts, fewest, request.least_tracks)
    engine = Engine(
        choose_pede(request.solver, request.pede_install, env),
        env,
        RunLimits(request.time_limit_s, MEMORY_SHARE * psutil.virtual_memory().total / 1e6),
        modes=MODES if request.eigen else 0,
        accept_bad_matrix=request.accept_bad_matrix,
    )
    if request.stations == WITH_IFT and IFT not in evidence.statistics.stations:
        raise PhysicsError(
            "no track has a hit in the interface tracker (IFT), although 4 stations were "
            "reconstructed: these data were taken with 3",
            "align them with --threest and a strategy for the spectrometer, e.g. 3st",
        )
    steps = run_steps(
        directory,
        Binary.weighted(request.binaries, request.weights),
        strategy,
        strategy.phases[request.phase],
        evidence,
        Knowledge(centre, previous, survey),
        engine,
    )
    refuse_lost_records(steps.ends[0].figures.records, records)
    moved = changes(steps.merged.values(), strategy.labels, steps.covariance)
    constants = accumulate(previous, moved)
    check_limits(constants, moved, request.max_shift_mm, request.max_rotation_rad)
    record = solution_record(request, strategy, steps, moved, statistics)
    said = review(request, directory, steps, constants)
    text = format_constants(constants)
    change = {label: parameter.value for label, parameter in steps.merged.items()}
    # held-out tracks, too, have to show that the constants arrived, or they judge others
    prediction = predict(change, text, strategy.labels, [*records, *judges], binaries)
    hashes = hashes_of(request, records, before, read_strategy(request.strategy))
    record = sealed(
        record.model_copy(
            update={
                "groups": said.groups,
                "weak_modes": said.weak_modes,
                "warnings": (*record.warnings, *said.warnings),
                "prediction": prediction,
                **_held_out(judges),
                "hashes": hashes.model_copy(update={"constants": digest(text.encode())}),
            }
        )
    )
    _keep_last_step(directory, len(steps.ends) - 1)
    write_atomically(directory / NEW_CONSTANTS, text)
    write_atomically(directory / CONSTANTS_YAML, format_yaml(constants, moved))
    write_atomically(directory / SOLUTION, record.model_dump_json(indent=1) + "\n")
    return record


def _held_out(judges: Sequence[ConversionRecord]) -> dict[str, object]:
    """Return what is recorded of the raw files that stay out of the fit; nothing without any."""
    if not judges:
        return {}
    statistics = total(record.statistics for record in judges)
    return {"held_out": statistics, "hold_out": hold_out_figures(statistics, len(judges))}


def _keep_last_step(directory: Path, last: int) -> None:
    # In a DAG's iteration that name is HTCondor's: the event log of the job that this is.
    theirs = {"millepede.log"} if (directory / "millepede.sub").exists() else set()
    for name in (each for each in KEPT if each not in theirs):
        source = directory / f"step{last}" / name
        if source.exists():
            write_atomically(directory / name, source.read_bytes())
        else:
            (directory / name).unlink(missing_ok=True)
