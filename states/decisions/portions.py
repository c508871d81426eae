"""Portions: what goes in next, and how much at once where a site limits jobs.

A round goes through the outstanding raw files in ascending order, so two numbers tell what a
submission is about, however many jobs it has. What fails meanwhile goes in again at once, beside
what runs; such submissions list their files, which are few.
"""

from __future__ import annotations

from collections.abc import Collection

from auto_iter.alignment.attempt import Portion
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.errors import LimitError, PermanentError
from states.decisions import canary
from states.step import Note, Ports

MOST_AT_ONCE = 12
"""Each submission that is not over costs the batch system a call at every poll."""


def next_portion(snapshot: Snapshot, outstanding: Collection[int], ports: Ports) -> Portion | None:
    """Return which raw files to submit now; None when there are none, no room, or in a pause."""
    if snapshot.paused is not None:
        return None
    ordered = tuple(sorted(outstanding))
    if snapshot.rerun == "wanted":
        return _some(ordered, portion_limit(snapshot, ports), is_listed=True)
    untried = canary.untried(snapshot, ports.policy.reco.canary, ports.reconstruction)
    if untried is not None:
        one = canary.next_file(snapshot, not_in_flight(snapshot, ordered), untried, ports)
        return None if one is None else Portion(first=one, last=one, is_canary=True)
    room = _room(snapshot, ports)
    if not snapshot.live_attempts:
        # With nothing in the queue, at least one may always be tried.
        room = None if room is None else max(1, room)
        is_all = room is None
        return _some(still_to_come(snapshot, ordered) or ordered, room, is_all=is_all)
    free = not_in_flight(snapshot, ordered)
    fresh = still_to_come(snapshot, free)
    again = tuple(number for number in free if number not in fresh)
    if again and len(snapshot.live_attempts) < MOST_AT_ONCE:
        return _some(again, room, is_listed=True)
    return _some(fresh, room)


def _some(
    numbers: tuple[int, ...], room: int | None, *, is_all: bool = False, is_listed: bool = False
) -> Portion | None:
    chosen = numbers[:room]
    if is_all or not chosen:
        return Portion() if chosen else None
    return Portion(files=chosen) if is_listed else Portion(first=chosen[0], last=chosen[-1])


def not_in_flight(snapshot: Snapshot, numbers: Collection[int]) -> tuple[int, ...]:
    """Return the raw files of which no job runs or will run."""
    live = snapshot.live_attempts
    return tuple(n for n in numbers if not any(each.may_bring(n) for each in live))


def still_to_come(snapshot: Snapshot, outstanding: tuple[int, ...]) -> tuple[int, ...]:
    """Return the raw files that this round has not come to yet."""
    if snapshot.submitted_up_to is None:
        return ()
    return tuple(number for number in outstanding if number > snapshot.submitted_up_to)


def portion_limit(snapshot: Snapshot, ports: Ports) -> int | None:
    """Return how many jobs one submission may have."""
    return _least(ports.batch.limits()[0], snapshot.portion_limit)


def _room(snapshot: Snapshot, ports: Ports) -> int | None:
    limit = _least(ports.batch.limits()[1], snapshot.queue_limit)
    portion = portion_limit(snapshot, ports)
    if limit is None:
        return portion
    return _least(max(0, limit - in_queue(snapshot)), portion)


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def in_queue(snapshot: Snapshot) -> int:
    """Return how many jobs of ours are in the queue, as last seen."""
    return sum(each.jobs if each.left is None else each.left for each in snapshot.live_attempts)


def shrunk(snapshot: Snapshot, refused: int, limit: LimitError) -> tuple[Snapshot, Note]:
    """Return the snapshot after so many jobs were refused: fewer will be asked for.

    Raises what cannot be helped: a single job is too many for the site, or for what others of the
    same owner have in the queue.
    """
    there = in_queue(snapshot)
    if refused == 1 and limit.is_for_good:
        raise PermanentError(str(limit), "ask the site why it takes not even one job")
    if refused == 1 and not there:
        raise limit
    fewer = refused // 2
    change: dict[str, int | str] = {"queue_limit": there + fewer}
    if limit.is_for_good:
        change = {"portion_limit": fewer}
    if snapshot.rerun == "wanted" and not fewer:
        change["rerun"] = "made"
    fields = {"refused": refused, "next": fewer, "in_queue": there, "reason": str(limit)}
    return snapshot.but(intent=None, **change), Note("too many jobs at once", fields, "warning")
