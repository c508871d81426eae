"""Stragglers: the last few jobs, far slower than the others, may be run a second time elsewhere.

Both runs deliver to the same place by rename, so the first good output wins; as soon as all are in,
whatever still runs is removed.
"""

from __future__ import annotations

from auto_iter.alignment.snapshot import Progress, Snapshot
from states.step import Ports

LOOK_AGAIN_S = 5.0
"""How soon removed jobs are looked for again."""


def quantile_at(snapshot: Snapshot, progress: Progress, ports: Ports) -> float | None:
    """Return when the quantile of the files was in: now, earlier, or None for not yet."""
    enough = progress.delivered >= ports.policy.reco.straggler_quantile * progress.wanted
    if snapshot.quantile_at is not None or not enough:
        return snapshot.quantile_at
    return ports.now()


def are_due(snapshot: Snapshot, ports: Ports) -> bool:
    """Tell whether what is left takes so long that a second run of it is worth its cost."""
    factor = ports.policy.reco.straggler_factor
    if factor is None or snapshot.rerun != "no" or snapshot.quantile_at is None:
        return False
    begun = snapshot.begun
    if begun is None or snapshot.paused is not None:
        return False
    begun_at = begun.submitted_at
    return ports.now() - begun_at > factor * (snapshot.quantile_at - begun_at)


def end(snapshot: Snapshot, ports: Ports) -> None:
    """Remove the jobs that still run although all outputs are in."""
    for attempt in snapshot.live_attempts:
        ports.batch.remove(attempt.submission, "another run of its raw files was faster")
