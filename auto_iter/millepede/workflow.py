"""The Mille/pede chain of an iteration: ROOT files → Mille → pede, step by step → new constants.

Used by the daemon through `worker`, and by hand. Same input, same bytes: nothing written here
depends on time, place or order of arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import psutil

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
from auto_iter.detector.rules import NAMED
from auto_iter.errors import PhysicsError
from auto_iter.files import digest, write_atomically
from auto_iter.millepede.conversion.statistics import total
from auto_iter.millepede.evidence.hits import Evidence
from auto_iter.millepede.evidence.prediction import predict
from auto_iter.millepede.integrity import hashes_of, refuse_damaged, refuse_lost_records
from auto_iter.millepede.iteration_record import solution_record
from auto_iter.millepede.pede.input import CONSTRAINTS, PARAMETERS, PRIOR, STEERING, Knowledge
from auto_iter.millepede.pede.program import RunLimits
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.results import SolutionRecord, read_record
from auto_iter.millepede.solving import choose_engine
from auto_iter.millepede.steps import Steps, run_steps
from auto_iter.millepede.strategy.file import load_strategy, read_strategy
from auto_iter.millepede.strategy.whole import WITH_IFT
from auto_iter.workspace.hashes import sealed

KEPT = (
    "millepede.res",
    "millepede.end",
    "millepede.log",
    CONSTRAINTS,
    PARAMETERS,
    PRIOR,
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


Remarks = Callable[[SolveRequest, Path, Steps, Constants], list[str]]
"""Who looks at a solution before it is written, and what there is to warn of."""


def _no_remarks(*_: object) -> list[str]:
    return []


def solve(
    request: SolveRequest, env: Mapping[str, str], remarks: Remarks = _no_remarks
) -> SolutionRecord:
    """Run the steps of the iteration's phase, write the new constants, then `solution.json`.

    Raises InputError for bad input, DamagedError for binaries that no conversion wrote,
    PhysicsError when pede or the numbers say no; then there is no `solution.json`.
    """
    directory = request.directory.absolute()
    (directory / SOLUTION).unlink(missing_ok=True)
    strategy = load_strategy(request.strategy)
    previous = read_constants(request.previous)
    before = digest(request.previous.read_bytes())
    records = [read_record(path) for path in request.statistics]
    refuse_damaged(request.binaries, records)
    statistics = total(record.statistics for record in records if record.error is None)
    cuts = records[0].cuts if records else TrackCuts()
    evidence = Evidence(statistics, cuts, strategy.pede.entries)
    engine = choose_engine(
        request.solver,
        request.pede_install,
        env,
        RunLimits(request.time_limit_s, MEMORY_SHARE * psutil.virtual_memory().total / 1e6),
        modes=MODES if request.eigen else 0,
    )
    engine = replace(engine, accept_bad_matrix=request.accept_bad_matrix)
    if request.stations == WITH_IFT and evidence.seen_stations.isdisjoint(NAMED["IFT"]):
        raise PhysicsError(
            "no track has a hit in the interface tracker (IFT), although 4 stations were "
            "reconstructed: these data were taken with 3",
            "align them with --threest and a strategy for the spectrometer, e.g. 3st",
        )
    steps = run_steps(
        directory,
        [binary.absolute() for binary in request.binaries],
        strategy,
        strategy.phases[request.phase],
        evidence,
        Knowledge(_centre(request), previous),
        engine,
    )
    refuse_lost_records(steps.ends[0].figures.records, records)
    moved = changes(steps.merged.values(), strategy.scheme, steps.covariance)
    constants = accumulate(previous, moved)
    check_limits(constants, moved, request.max_shift_mm, request.max_rotation_rad)
    record = solution_record(request, strategy, steps, moved, statistics)
    said = tuple(remarks(request, directory, steps, constants))
    text = format_constants(constants)
    change = {label: parameter.value for label, parameter in steps.merged.items()}
    prediction = predict(change, text, strategy.labels, records, request.binaries)
    hashes = hashes_of(request, records, before, read_strategy(request.strategy))
    record = sealed(
        record.model_copy(
            update={
                "warnings": (*record.warnings, *said),
                "prediction": prediction,
                "hashes": hashes.model_copy(update={"constants": digest(text.encode())}),
            }
        )
    )
    _keep_last_step(directory, len(steps.ends) - 1)
    write_atomically(directory / NEW_CONSTANTS, text)
    write_atomically(directory / CONSTANTS_YAML, format_yaml(constants, moved))
    write_atomically(directory / SOLUTION, record.model_dump_json(indent=1) + "\n")
    return record


def _centre(request: SolveRequest) -> Constants:
    """Return what the prior pulls to: where the alignment began; the nominal places otherwise."""
    return {} if request.centre is None else read_constants(request.centre)


def _keep_last_step(directory: Path, last: int) -> None:
    for name in KEPT:
        source = directory / f"step{last}" / name
        if source.exists():
            write_atomically(directory / name, source.read_bytes())
        else:
            (directory / name).unlink(missing_ok=True)
