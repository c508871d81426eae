"""pede: the constants of this iteration."""

from __future__ import annotations

from auto_iter.alignment.deterioration import CHECK, IterationStep, growing_steps, refused
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.alignment.solution import SolutionSummary
from auto_iter.errors import OutdatedError, PhysicsError
from states.decisions.first_look import OFF, last_good
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
    if solution is None:
        return Stay(snapshot)
    warnings = tuple(Note("pede warns", {"warning": text}, "warning") for text in solution.warnings)
    remarks = _growing(snapshot, solution, ports)
    note = Note("solved", {**solution.figures, "chi2_ndf": round(solution.chi2_ndf, 4)})
    solved = snapshot.but(solution=solution, remarks=(*snapshot.remarks, *remarks))
    told = (Note("gets worse", {"warning": text}, "warning") for text in remarks)
    return Fire("solved", solved, (*warnings, *told, note))


def _growing(snapshot: Snapshot, solution: SolutionSummary, ports: Ports) -> tuple[str, ...]:
    """Return warnings of steps that grow. Raises PhysicsError when they do so again and again."""
    most = ports.policy.alignment.guards.max_growing_steps
    steps = [
        _step(record)
        for record in snapshot.history
        if snapshot.phase_began <= record.iteration < snapshot.iteration
    ]
    signs = growing_steps([*steps, _step(solution)], most)
    if refusal := refused(signs):
        good = last_good(snapshot.iteration - (most or 0), ports)
        raise PhysicsError(refusal, f"{CHECK}; {good}; {OFF}")
    return tuple(sign.text for sign in signs)


def _step(solution: SolutionSummary) -> IterationStep:
    return IterationStep(solution.max_pull, solution.chi2_ndf_of_tracks)
