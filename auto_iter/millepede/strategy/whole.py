"""Strategies: which parameters are free in which step, and for how many iterations.

A strategy is a YAML file: phases, one after the other, each with the steps that pede runs in one
iteration, the stations that it reconstructs, its cuts and what is known beforehand. Those that come
with auto-iter are in `conf/strategies`.
"""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from pydantic import Field, field_validator, model_validator

from auto_iter.alignment.model import Stage
from auto_iter.alignment.plan import PhasePlan, Plan
from auto_iter.config.cuts import Cuts, TrackCuts
from auto_iter.config.schema import Config
from auto_iter.detector.labels import Place, Scheme, places
from auto_iter.detector.rules import parse_rule, stations_of
from auto_iter.detector.stations import IFT, WITH_IFT, WITHOUT_IFT
from auto_iter.errors import InputError
from auto_iter.millepede.strategy.parts import (
    Name,
    Part,
    Pede,
    Phase,
    Presigmas,
    Prior,
)


class Strategy(Part):
    """A whole strategy."""

    name: str
    description: str = ""
    stations: tuple[Name, ...] = ("3ST",)
    labels: Scheme = Scheme()
    presigmas: Presigmas | None = Field(default_factory=Presigmas)
    """None: nothing but the prior holds a parameter back within an iteration."""
    prior: Prior = Field(default_factory=dict)
    constraints: tuple[Literal["module_x", "module_y", "module_rz"], ...] = (
        "module_x",
        "module_rz",
    )
    rigid: bool = True
    """A side that lacks hits goes with the other side of its module; else it stays alone."""
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
        for phase in self.phases:
            if any(all(map(step.fixes, self.places.values())) for step in phase.steps):
                raise ValueError(f"phase {phase.name!r}: a step fixes every parameter")
        return self

    @cached_property
    def station_numbers(self) -> tuple[int, ...]:
        """The stations that may be aligned, counted from 0."""
        return stations_of(self.stations)

    @cached_property
    def places(self) -> dict[int, Place]:
        """All labels of these stations, in the parameter file's order."""
        return places(self.station_numbers, self.labels)

    def name_of(self, label: int) -> str:
        """Return what a label stands for in words; of other stations' there is just the number."""
        return self.places[label].name if label in self.places else f"label {label}"

    @property
    def iterations(self) -> int | None:
        """How many iterations all phases take; None when the last one is open."""
        numbers = [phase.iterations for phase in self.phases]
        return None if None in numbers else sum(number or 0 for number in numbers)

    def stations_in(self, stage: Stage, otherwise: int) -> int:
        """Return how many stations are reconstructed; `otherwise`: where the phase does not say."""
        return self.phases[stage.phase].reco_stations or otherwise

    def cuts_in(self, stage: Stage, otherwise: Cuts) -> TrackCuts:
        """Return the cuts of one iteration: of the residual cut's schedule, the value that holds.

        `otherwise`: the configuration's, where the phase does not say.
        """
        return otherwise.changed_by(self.phases[stage.phase].cuts).in_iteration(stage.within)

    @property
    def needs_ift(self) -> bool:
        """Whether any phase moves the interface tracker, or reconstructs with it."""
        return any(
            phase.reco_stations == WITH_IFT or self._frees_ift(phase) for phase in self.phases
        )

    def _frees_ift(self, phase: Phase) -> bool:
        ift = [p for p in self.places.values() if p.component.station == IFT]
        return any(not step.fixes(place) for step in phase.steps for place in ift)

    def prior_sigma(self, phase: Phase, place: Place) -> float | None:
        """Return how well a constant (mm, rad) is known before any data; None: not at all."""
        prior = self.prior if phase.prior is None else phase.prior
        sigma = None
        for rule, sigmas in prior.items():
            if parse_rule(rule).covers(place):
                sigma = (sigmas.shift if place.is_shift else sigmas.rotation) or sigma
        return sigma

    def plan(self, config: Config) -> Plan:
        """Return what the states need to know of it, under a configuration."""
        return Plan(self.name, tuple(_phase(phase, config) for phase in self.phases))

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


def _phase(phase: Phase, config: Config) -> PhasePlan:
    schedule = config.millepede.cuts.changed_by(phase.cuts).max_residual_mm
    changes = [at for at in range(1, len(schedule)) if schedule[at] != schedule[at - 1]]
    return PhasePlan(
        phase.name,
        phase.iterations,
        settles_at=max(changes, default=0) + 1,
        convergence_pull=phase.convergence_pull or config.alignment.convergence_pull,
        begins_anew=phase.start == "initial",
    )
