"""What of a strategy the states need: a plan."""

from __future__ import annotations

from auto_iter.alignment.plan import PhasePlan, Plan
from auto_iter.config.schema import Config
from auto_iter.millepede.strategy.parts import Phase
from auto_iter.millepede.strategy.whole import Strategy


def plan_of(strategy: Strategy, config: Config) -> Plan:
    """Return the plan that a strategy and a configuration make."""
    return Plan(strategy.name, tuple(_phase(phase, config) for phase in strategy.phases))


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
