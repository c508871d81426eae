"""pede: the constants of this iteration."""

from __future__ import annotations

from auto_iter.ports import Solution
from auto_iter.snapshot import Snapshot, SolutionSummary
from states.step import Fire, Note, Outcome, Ports, Stay


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Solve, in a child process, and accept or refuse the result."""
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    solution = ports.millepede.solve(snapshot.iteration, delivered)
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
            "max_pull": round(solution.max_pull, 2),
        },
    )
    return Fire("solved", snapshot.but(solution=summary(solution)), (*warnings, note))


def summary(solution: Solution) -> SolutionSummary:
    """Return a solution in the form that the checkpoint keeps."""
    return SolutionSummary(
        tracks=solution.tracks,
        chi2_ndf=solution.chi2_ndf,
        max_shift_um=solution.max_shift_um,
        max_rotation_mrad=solution.max_rotation_mrad,
        max_pull=solution.max_pull,
        warnings=solution.warnings,
    )
