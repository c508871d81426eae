"""Cuts: which tracks and hits are converted to Mille. Names, units and defaults, said once."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field, field_validator

from auto_iter.config.section import Positive, Real, Section, as_schedule

_Length = Annotated[Real, Field(gt=0)]


class _AllCuts(Section):
    """What is converted to Mille. Defaults are FASER's; lengths in mm, momenta in GeV.

    Tracks: chi2, pz, hits before cuts on hits; hits: |residual|. `min_independence` is what the
    hits that are left must tell a track's parameters apart by, 1 - ρ² (`local_fit.independence`).
    Sound tracks have 1e-4 and more (x and y by the stereo angle alone: 0.02²). Where single
    precision is all that tells them apart it is below 1e-12, and a local fit's rounding errors,
    1e-16 over this number, grow to the size of the fit. 0 cuts nothing.
    """

    max_chi2: Annotated[Real, Field(gt=0)] = 2000.0
    min_pz_gev: Annotated[Real, Field(ge=0)] = 100.0
    max_pz_gev: Annotated[Real, Field(gt=0)] = 5000.0
    min_hits: Positive = 15
    max_residual_mm: float | tuple[float, ...]
    min_independence: Annotated[float, Field(ge=0, lt=1)] = 1e-8


class TrackCuts(_AllCuts):
    """The cuts of one iteration."""

    max_residual_mm: _Length = 0.05


class Cuts(_AllCuts):
    """The cuts of a phase's iterations: one value each; the last one holds for all that follow."""

    max_residual_mm: Annotated[tuple[_Length, ...], BeforeValidator(as_schedule)] = (0.05,)

    def changed_by(self, phase: Cuts) -> Cuts:
        """Return these cuts with those that `phase` says."""
        return self.model_copy(update=phase.model_dump(exclude_unset=True))

    def in_iteration(self, within: int) -> TrackCuts:
        """Return the cuts of a phase's iteration `within`, from 1."""
        at = min(within, len(self.max_residual_mm)) - 1
        return TrackCuts(**{**dict(self), "max_residual_mm": self.max_residual_mm[at]})

    @field_validator("max_residual_mm")
    @classmethod
    def _not_empty(cls, value: tuple[float, ...]) -> tuple[float, ...]:
        if not value:
            raise ValueError("needs at least one value")
        return value
