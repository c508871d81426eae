"""next_iteration: the history, the report, and whether to go on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

from auto_iter.alignment.snapshot import IterationRecord, Snapshot, Verdict
from auto_iter.alignment.solution import SolutionSummary
from states.decisions import convergence
from states.step import Fire, Note, Outcome, Ports

NOTHING_FAILED: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "failure": None,
        "failures": {},
        "losses": {},
        "troubles": {},
        "exit_codes": {},
        "examples": {},
        "disk_full_at": None,
        "cause": None,
        "releases": {},
        "held_since": {},
    }
)
"""What a new iteration begins with, and what a person gives back who resumes a failed one."""


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Record the iteration; go on, in this phase or the next one, or finish."""
    solution = snapshot.solution
    if solution is None:
        raise RuntimeError(
            "next_iteration without a solution: the table lets nothing else lead here"
        )
    stage = snapshot.stage
    phase, is_last = ports.plan.phase(stage), ports.plan.is_last(stage)
    converged = convergence.of(solution, stage.within, phase)
    is_over = stage.within == phase.iterations or (
        converged is True and ports.policy.alignment.stop_when_converged
    )
    record = _record(snapshot, solution, ports).model_copy(
        update={"converged": converged, "ends_phase": is_over and not is_last}
    )
    recorded = snapshot.but(history=(*snapshot.history, record), by_hand=None)
    notes = (*_accepted(snapshot), *_notes(record, phase.convergence_pull, is_over=is_over))
    ends_early = is_over and is_last
    if ends_early or snapshot.iteration >= snapshot.arguments.iterations:
        verdict = convergence.verdict(recorded.history, ports.plan)
        said = Note("finished", {"verdict": verdict.sentence}, _level(verdict))
        done = recorded.but(converged=ends_early and converged is True, verdict=verdict)
        return Fire("finish", done, (*notes, said))
    ports.millepede.report(snapshot.iteration)
    return Fire("iterate", begin_next(recorded, ports.clock.now()), notes)


def _notes(record: IterationRecord, limit: float, *, is_over: bool) -> tuple[Note, ...]:
    if not is_over:
        return ()
    fields: dict[str, object] = {"phase": record.phase, "max_pull": round(record.max_pull, 3)}
    if record.converged:
        return (Note("converged", fields),)
    fields["moves"] = convergence.movement(record, limit)
    return (Note("phase ends without convergence", fields, "warning"),)


def _level(verdict: Verdict) -> str:
    return "info" if verdict.converged else "warning"


def begin_next(snapshot: Snapshot, now: float) -> Snapshot:
    """Return the snapshot at the start of the iteration after the last one in the history."""
    iteration = snapshot.iteration + 1
    if snapshot.history and snapshot.history[-1].ends_phase:
        snapshot = snapshot.but(phase=snapshot.phase + 1, phase_began=iteration)
    return begin(snapshot, iteration, now)


def _accepted(snapshot: Snapshot) -> tuple[Note, ...]:
    by_hand = snapshot.by_hand
    if by_hand is None:
        return ()
    fields: dict[str, object] = {"constants": by_hand.words, "replaced": by_hand.replaced}
    if by_hand.outdated is not None:
        fields["outdated"] = by_hand.outdated
    return (Note("constants accepted by hand", fields, "warning"),)


def begin(snapshot: Snapshot, iteration: int, now: float) -> Snapshot:
    """Return the snapshot at the start of an iteration: nothing submitted, nothing failed."""
    return snapshot.but(
        iteration=iteration,
        iteration_started_at=now,
        constants="",
        intent=None,
        attempts=(),
        submitted_up_to=None,
        queue_limit=None,
        **NOTHING_FAILED,
        quantile_at=None,
        rerun="no",
        progress={},
        remarks=(),
        solution=None,
        by_hand=None,
        converged=False,
        verdict=None,
    )


def _record(snapshot: Snapshot, solution: SolutionSummary, ports: Ports) -> IterationRecord:
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    return IterationRecord(
        iteration=snapshot.iteration,
        within=snapshot.stage.within,
        started_at=snapshot.iteration_started_at,
        finished_at=ports.clock.now(),
        attempts=len(snapshot.attempts),
        files=len(delivered),
        left_out=tuple(sorted(ports.reconstruction.wanted() - delivered)),
        by_hand=None if snapshot.by_hand is None else snapshot.by_hand.words,
        **dict(solution) | {"warnings": (*snapshot.remarks, *solution.warnings)},
    )
