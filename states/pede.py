"""pede: the constants of this iteration."""

from __future__ import annotations

from auto_iter.snapshot import Snapshot
from states.step import Fire, Note, Outcome, Ports, Stay


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Solve, in a child process, and accept or refuse the result."""
    if snapshot.by_hand is not None and snapshot.solution is not None:
        return Fire("solved", snapshot)  # a person has accepted it: nothing else takes its place
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    solution = ports.millepede.solve(snapshot.stage, delivered)
    if solution is None:
        return Stay(snapshot)
    warnings = tuple(Note("pede warns", {"warning": text}, "warning") for text in solution.warnings)
    note = Note(
        "solved",
        {
            "tracks": solution.tracks,
            "chi2_ndf": round(solution.chi2_ndf, 4),
            "max_shift_um": round(solution.max_shift_um, 2),
            "max_rotation_mrad": round(solution.max_rotation_mrad, 4),
            "max_pull": round(solution.max_pull, 3),
        },
    )
    return Fire("solved", snapshot.but(solution=solution), (*warnings, note))
