"""The text files that pede reads in a step: constraints, parameters, steering.

Format: Millepede II's manual, "Steering files"; layout and names as in FASER's production.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auto_iter.errors import InputError
from auto_iter.files import write_atomically
from auto_iter.millepede.labels import LAYERS, Place, places
from auto_iter.millepede.strategy import Pede, Step, Strategy

CONSTRAINTS = "mp2con_ss.txt"
PARAMETERS = "mp2par_ss.txt"
STEERING = "steer.txt"
FIXED = -1.0
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
            parameters.append(StepParameter(label, place, 0.0, presigmas.of(place)))
        else:
            value = found.get(label, 0.0) if step.start == "previous" else 0.0
            parameters.append(StepParameter(label, place, value, FIXED))
    return _without_lone_members(strategy, parameters)


def _without_lone_members(
    strategy: Strategy, parameters: Sequence[StepParameter]
) -> list[StepParameter]:
    """Fix what a sum leaves no choice: as its last free member it is minus the others.

    Its uncertainty would be zero but for rounding errors, of either sign.
    """
    by_label = {parameter.label: parameter for parameter in parameters}
    for members in _module_sums(strategy, parameters):
        free = [member for member in members if not member.is_fixed]
        if len(free) == 1:
            others = sum(member.start for member in members if member.is_fixed)
            by_label[free[0].label] = replace(free[0], start=-others, presigma=FIXED)
    return list(by_label.values())


def format_parameters(parameters: Iterable[StepParameter]) -> str:
    """Return the content of the parameter file."""
    lines = [
        f"  {parameter.label}  {parameter.start + 0.0!r}  {parameter.presigma!r}"
        for parameter in parameters
    ]
    return "\n".join(["Parameter", *lines, ""])


def format_constraints(strategy: Strategy, parameters: Sequence[StepParameter]) -> str:
    """Return the content of the constraint file: for each layer, Σ of its modules' x (rz) = 0.

    A sum of fixed parameters alone says nothing, and is left out.
    """
    lines: list[str] = []
    for members in _module_sums(strategy, parameters):
        if not all(member.is_fixed for member in members):
            lines.append("Constraint 0.0")
            lines += [f"  {member.label} 1.0" for member in members]
    return "\n".join([*lines, ""]) if lines else ""


def _module_sums(
    strategy: Strategy, parameters: Sequence[StepParameter]
) -> Iterator[list[StepParameter]]:
    """Yield the members of each sum that is to be zero, layer by layer."""
    kinds = [kind.removeprefix("module_") for kind in strategy.constraints]
    stations = sorted({parameter.place.component.station for parameter in parameters})
    for layer in ((station, layer) for station in stations for layer in range(LAYERS)):
        for kind in kinds:
            members = [item for item in parameters if _is_module_sum(item.place, layer, kind)]
            if members:
                yield members


def _is_module_sum(place: Place, layer: tuple[int, int], kind: str) -> bool:
    component = place.component
    return (
        component.depth in ("module", "side")
        and (component.station, component.layer) == layer
        and place.parameter == kind
    )


def format_steering(
    pede: Pede, binaries: Sequence[str], title: str, *, has_constraints: bool
) -> str:
    """Return the content of the steering file; `binaries` relative to where pede will run."""
    too_long = [name for name in binaries if len(name) > MAX_NAME_LENGTH]
    if too_long:
        raise InputError(f"{too_long[0]}: pede takes no name of more than {MAX_NAME_LENGTH} bytes")
    texts = [CONSTRAINTS, PARAMETERS] if has_constraints else [PARAMETERS]
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
    directory: Path,
    strategy: Strategy,
    parameters: Sequence[StepParameter],
    binaries: Sequence[str],
    title: str,
) -> Path:
    """Write constraint, parameter and steering file to `directory`; return the steering file."""
    constraints = format_constraints(strategy, parameters)
    write_atomically(directory / CONSTRAINTS, constraints)
    write_atomically(directory / PARAMETERS, format_parameters(parameters))
    steering = directory / STEERING
    content = format_steering(strategy.pede, binaries, title, has_constraints=bool(constraints))
    write_atomically(steering, content)
    return steering
