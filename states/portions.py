"""Portions: where a site limits the jobs of a submission, or of an owner, raw files go in by turns.

A round goes through the outstanding raw files in ascending order; what fails in it waits for the
next round. So two numbers tell what a submission is about, however many jobs it has.
"""

from __future__ import annotations

from collections.abc import Collection

from auto_iter.snapshot import Snapshot
from states.step import Ports


def next_portion(snapshot: Snapshot, outstanding: Collection[int], ports: Ports) -> list[int]:
    """Return the raw files to submit now, in order; empty when there are none, or no room."""
    ordered = sorted(outstanding)
    if snapshot.rerun == "wanted":
        return ordered[: ports.policy.portion]
    if not is_split(ports):
        return [] if snapshot.live_attempts else ordered
    waiting = still_to_come(snapshot, ordered)
    if not waiting and not snapshot.live_attempts:
        waiting = ordered
    return waiting[: _room(snapshot, ports)]


def is_split(ports: Ports) -> bool:
    """Tell whether raw files may have to be submitted in portions."""
    return ports.policy.portion is not None or ports.policy.max_in_queue is not None


def still_to_come(snapshot: Snapshot, outstanding: Collection[int]) -> list[int]:
    """Return the raw files that this round has not come to yet."""
    if snapshot.submitted_up_to is None:
        return []
    return [number for number in outstanding if number > snapshot.submitted_up_to]


def _room(snapshot: Snapshot, ports: Ports) -> int | None:
    portion, limit = ports.policy.portion, ports.policy.max_in_queue
    if limit is None:
        return portion
    room = max(0, limit - sum(attempt.jobs for attempt in snapshot.live_attempts))
    return room if portion is None else min(portion, room)
