"""The first look at an iteration's tracks: whether they show the constants they were made with.

Here, because after the next solution a mistake is part of the constants. What is refused leads to
`failed`; the constants that the iteration before started from are the last that are proven.
"""

from __future__ import annotations

from auto_iter.alignment.history import Divergence
from auto_iter.alignment.judges.arrival import Refusal, judge, total
from auto_iter.alignment.judges.deterioration import refused, worse_tracks
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.errors import PhysicsError
from states.decisions import hold_out
from states.step import Note, Ports


def first_look(snapshot: Snapshot, ports: Ports) -> tuple[Snapshot, tuple[Note, ...]]:
    """Return the snapshot with what has to be warned of. Raises PhysicsError for what is refused.

    Tracks that got much worse are no mistake to be mended: the alignment diverges, and ends with
    this iteration. Outputs that were not made with the constants are set aside, so that `resume`
    makes them again.
    """
    iteration, guards = snapshot.iteration, ports.policy.alignment.guards
    delivered = ports.reconstruction.delivered(iteration)
    responses = ports.millepede.responses(snapshot.stage, delivered)
    if not responses:
        return snapshot.but(remarks=(), divergence=None), ()
    verdict = judge(responses, iteration) if guards.arrival else None
    if verdict is not None:
        _refuse(verdict, snapshot, ports)
    out = hold_out.out_of_fit(snapshot, ports)  # by these the constants are judged elsewhere
    of_fit = {number: each for number, each in responses.items() if number not in out}
    signs = worse_tracks(of_fit, iteration, guards.max_track_loss, guards.max_residual_growth)
    refusal = refused(signs)
    divergence = Divergence(sentence=refusal, good=iteration - 1) if refusal else None
    together = total(responses.values())
    seen = Note(
        "constants seen",
        {"fraction": round(together.fraction, 3), "uncertainty": round(together.uncertainty, 3)},
    )
    remarks = tuple(sign.text for sign in signs)
    warnings = tuple(Note("gets worse", {"warning": text}, "warning") for text in remarks)
    return snapshot.but(remarks=remarks, divergence=divergence), (seen, *warnings)


def _refuse(verdict: Refusal, snapshot: Snapshot, ports: Ports) -> None:
    for number in verdict.files:
        ports.reconstruction.reject(snapshot.iteration, number)
    files = f"{len(verdict.files)} output{'s are' if len(verdict.files) > 1 else ' is'}"
    last_good = ports.reconstruction.constants_of(snapshot.iteration - 1)
    raise PhysicsError(
        verdict.reason,
        f"{verdict.check}; {files} set aside as *.bad, and `auto-iter resume` reconstructs them; "
        f"the last good constants are {last_good}",
    )
