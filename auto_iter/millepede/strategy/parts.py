"""What a strategy is made of: labels, presigmas, priors, cuts, steps and phases."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from auto_iter.config.cuts import Cuts
from auto_iter.detector.labels import Place
from auto_iter.detector.rules import Rule, parse_rule
from auto_iter.detector.stations import Mode
from auto_iter.errors import InputError
from auto_iter.millepede.steering.options import KEYWORDS, PedeOptions
from auto_iter.millepede.steering.text import matches, parse_line

# YAML reads a component number as an integer
Name = Annotated[str, BeforeValidator(lambda value: str(value) if type(value) is int else value)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Part(BaseModel):
    """Known keys only, and none changes."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Presigma(Part):
    """How far one kind of component may go in an iteration: shifts in mm, rotations in rad."""

    shift: Positive = 0.05
    rotation: Positive = 0.005


class Presigmas(Part):
    """Presigmas by depth; `module` also means its sides."""

    station: Presigma = Field(default_factory=Presigma)
    layer: Presigma = Field(default_factory=Presigma)
    module: Presigma = Field(default_factory=Presigma)

    def of(self, place: Place) -> float:
        """Return the presigma of a free parameter, in mm or rad."""
        depth = place.component.depth
        kind = {"station": self.station, "layer": self.layer}.get(depth, self.module)
        return kind.shift if place.is_shift else kind.rotation


class Sigmas(Part):
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


class Step(Part):
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


class Phase(Part):
    """Some iterations that run the same steps; without a number: all that remain.

    `iterations` is the most: a phase that has converged ends. `reco_stations`: how many stations
    its tracks are reconstructed in; None: as the alignment was begun. `start`: the constants that
    it begins with - where the phase before ended, or those that the alignment began with.
    """

    name: str
    iterations: Annotated[int, Field(gt=0)] | None = None
    reco_stations: Mode | None = None
    start: Literal["previous", "initial"] = "previous"
    cuts: Cuts = Field(default_factory=Cuts)
    """Where they differ from the configuration's `millepede.cuts`; what is not said is as there."""
    prior: Prior | None = None
    """Instead of the strategy's."""
    convergence_pull: Positive | None = None
    """Instead of the configuration's `alignment.convergence_pull`."""
    steps: tuple[Step, ...] = Field(min_length=1)

    @field_validator("cuts", mode="before")
    @classmethod
    def _null_is_not_said(cls, cuts: object) -> object:
        if not isinstance(cuts, dict):
            return cuts
        return {name: value for name, value in cuts.items() if value is not None}


ITERATED = frozenset({"chisqcut", "outlierdownweighting"})
"""Options of pede that take effect iteration by iteration."""


class Pede(Part):
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
        asked = PedeOptions().entries
        for number, text in enumerate(self.options, 1):
            line = parse_line(Path("pede.options"), number, text)
            if matches(line.keyword, "entries"):
                asked = int(KEYWORDS["entries"](line.numbers).get("entries", asked))
        return asked

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
