"""The text files that pede reads in a step: constraints, parameters, steering.

Format: Millepede II's manual, "Steering files"; layout and names as in FASER's production.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auto_iter.detector.constants import ZERO, Constants, combinations
from auto_iter.detector.labels import (
    PARAMETERS as SIX,
)
from auto_iter.detector.labels import (
    Place,
    component_of_key,
    places,
)
from auto_iter.detector.module_sums import Member, Sum, independent, layer_sums, pinned
from auto_iter.errors import InputError
from auto_iter.files import write_atomically
from auto_iter.millepede.strategy.parts import Pede, Phase, Step
from auto_iter.millepede.strategy.whole import Strategy

CONSTRAINTS = "mp2con_ss.txt"
PARAMETERS = "mp2par_ss.txt"
PRIOR = "mp2pri_ss.txt"
STEERING = "steer.txt"
FIXED = -1.0
FREE = 0.0
"""The presigma of what nothing holds back."""
MAX_NAME_LENGTH = 1024
"""pede refuses longer file names (exit code 17)."""


@dataclass(frozen=True)
class StepParameter:
    """One line of the parameter file."""

    label: int
    place: Place
    start: float
    presigma: float

    @property
    def is_fixed(self) -> bool:
        """Whether pede may not move it."""
        return self.presigma < 0


def step_parameters(
    strategy: Strategy,
    step: Step,
    found: Mapping[int, float],
    seen_stations: Collection[int] = (),
    short: Collection[Place] = (),
) -> list[StepParameter]:
    """Return every parameter of a step in the file's order, with start value and presigma.

    What a step fixes stays at the value that the step before `found`; what it frees starts at 0,
    so that presigmas pull towards the constants that the tracks were made with, in each step.
    `seen_stations` have hits: those which the strategy leaves out are fixed at 0, because pede
    would take a parameter that it does not know from the parameter file as free. `short` of hits
    are fixed as well: pede would leave them, too, but not out of the constraints.
    """
    stations = sorted({*strategy.station_numbers, *seen_stations})
    presigmas = step.presigmas or strategy.presigmas
    parameters: list[StepParameter] = []
    for label, place in places(stations, strategy.scheme).items():
        is_ours = place.component.station in strategy.station_numbers
        if is_ours and not step.fixes(place) and place not in short:
            presigma = FREE if presigmas is None else presigmas.of(place)
            parameters.append(StepParameter(label, place, 0.0, presigma))
        else:
            value = found.get(label, 0.0) if step.start == "previous" else 0.0
            parameters.append(StepParameter(label, place, value, FIXED))
    return _without_pinned(strategy, parameters)


def _without_pinned(strategy: Strategy, parameters: Sequence[StepParameter]) -> list[StepParameter]:
    """Fix what the sums leave no choice, where they put it."""
    values = {
        label: v for sums in _layer_sums(strategy, parameters) for label, v in pinned(sums).items()
    }
    return [
        replace(each, start=values[each.label], presigma=FIXED) if each.label in values else each
        for each in parameters
    ]


def format_parameters(parameters: Iterable[StepParameter]) -> str:
    """Return the content of the parameter file."""
    lines = [
        f"  {parameter.label}  {parameter.start + 0.0!r}  {parameter.presigma!r}"
        for parameter in parameters
    ]
    return "\n".join(["Parameter", *lines, ""])


def format_constraints(strategy: Strategy, parameters: Sequence[StepParameter]) -> str:
    """Return the content of the constraint file: for each layer, Σ of its modules' x (y, rz) = 0.

    A sum of fixed parameters alone says nothing, and is left out; so is one that others imply.
    """
    lines: list[str] = []
    for sums in _layer_sums(strategy, parameters):
        for each in independent(sums):
            lines.append("Constraint 0.0")
            lines += [f"  {member.label} {factor}" for member, factor in each.items()]
    return "\n".join([*lines, ""]) if lines else ""


def _layer_sums(strategy: Strategy, parameters: Sequence[StepParameter]) -> Iterator[list[Sum]]:
    kinds = [kind.removeprefix("module_") for kind in strategy.constraints]
    members = {each.place: Member(each.label, each.start, each.is_fixed) for each in parameters}
    return layer_sums(kinds, members)


@dataclass(frozen=True)
class Knowledge:
    """What is known before any data: where the prior pulls to, and where the tracks were made.

    `centre`: the constants that the alignment began with; `current`: those of this iteration.
    """

    centre: Constants
    current: Constants

    def missing(self, key: str, parameter: str) -> float:
        """Return centre − current of a constant, in mm or rad."""
        at = SIX.index(parameter)
        return self.centre.get(key, ZERO)[at] - self.current.get(key, ZERO)[at]


def format_prior(
    strategy: Strategy, phase: Phase, parameters: Sequence[StepParameter], knowledge: Knowledge
) -> str:
    """Return the content of the prior's file: a `Measurement` for each constant with a σ.

    It acts on the total, change plus what earlier iterations found: a presigma would only bound
    each change, and along combinations that the data leave open the sum would walk without end.
    """
    by_place = {parameter.place: parameter for parameter in parameters}
    lines: list[str] = []
    for (key, name), weights in combinations(by_place, strategy.scheme).items():
        sigma = strategy.prior_sigma(phase, Place(component_of_key(key), name))
        if sigma is None or all(by_place[place].is_fixed for place in weights):
            continue
        lines.append(f"Measurement {knowledge.missing(key, name) + 0.0!r} {sigma!r}")
        # pede before V04-15-00 takes what stands before a label for all of it: what moves is last
        ordered = sorted(weights.items(), key=lambda item: not by_place[item[0]].is_fixed)
        lines += [f"  {by_place[place].label} {weight!r}" for place, weight in ordered]
    return "\n".join([*lines, ""]) if lines else ""


def format_steering(pede: Pede, texts: Sequence[str], binaries: Sequence[str], title: str) -> str:
    """Return the content of the steering file; all names relative to where pede will run."""
    too_long = [name for name in binaries if len(name) > MAX_NAME_LENGTH]
    if too_long:
        raise InputError(f"{too_long[0]}: pede takes no name of more than {MAX_NAME_LENGTH} bytes")
    options = [f"hugecut {pede.hugecut:g}"] if pede.hugecut is not None else []
    lines = [
        f"* {title}",
        "Fortranfiles",
        *texts,
        "Cfiles",
        *binaries,
        *options,
        # what leaves a constraint without a variable parameter ends differently in each version
        "skipemptycons",
        *pede.options,
        f"method {pede.method}",
        "end",
        "",
    ]
    return "\n".join(lines)


def write_step_files(
    directory: Path, pede: Pede, texts: Mapping[str, str], binaries: Sequence[str], title: str
) -> Path:
    """Write text files (name → content, empty ones not named) and the steering file.

    Returns the steering file.
    """
    for name, content in texts.items():
        write_atomically(directory / name, content)
    steering = directory / STEERING
    named = [name for name, content in texts.items() if content]
    write_atomically(steering, format_steering(pede, named, binaries, title))
    return steering
