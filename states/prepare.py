"""prepare: the iteration's directory, with everything its jobs need."""

from __future__ import annotations

from auto_iter.alignment.snapshot import Snapshot
from states.decisions.whole_constants import found_before, in_use
from states.step import Fire, Note, Outcome, Ports, Stay


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Check the inputs and make the directory of the current iteration."""
    if snapshot.paused is not None:
        return Stay(snapshot)
    ports.reconstruction.check_inputs()
    ports.millepede.check()
    if _starts_from_the_last_one(snapshot, ports):
        first, mended = found_before(snapshot, ports)
        if first is not None:
            return first
    else:
        mended = ()
    if ports.reconstruction.delivered(snapshot.iteration):
        snapshot, more = in_use(snapshot, ports)
        mended = (*mended, *more)
    constants = ports.reconstruction.prepare(snapshot.stage)
    crowded = ports.reconstruction.crowded(snapshot.iteration)
    wanted = len(ports.reconstruction.wanted())
    stage, phase = snapshot.stage, ports.plan.phase(snapshot.stage)
    names = {"strategy": ports.plan.strategy, "phase": phase.name, "in_phase": stage.within}
    note = Note("iteration prepared", {"files": wanted, **names})
    progress = snapshot.progress.model_copy(update={"wanted": wanted})
    prepared = snapshot.but(
        progress=progress,
        constants=constants,
        crowded=crowded,
        strategy=ports.plan.strategy,
        phase_name=phase.name,
    )
    warned = [Note("little room", {"reason": crowded}, "warning")] if crowded else []
    return Fire("prepared", prepared, (*mended, *_unusual_start(snapshot), *warned, note))


def _starts_from_the_last_one(snapshot: Snapshot, ports: Ports) -> bool:
    stage = snapshot.stage
    return not (stage.within == 1 and ports.plan.phase(stage).begins_anew)


def _unusual_start(snapshot: Snapshot) -> tuple[Note, ...]:
    """Tell of constants that no iteration of this alignment found by itself."""
    before = snapshot.history[-1] if snapshot.history else None
    if before is None or before.by_hand is None:
        return ()
    fields: dict[str, object] = {"of_iteration": before.iteration, "constants": before.by_hand}
    return (Note("starts from constants by hand", fields, "warning"),)
