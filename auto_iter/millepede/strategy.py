"""Strategies: which parameters are free in which step, and for how many iterations.

A strategy is a YAML file: phases, one after the other, each with the steps that pede runs in one
iteration, the stations that it reconstructs, its cuts and what is known beforehand. Those that come
with auto-iter are in `conf/strategies`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from auto_iter.config import Cuts, as_schedule
from auto_iter.errors import InputError, raise_what_passes
from auto_iter.millepede.labels import Modules, Place, Scheme, places
from auto_iter.millepede.rules import NAMED, Rule, parse_rule, stations_of
from auto_iter.millepede.steering_options import KEYWORDS, Options
from auto_iter.millepede.steering_text import matches, parse_line
from auto_iter.model import Stage
from auto_iter.wording import in_words
from auto_iter.yamlfile import YamlError, parse_yaml, read_bounded

# YAML reads a component number as an integer
Name = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
WITHOUT_IFT, WITH_IFT = 3, 4
"""How many stations take data without and with the interface tracker."""


AUTO = "auto"


def default_strategy(stations: int) -> str:
    """Return the name of the strategy that is made for 3 or 4 stations."""
    return "3st" if stations == WITHOUT_IFT else "4st"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Labels(_Part):
    """Which parameters exist at all. FASER's: layers, x of each side, rz of each module."""

    modules: Modules = "x_rz"
    layers: bool = True
    layer_z: bool = False
    stations: bool = False

    @property
    def scheme(self) -> Scheme:
        """The label scheme."""
        return Scheme(self.modules, self.layers, self.layer_z, self.stations)


class Presigma(_Part):
    """How far one kind of component may go in an iteration: shifts in mm, rotations in rad."""

    shift: Positive = 0.05
    rotation: Positive = 0.005


class Presigmas(_Part):
    """Presigmas by depth; `module` also means its sides."""

    station: Presigma = Field(default_factory=Presigma)
    layer: Presigma = Field(default_factory=Presigma)
    module: Presigma = Field(default_factory=Presigma)

    def of(self, place: Place) -> float:
        """Return the presigma of a free parameter, in mm or rad."""
        depth = place.component.depth
        kind = {"station": self.station, "layer": self.layer}.get(depth, self.module)
        return kind.shift if place.is_shift else kind.rotation


class Sigmas(_Part):
    """How far from their starting values constants may be: shifts in mm, rotations in rad (1 σ)."""

    shift: Positive | None = None
    rotation: Positive | None = None


def _known(rule: str) -> str:
    try:
        parse_rule(rule)
    except InputError as error:
        raise ValueError(str(error)) from error
    return rule


KnownRule = Annotated[Name, AfterValidator(_known)]
Prior = dict[KnownRule, Sigmas]
"""Rule → σ; of several rules that cover a constant, the last one that says its σ counts."""


class CutChanges(_Part):
    """Cuts of a phase where they differ from the configuration's `millepede.cuts`."""

    max_chi2: Positive | None = None
    min_pz_gev: Annotated[float, Field(ge=0)] | None = None
    max_pz_gev: Positive | None = None
    min_hits: Annotated[int, Field(gt=0)] | None = None
    max_residual_mm: Annotated[tuple[Positive, ...], BeforeValidator(as_schedule)] | None = None
    """One value for each iteration of the phase; the last one holds for all that follow."""

    def applied_to(self, cuts: Cuts) -> Cuts:
        """Return `cuts` with these changes."""
        return cuts.model_copy(update=self.model_dump(exclude_none=True))


class Step(_Part):
    """One run of pede. `start`: where fixed parameters stay, at zero or where the last step ended.

    Free ones start at zero.
    """

    name: str = ""
    fix: tuple[KnownRule, ...] = ()
    start: Literal["zero", "previous"] = "previous"
    presigmas: Presigmas | None = None

    @cached_property
    def rules(self) -> tuple[Rule, ...]:
        """The rules that say what is fixed."""
        return tuple(parse_rule(text) for text in self.fix)

    def fixes(self, place: Place) -> bool:
        """Tell whether this step fixes the parameter at `place`."""
        return any(rule.covers(place) for rule in self.rules)


class Phase(_Part):
    """Some iterations that run the same steps; without a number: all that remain.

    `iterations` is the most: a phase that has converged ends. `reco_stations`: how many stations
    its tracks are reconstructed in; None: as the alignment was begun. `start`: the constants that
    it begins with - where the phase before ended, or those that the alignment began with.
    """

    name: str
    iterations: Annotated[int, Field(gt=0)] | None = None
    reco_stations: Literal[3, 4] | None = None
    start: Literal["previous", "initial"] = "previous"
    cuts: CutChanges = Field(default_factory=CutChanges)
    prior: Prior | None = None
    """Instead of the strategy's."""
    convergence_pull: Positive | None = None
    """Instead of the configuration's `alignment.convergence_pull`."""
    steps: tuple[Step, ...] = Field(min_length=1)


ITERATED = frozenset({"chisqcut", "outlierdownweighting"})
"""Options of pede that take effect iteration by iteration."""


class Pede(_Part):
    """What the steering file says besides the files."""

    method: Annotated[str, Field(pattern=r"^(inversion|diagonalization) \d+ [0-9.eE+-]+$")] = (
        "inversion 3 0.001"
    )
    hugecut: Positive | None = 2000.0
    options: tuple[str, ...] = ()
    """Further lines, e.g. `chisqcut 30. 6.` or `outlierdownweighting 3`."""

    @property
    def entries(self) -> int:
        """How many hits pede wants of a parameter that it is to move: `entries`, or its default."""
        options = Options()
        for number, text in enumerate(self.options, 1):
            line = parse_line(Path("pede.options"), number, text)
            if matches(line.keyword, "entries"):
                options = KEYWORDS["entries"](options, line.numbers)
        return options.entries

    @property
    def needs_iterations(self) -> bool:
        """Whether a solution changes which tracks count, and how much, on the way."""
        return any(line.split()[0] in ITERATED for line in self.options if line.strip())

    def in_one_step(self) -> Pede:
        """Return the same, solved in a single step, where that leads to the minimum.

        It does without presigmas. With a prior it also has to: the gradient of a `Measurement` of
        several labels is wrong in pede before V04-15-00, but for the first step, from zero.
        """
        if self.needs_iterations:
            return self
        name, _, convergence = self.method.split()
        options = (*self.options, "linesearch 0")
        return self.model_copy(update={"method": f"{name} 1 {convergence}", "options": options})


class Strategy(_Part):
    """A whole strategy."""

    name: str
    description: str = ""
    stations: tuple[Name, ...] = ("3ST",)
    labels: Labels = Field(default_factory=Labels)
    presigmas: Presigmas | None = Field(default_factory=Presigmas)
    """None: nothing but the prior holds a parameter back within an iteration."""
    prior: Prior = Field(default_factory=dict)
    constraints: tuple[Literal["module_x", "module_y", "module_rz"], ...] = (
        "module_x",
        "module_rz",
    )
    pede: Pede = Field(default_factory=Pede)
    phases: tuple[Phase, ...] = Field(min_length=1)

    @field_validator("stations")
    @classmethod
    def _stations_are_known(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        try:
            stations_of(value)
        except InputError as error:
            raise ValueError(str(error)) from error
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Strategy:
        for phase in self.phases[:-1]:
            if phase.iterations is None:
                raise ValueError(
                    f"phase {phase.name!r} needs `iterations`: only the last may go on"
                )
        if not self.places:
            raise ValueError("labels: switch on modules, layers or stations")
        if self.labels.modules != "x_rz" and "module_y" in self.constraints:
            raise ValueError("constraints: module_y needs modules: x_rz")
        for phase in self.phases:
            if phase.reco_stations == WITHOUT_IFT and self._frees_ift(phase):
                raise ValueError(
                    f"phase {phase.name!r} frees the IFT, which needs reco_stations: 4"
                )
        for phase, step in self._steps():
            if all(step.fixes(place) for place in self.places.values()):
                raise ValueError(f"phase {phase.name!r}: a step fixes every parameter")
        return self

    def _steps(self) -> Iterator[tuple[Phase, Step]]:
        return ((phase, step) for phase in self.phases for step in phase.steps)

    @property
    def scheme(self) -> Scheme:
        """The label scheme."""
        return self.labels.scheme

    @cached_property
    def station_numbers(self) -> tuple[int, ...]:
        """The stations that may be aligned, counted from 0."""
        return stations_of(self.stations)

    @cached_property
    def places(self) -> dict[int, Place]:
        """All labels of these stations, in the parameter file's order."""
        return places(self.station_numbers, self.scheme)

    @property
    def iterations(self) -> int | None:
        """How many iterations all phases take; None when the last one is open."""
        numbers = [phase.iterations for phase in self.phases]
        return None if None in numbers else sum(number or 0 for number in numbers)

    def stations_in(self, stage: Stage, otherwise: int) -> int:
        """Return how many stations are reconstructed; `otherwise`: where the phase does not say."""
        return self.phases[stage.phase].reco_stations or otherwise

    def cuts_in(self, stage: Stage, otherwise: Cuts) -> dict[str, Any]:
        """Return the cuts of one iteration: of the residual cut's schedule, the value that holds.

        `otherwise`: the configuration's, where the phase does not say.
        """
        cuts = self.phases[stage.phase].cuts.applied_to(otherwise)
        values: dict[str, Any] = cuts.model_dump(mode="json")
        return values | {"max_residual_mm": cuts.max_residual_in(stage.within)}

    @property
    def needs_ift(self) -> bool:
        """Whether any phase moves the interface tracker, or reconstructs with it."""
        return any(
            phase.reco_stations == WITH_IFT or self._frees_ift(phase) for phase in self.phases
        )

    def _frees_ift(self, phase: Phase) -> bool:
        ift = [p for p in self.places.values() if p.component.station in NAMED["IFT"]]
        return any(not step.fixes(place) for step in phase.steps for place in ift)

    def prior_sigma(self, phase: Phase, place: Place) -> float | None:
        """Return how well a constant (mm, rad) is known before any data; None: not at all."""
        prior = self.prior if phase.prior is None else phase.prior
        sigma = None
        for rule, sigmas in prior.items():
            if parse_rule(rule).covers(place):
                sigma = (sigmas.shift if place.is_shift else sigmas.rotation) or sigma
        return sigma

    def planned(self, iteration: int) -> Stage:
        """Return where `iteration` (from 1) is when every phase takes all its iterations.

        After the end the last phase goes on.
        """
        begins = 1
        for number, phase in enumerate(self.phases):
            length = phase.iterations
            if length is None or number == len(self.phases) - 1 or iteration < begins + length:
                return Stage(iteration, number, iteration - begins + 1)
            begins += length
        raise AssertionError("a strategy has a last phase")


def strategy_names() -> list[str]:
    """Return the names of the strategies that come with auto-iter."""
    entries = files("conf").joinpath("strategies").iterdir()
    return sorted(entry.name.removesuffix(".yaml") for entry in entries if ".yaml" in entry.name)


def read_strategy(name_or_path: str | Path) -> str:
    """Return the text of a strategy, as `load_strategy` finds it. Raises InputError."""
    name = str(name_or_path)
    if "/" in name or name.endswith((".yaml", ".yml")):
        try:
            return read_bounded(Path(name).expanduser()).decode()
        except YamlError as error:
            raise InputError(f"strategy {name}: {error}") from error
        except (OSError, UnicodeDecodeError) as error:
            raise_what_passes(error, Path(name))
            raise InputError(f"strategy {name}: cannot be read ({error})") from error
    known = strategy_names()
    if name not in known:
        close = difflib.get_close_matches(name.lower(), known, n=1)
        hint = f"did you mean {close[0]!r}? " if close else ""
        raise InputError(
            f"no strategy {name!r}; {hint}there are {', '.join(known)}, or give a file"
        )
    return files("conf").joinpath("strategies", f"{name}.yaml").read_text(encoding="utf-8")


def load_strategy(name_or_path: str | Path) -> Strategy:
    """Return a strategy by name (of ours) or by the path of a YAML file.

    Raises InputError naming file and key, with a suggestion where one is near.
    """
    return parse_strategy(read_strategy(name_or_path), str(name_or_path))


def parse_strategy(text: str, where: str) -> Strategy:
    """Return the strategy in a YAML `text`; `where` names it in errors (InputError)."""
    try:
        return Strategy.model_validate(parse_yaml(text))
    except YamlError as error:
        line = "" if error.line is None else f" line {error.line}"
        raise InputError(f"strategy {where}:{line}: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "file"
        message = in_words(first)
        if first["type"] == "extra_forbidden":
            message = f"unknown key{_suggest_key(str(first['loc'][-1]))}"
        raise InputError(f"strategy {where}: {key}: {message}") from error


def _suggest_key(key: str) -> str:
    models = (Strategy, Labels, Presigmas, Presigma, Sigmas, CutChanges, Step, Phase, Pede)
    known = {name for model in models for name in model.model_fields}
    close = difflib.get_close_matches(key, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
