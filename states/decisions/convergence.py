"""Convergence: what an alignment amounts to after an iteration, and at its end."""

from __future__ import annotations

from collections.abc import Sequence

from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.judges.standing import ConvergenceLimits, word_for
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.plan import PhasePlan, Plan
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.config.schema import Alignment
from states.decisions import hold_out

STUCK = frozenset({Word.PLATEAU, Word.OSCILLATING})


def limits_of(phase: PhasePlan, settings: Alignment) -> ConvergenceLimits:
    """Return when a phase has converged, and when it is stuck."""
    return ConvergenceLimits(
        pull=phase.convergence_pull,
        largest_pull=settings.convergence_largest_pull,
        shift_um=settings.convergence_shift_um,
        rotation_mrad=settings.convergence_rotation_mrad,
        iterations=settings.convergence_iterations,
        patience=settings.patience,
    )


def too_short(phase: PhasePlan, settings: Alignment) -> str:
    """Say why a phase cannot converge in the iterations that it has; empty: it can."""
    fewest = phase.settles_at + settings.convergence_iterations - 1
    if phase.iterations is None or phase.iterations >= fewest:
        return ""
    return (
        f"phase {phase.name} has iterations: {phase.iterations}, and cannot converge in less than "
        f"{fewest} (alignment.convergence_iterations: {settings.convergence_iterations}"
        + (f", cuts settle in iteration {phase.settles_at} of it)" if phase.settles_at > 1 else ")")
    )


def word_of(
    before: Sequence[IterationRecord],
    solution: SolutionSummary,
    within: int,
    phase: PhasePlan,
    limits: ConvergenceLimits,
) -> Word | None:
    """Return what a phase amounts to with its iteration `within`; None: nothing yet.

    `before`: its iterations until then. While cuts still narrow it is nothing: the next iteration
    will see other hits.
    """
    settled = [each for each in before if each.within >= phase.settles_at]
    return word_for([*settled, solution], limits) if within >= phase.settles_at else None


def movement(solution: SolutionSummary, limits: ConvergenceLimits) -> str:
    """Say what moves most, e.g. `layer ry still moves by 6.6 σ`."""
    if solution.groups:
        worst = max(solution.groups, key=limits.excess_of)
        said = f"{worst.name} still moves by {worst.rms_pull:.2g} σ"
        said += f" ({worst.worst} by {worst.largest_pull:.2g} σ, {worst.largest:.3g} {worst.unit})"
    elif solution.pulls:
        group = max(solution.pulls, key=lambda name: solution.pulls[name])
        said = f"{group} still moves by {solution.pulls[group]:.2g} σ"
    else:
        return "the solver gave no uncertainties, so this cannot be judged"
    if (limits.excess(solution) or 0.0) <= 1:
        times = limits.iterations
        return f"nothing moves any more, but not yet for {times} iterations with the same cuts"
    return said


def verdict(
    history: Sequence[IterationRecord], plan: Plan, settings: Alignment, constants: str
) -> Verdict:
    """Return what the alignment amounts to, given all its iterations and the phases it had.

    `constants`: the file with what the last of them found.
    """
    ends = _ends_of_phases(history)
    word, sentence = _judged(ends, plan, settings)
    judged = hold_out.judgement(history)
    return Verdict(
        word=word,
        sentence=sentence + _left_alone(ends[-1]) + hold_out.in_words(judged),
        hold_out=judged,
        constants=constants,
        found_by=ends[-1].iteration,
    )


def _left_alone(last: IterationRecord) -> str:
    if not last.gated:
        return ""
    parameters = "1 parameter" if last.gated == 1 else f"{last.gated} parameters"
    return f"; {parameters} stayed in place for want of hits or tracks, see its warnings"


def _judged(ends: Sequence[IterationRecord], plan: Plan, settings: Alignment) -> tuple[Word, str]:
    reached = len(ends)
    if reached < len(plan.phases):
        rest = ", ".join(phase.name for phase in plan.phases[reached:])
        used_up = f"the iterations were used up in phase {plan.phases[reached - 1].name}"
        return Word.USED_UP, f"not complete: {used_up}; still to come: {rest}"
    for record, phase in zip(ends, plan.phases, strict=True):
        if record.converged is not True:
            where = f", phase {phase.name}" if len(plan.phases) > 1 else ""
            moved = movement(record, limits_of(phase, settings))
            word, short = record.word or Word.USED_UP, too_short(phase, settings)
            return word, f"not converged, {word}{where}: {moved}" + (short and f"; {short}")
    return Word.CONVERGED, _calm(ends[-1], limits_of(plan.phases[-1], settings))


def _calm(last: IterationRecord, limits: ConvergenceLimits) -> str:
    if not last.groups:
        return (
            f"converged: the last changes were {last.max_pull:.2g} σ at most "
            f"(limit {limits.pull:g} σ)"
        )
    worst = max(last.groups, key=limits.excess_of)
    return (
        f"converged: what the data determine moved by {worst.rms_pull:.2g} σ at most in the last "
        f"iteration (r.m.s. of {worst.name}; limit {limits.pull:g} σ)"
    )


def _ends_of_phases(history: Sequence[IterationRecord]) -> list[IterationRecord]:
    return [each for each in history[:-1] if each.ends_phase] + list(history[-1:])
