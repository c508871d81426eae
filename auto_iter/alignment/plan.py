"""The phases of an alignment, as the states need them: how long each may last, when it may end."""

from __future__ import annotations

from dataclasses import dataclass

from auto_iter.alignment.model import Stage


@dataclass(frozen=True)
class PhasePlan:
    """One phase. `iterations`: the most; None: as long as the alignment goes on.

    `settles_at`: its first iteration whose cuts all later ones have, too. `convergence_pull`:
    so many uncertainties a group may move by and be still (`standing.ConvergenceLimits`).
    """

    name: str
    iterations: int | None
    settles_at: int
    convergence_pull: float
    begins_anew: bool = False
    """It starts from the alignment's initial constants, not from what was found last."""


@dataclass(frozen=True)
class Plan:
    """All phases of an alignment, and the name of its strategy."""

    strategy: str
    phases: tuple[PhasePlan, ...]

    def phase(self, stage: Stage) -> PhasePlan:
        """Return the phase that an alignment is in."""
        return self.phases[stage.phase]

    def is_last(self, stage: Stage) -> bool:
        """Tell whether no phase comes after this one."""
        return stage.phase == len(self.phases) - 1
