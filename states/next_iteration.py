"""next_iteration: the history, the report, and whether to go on."""

from __future__ import annotations

from auto_iter.snapshot import IterationRecord, Snapshot, SolutionSummary
from states.step import Fire, Note, Outcome, Ports


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Record the iteration; go on until the number asked for, or convergence if that is wanted."""
    solution = snapshot.solution
    if solution is None:
        raise RuntimeError(
            "next_iteration without a solution: the table lets nothing else lead here"
        )
    ports.millepede.report(snapshot.iteration)
    record = _record(snapshot, solution, ports)
    recorded = snapshot.but(history=(*snapshot.history, record), by_hand=None)
    notes = _accepted(snapshot)
    if ports.policy.is_converged(solution.max_pull):
        note = Note("converged", {"max_pull": solution.max_pull})
        return Fire("finish", recorded.but(converged=True), (*notes, note))
    if snapshot.iteration >= snapshot.arguments.iterations:
        return Fire("finish", recorded, notes)
    return Fire("iterate", begin(recorded, snapshot.iteration + 1, ports.clock.now()), notes)


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
        intent=None,
        attempts=(),
        submitted_up_to=None,
        failures={},
        troubles={},
        releases={},
        held_since={},
        quantile_at=None,
        rerun="no",
        progress={},
        solution=None,
        by_hand=None,
        converged=False,
        failure=None,
    )


def _record(snapshot: Snapshot, solution: SolutionSummary, ports: Ports) -> IterationRecord:
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    return IterationRecord(
        iteration=snapshot.iteration,
        started_at=snapshot.iteration_started_at,
        finished_at=ports.clock.now(),
        attempts=len(snapshot.attempts),
        files=len(delivered),
        left_out=tuple(sorted(ports.reconstruction.wanted() - delivered)),
        by_hand=None if snapshot.by_hand is None else snapshot.by_hand.words,
        **solution.model_dump(),
    )
