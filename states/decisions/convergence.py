"""Convergence: whether constants still move by what their uncertainties call significant."""

from __future__ import annotations

from collections.abc import Sequence

from auto_iter.alignment.plan import PhasePlan, Plan
from auto_iter.alignment.snapshot import IterationRecord, Verdict
from auto_iter.alignment.solution import SolutionSummary


def of(solution: SolutionSummary, within: int, phase: PhasePlan) -> bool | None:
    """Tell whether a phase's iteration `within` has converged; None: there are no uncertainties.

    While cuts still narrow it has not: the next iteration will see other hits.
    """
    if not solution.pulls:
        return None
    return within >= phase.settles_at and solution.max_pull <= phase.convergence_pull


def movement(solution: SolutionSummary, limit: float) -> str:
    """Say what moves most, e.g. `layer ry still moves by 6.6 σ`."""
    if not solution.pulls:
        return "the solver gave no uncertainties, so this cannot be judged"
    group = max(solution.pulls, key=lambda name: solution.pulls[name])
    if solution.pulls[group] <= limit:
        return f"nothing moves by more than {limit:g} σ, but the cuts have not settled yet"
    return f"{group} still moves by {solution.pulls[group]:.2g} σ"


def verdict(history: Sequence[IterationRecord], plan: Plan) -> Verdict:
    """Return what the alignment amounts to, given all its iterations and the phases it had."""
    ends = _ends_of_phases(history)
    reached = len(ends)
    if reached < len(plan.phases):
        rest = ", ".join(phase.name for phase in plan.phases[reached:])
        return Verdict(
            converged=False,
            sentence=f"not complete: the iterations were used up in phase "
            f"{plan.phases[reached - 1].name}; "
            f"still to come: {rest}",
        )
    for record, phase in zip(ends, plan.phases, strict=True):
        if record.converged is not True:
            where = f", phase {phase.name}" if len(plan.phases) > 1 else ""
            moved = movement(record, phase.convergence_pull)
            return Verdict(converged=False, sentence=f"not converged{where}: {moved}")
    last = ends[-1]
    return Verdict(
        converged=True,
        sentence=f"converged: the last changes were {last.max_pull:.2g} σ at most "
        f"(limit {plan.phases[-1].convergence_pull:g} σ)",
    )


def _ends_of_phases(history: Sequence[IterationRecord]) -> list[IterationRecord]:
    return [each for each in history[:-1] if each.ends_phase] + list(history[-1:])
