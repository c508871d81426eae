"""prepare: the iteration's directory, with everything its jobs need."""

from __future__ import annotations

from auto_iter.snapshot import Snapshot
from states.step import Fire, Note, Outcome, Ports


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Check the inputs and make the directory of the current iteration."""
    ports.reconstruction.check_inputs()
    ports.millepede.check()
    ports.reconstruction.prepare(snapshot.stage)
    wanted = len(ports.reconstruction.wanted())
    stage, phase = snapshot.stage, ports.plan.phase(snapshot.stage)
    names = {"strategy": ports.plan.strategy, "phase": phase.name, "in_phase": stage.within}
    note = Note("iteration prepared", {"files": wanted, **names})
    progress = snapshot.progress.model_copy(update={"wanted": wanted})
    prepared = snapshot.but(progress=progress, strategy=ports.plan.strategy, phase_name=phase.name)
    return Fire("prepared", prepared, (*_unusual_start(snapshot), note))


def _unusual_start(snapshot: Snapshot) -> tuple[Note, ...]:
    """Tell of constants that no iteration of this alignment found by itself."""
    before = snapshot.history[-1] if snapshot.history else None
    if before is None or before.by_hand is None:
        return ()
    fields: dict[str, object] = {"of_iteration": before.iteration, "constants": before.by_hand}
    return (Note("starts from constants by hand", fields, "warning"),)
