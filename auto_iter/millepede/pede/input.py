"""The text files that pede reads in a step: constraints, parameters, steering.

Format: Millepede II's manual, "Steering files"; layout and names as in FASER's production.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auto_iter.detector.constants import Constants, combinations, value_of
from auto_iter.detector.labels import Parameter, Place, component_of_key, places
from auto_iter.detector.module_sums import Sum, independent, layer_sums, pinned
from auto_iter.detector.rigid import folded, led_by
from auto_iter.files import write_atomically
from auto_iter.millepede.steering.reader import Combination
from auto_iter.millepede.steering.writer import format_combinations, format_steering
from auto_iter.millepede.strategy.parts import Pede, Phase, Step
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.millepede.survey import Survey

CONSTRAINTS = "mp2con_ss.txt"
PARAMETERS = "mp2par_ss.txt"
PRIOR = "mp2pri_ss.txt"
SURVEY = "mp2sur_ss.txt"
STEERING = "steer.txt"
FIXED = -1.0
FREE = 0.0
"""The presigma of what nothing holds back."""


Parameters = dict[Place, Parameter]
"""Those of a step in the parameter file's order; `value`: where each starts."""


def step_parameters(
    strategy: Strategy,
    step: Step,
    found: Mapping[int, float],
    seen_stations: Collection[int] = (),
    short: Collection[Place] = (),
) -> Parameters:
    """Return every parameter of a step in the file's order, with start value and presigma.

    What a step fixes stays at the value that the step before `found`; what it frees starts at 0,
    so that presigmas pull towards the constants that the tracks were made with, in each step.
    `seen_stations` have hits: those which the strategy leaves out are fixed at 0, because pede
    would take a parameter that it does not know from the parameter file as free. `short` of hits
    are fixed as well: pede would leave them, too, but not out of the constraints; a side goes with
    the other one where that is free.
    """
    stations = sorted({*strategy.station_numbers, *seen_stations})
    presigmas = step.presigmas or strategy.presigmas
    parameters: Parameters = {}
    for label, place in places(stations, strategy.labels).items():
        is_ours = place.component.station in strategy.station_numbers
        if is_ours and not step.fixes(place) and place not in short:
            presigma = FREE if presigmas is None else presigmas.of(place)
            parameters[place] = Parameter(label, 0.0, presigma)
        else:
            value = found.get(label, 0.0) if step.start == "previous" else 0.0
            parameters[place] = Parameter(label, value, FIXED)
    for place, leader in led_by(short).items() if strategy.rigid else ():
        if not step.fixes(place) and parameters[leader].is_free:
            label = parameters[place].label
            parameters[place] = Parameter(label, 0.0, FIXED, follows=parameters[leader].label)
    return _without_pinned(strategy, parameters)


def _without_pinned(strategy: Strategy, parameters: Parameters) -> Parameters:
    """Fix what the sums leave no choice, where they put it."""
    values = {
        label: v for sums in _layer_sums(strategy, parameters) for label, v in pinned(sums).items()
    }
    return {
        place: Parameter(each.label, values[each.label], FIXED) if each.label in values else each
        for place, each in parameters.items()
    }


def format_constraints(strategy: Strategy, parameters: Parameters) -> str:
    """Return the content of the constraint file: for each layer, Σ of its modules' x (y, rz) = 0.

    A sum of fixed parameters alone says nothing, and is left out; so is one that others imply.
    """
    constraints = (
        Combination(0.0, 0.0, tuple((member.label, factor) for member, factor in each.items()))
        for sums in _layer_sums(strategy, parameters)
        for each in independent(sums)
    )
    return format_combinations("Constraint", constraints)


def _layer_sums(strategy: Strategy, parameters: Parameters) -> Iterator[list[Sum]]:
    kinds = [kind.removeprefix("module_") for kind in strategy.constraints]
    return layer_sums(kinds, parameters)


@dataclass(frozen=True)
class Knowledge:
    """What is known besides the tracks: where the prior pulls to, where they were made, a survey.

    `centre`: the constants that the alignment began with; `current`: those of this iteration.
    """

    centre: Constants
    current: Constants
    survey: Survey = ()

    def missing(self, key: str, parameter: str) -> float:
        """Return centre − current of a constant, in mm or rad."""
        return value_of(self.centre, key, parameter) - value_of(self.current, key, parameter)


def format_prior(
    strategy: Strategy, phase: Phase, parameters: Parameters, knowledge: Knowledge
) -> str:
    """Return the content of the prior's file: a `Measurement` for each constant with a σ.

    It acts on the total, change plus what earlier iterations found: a presigma would only bound
    each change, and along combinations that the data leave open the sum would walk without end.
    """
    measurements: list[Combination] = []
    for (key, name), weights in combinations(parameters, strategy.labels).items():
        sigma = strategy.prior_sigma(phase, Place(component_of_key(key), name))
        terms = folded({parameters[place]: weight for place, weight in weights.items()})
        if sigma is not None and any(parameter.is_free for parameter in terms):
            measurements.append(_sum(terms, knowledge.missing(key, name), sigma))
    return format_combinations("Measurement", measurements)


def format_survey(strategy: Strategy, parameters: Parameters, knowledge: Knowledge) -> str:
    """Return the content of the survey's file: a `Measurement` for each line that can still move.

    Like the prior's, its value is what is missing: measured minus current constants.
    """
    known = combinations(parameters, strategy.labels)
    measurements: list[Combination] = []
    for measured in knowledge.survey:
        weights = measured.weights(known)
        terms = folded({parameters[place]: weight for place, weight in weights.items()})
        if any(parameter.is_free for parameter in terms):
            missing = measured.missing(knowledge.current)
            measurements.append(_sum(terms, missing, measured.sigma))
    return format_combinations("Measurement", measurements)


def _sum(terms: Mapping[Parameter, float], value: float, sigma: float) -> Combination:
    # pede before V04-15-00 takes what stands before a label for all of it: what moves is last
    ordered = sorted(terms.items(), key=lambda item: item[0].is_free)
    return Combination(value, sigma, tuple((each.label, weight) for each, weight in ordered))


def steering_options(pede: Pede) -> list[str]:
    """Return the lines of the steering file besides its files."""
    return [
        *([f"hugecut {pede.hugecut:g}"] if pede.hugecut is not None else []),
        # what leaves a constraint without a variable parameter ends differently in each version
        "skipemptycons",
        *pede.options,
        f"method {pede.method}",
    ]


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
    write_atomically(steering, format_steering(title, named, binaries, steering_options(pede)))
    return steering
