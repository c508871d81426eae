"""pede: the constants of this iteration."""

from __future__ import annotations

from auto_iter.alignment.history import Divergence, IterationRecord
from auto_iter.alignment.judges.deterioration import (
    CHECK,
    IterationStep,
    Sign,
    growing_steps,
    refused,
)
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.errors import OutdatedError, PhysicsError
from states.decisions.hold_out import against
from states.decisions.whole_constants import in_use
from states.step import Fire, Note, Outcome, Ports, Stay


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Solve, in a child process, and accept or refuse the result."""
    if snapshot.by_hand is not None and snapshot.solution is not None:
        return Fire("solved", snapshot)  # a person has accepted it: nothing else takes its place
    whole, mended = in_use(snapshot, ports)
    if mended:
        return Fire("outdated", whole, mended)
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    try:
        solution = ports.millepede.solve(snapshot.stage, delivered)
    except OutdatedError as error:
        return Fire("outdated", snapshot, (Note("not solved yet", {"reason": str(error)}),))
    except PhysicsError as error:
        if snapshot.divergence is None:
            raise
        raise PhysicsError(f"{snapshot.divergence.sentence}; {error.reason}", CHECK) from error
    if solution is None:
        return Stay(snapshot)
    warnings = tuple(Note("pede warns", {"warning": text}, "warning") for text in solution.warnings)
    signs = _growing(snapshot, solution, ports)
    held_out = against(_of_phase(snapshot), solution)
    remarks = tuple(filter(None, (*(sign.text for sign in signs), held_out)))
    note = Note("solved", {**_figures(solution), **_gated(snapshot, solution)})
    solved = snapshot.but(
        solution=solution,
        remarks=(*snapshot.remarks, *remarks),
        divergence=snapshot.divergence or _divergence(snapshot, signs, ports),
    )
    told = (Note("gets worse", {"warning": text}, "warning") for text in remarks)
    return Fire("solved", solved, (*warnings, *told, note))


def _figures(solution: SolutionSummary) -> dict[str, object]:
    figures: dict[str, object] = {**solution.figures, "chi2_ndf": round(solution.chi2_ndf, 4)}
    if solution.hold_out is not None:
        figures["held_out_chi2_ndf"] = round(solution.hold_out.chi2_ndf, 4)
    return figures


def _of_phase(snapshot: Snapshot) -> list[IterationRecord]:
    began, now = snapshot.phase_began, snapshot.iteration
    return [record for record in snapshot.history if began <= record.iteration < now]


def _gated(snapshot: Snapshot, solution: SolutionSummary) -> dict[str, int]:
    """Tell how many parameters stay for want of data, also where none does any more."""
    before = snapshot.history[-1].gated if snapshot.history else 0
    return {"gated": solution.gated} if solution.gated or before else {}


def _growing(snapshot: Snapshot, solution: SolutionSummary, ports: Ports) -> list[Sign]:
    """Return signs that steps grow; refused when they do so again and again."""
    steps = [_step(record) for record in _of_phase(snapshot)]
    most = ports.policy.alignment.guards.max_growing_steps
    return growing_steps([*steps, _step(solution)], most)


def _divergence(snapshot: Snapshot, signs: list[Sign], ports: Ports) -> Divergence | None:
    sentence = refused(signs)
    most = ports.policy.alignment.guards.max_growing_steps or 0
    return Divergence(sentence=sentence, good=snapshot.iteration - most) if sentence else None


def _step(solution: SolutionSummary) -> IterationStep:
    return IterationStep(solution.largest_pull, solution.chi2_ndf_of_tracks)
