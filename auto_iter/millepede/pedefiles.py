"""The text files that pede reads in a step: constraints, parameters, steering.

Format: Millepede II's manual, "Steering files"; layout and names as in FASER's production.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auto_iter.errors import InputError
from auto_iter.files import write_atomically
from auto_iter.millepede.constants import ZERO, Constants, combinations
from auto_iter.millepede.labels import (
    LAYERS,
    POSITIVE_STEREO,
    Place,
    component_of_key,
    places,
)
from auto_iter.millepede.labels import (
    PARAMETERS as SIX,
)
from auto_iter.millepede.strategy import Pede, Phase, Step, Strategy

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
    strategy: Strategy, step: Step, found: Mapping[int, float], seen_stations: Collection[int] = ()
) -> list[StepParameter]:
    """Return every parameter of a step in the file's order, with start value and presigma.

    What a step fixes stays at the value that the step before `found`; what it frees starts at 0,
    so that presigmas pull towards the constants that the tracks were made with, in each step.
    `seen_stations` have hits: those which the strategy leaves out are fixed at 0, because pede
    would take a parameter that it does not know from the parameter file as free.
    """
    stations = sorted({*strategy.station_numbers, *seen_stations})
    presigmas = step.presigmas or strategy.presigmas
    parameters: list[StepParameter] = []
    for label, place in places(stations, strategy.scheme).items():
        is_ours = place.component.station in strategy.station_numbers
        if is_ours and not step.fixes(place):
            presigma = FREE if presigmas is None else presigmas.of(place)
            parameters.append(StepParameter(label, place, 0.0, presigma))
        else:
            value = found.get(label, 0.0) if step.start == "previous" else 0.0
            parameters.append(StepParameter(label, place, value, FIXED))
    return parameters


def format_parameters(parameters: Iterable[StepParameter]) -> str:
    """Return the content of the parameter file."""
    lines = [
        f"  {parameter.label}  {parameter.start + 0.0!r}  {parameter.presigma!r}"
        for parameter in parameters
    ]
    return "\n".join(["Parameter", *lines, ""])


def format_constraints(strategy: Strategy, parameters: Sequence[StepParameter]) -> str:
    """Return the content of the constraint file: for each layer, Σ of its modules' x (y, rz) = 0.

    A sum of fixed parameters alone says nothing, and is left out.
    """
    stations = sorted({parameter.place.component.station for parameter in parameters})
    lines: list[str] = []
    for layer in ((station, layer) for station in stations for layer in range(LAYERS)):
        for kind in strategy.constraints:
            factors = {
                item: factor
                for item in parameters
                if (factor := _factor(item.place, layer, kind.removeprefix("module_")))
            }
            if factors and not all(member.is_fixed for member in factors):
                lines.append("Constraint 0.0")
                lines += [f"  {member.label} {factor}" for member, factor in factors.items()]
    return "\n".join([*lines, ""]) if lines else ""


def _factor(place: Place, layer: tuple[int, int], kind: str) -> float:
    """Return the factor of a label in the sum over a layer's modules; 0: it is not in there.

    Up to 1/(2·20 mrad), which is the same for all, a module's y is ±(x₁ − x₀) of its sides.
    """
    component = place.component
    is_in_layer = (component.station, component.layer) == layer
    if component.depth not in ("module", "side") or not is_in_layer:
        return 0.0
    if kind == "y":
        if place.parameter != "x" or component.depth != "side":
            return 0.0
        is_positive = (component.module in POSITIVE_STEREO) == bool(component.side)
        return 1.0 if is_positive else -1.0
    return 1.0 if place.parameter == kind else 0.0


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
        lines += [f"  {by_place[place].label} {weight!r}" for place, weight in weights.items()]
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
