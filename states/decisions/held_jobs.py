"""What wait_reco does about held jobs: the batch system's remedy, within its limits.

Jobs that get the same remedy get it in one call, however many they are.
"""

from __future__ import annotations

from collections.abc import Iterable

from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.model import Action, Problem, Remedy, Resources, Trouble
from auto_iter.alignment.snapshot import Snapshot
from states.step import Note, Ports

Treated = list[tuple[Problem, Remedy]]

TOLD_ONE_BY_ONE = 3
"""More files with the same trouble share a line of the log."""


def treat(
    snapshot: Snapshot, attempt: Attempt, problems: tuple[Problem, ...], ports: Ports
) -> tuple[Snapshot, list[Note]]:
    """Release, remove or leave held jobs; return the snapshot that remembers it.

    Returns after the first call that changed something: what was done is to be remembered before
    anything else is done.
    """
    held = [problem for problem in problems if problem.trouble is Trouble.HELD]
    now = ports.now()
    snapshot = _since(snapshot, held, attempt, now)
    decided = [
        (each, ports.batch.remedy(each, snapshot.releases.get(each.number, 0))) for each in held
    ]
    limits = [remedy.removed_after_s for _, remedy in decided if remedy.removed_after_s]
    if limits and limits[0] != snapshot.held_limit_s:
        snapshot = snapshot.but(held_limit_s=limits[0])
    due = [
        (problem, remedy)
        for problem, remedy in decided
        if now - snapshot.held_since[problem.number] >= remedy.pause_s
    ]
    notes: list[Note] = []
    before = snapshot
    for group in _alike(due):
        _act(attempt, group, ports)
        snapshot, said = _remembered(snapshot, group, ports)
        notes += said
        if snapshot != before and group[0][1].action is not Action.LEAVE:
            break
    return snapshot, notes


def _since(snapshot: Snapshot, held: list[Problem], attempt: Attempt, now: float) -> Snapshot:
    """Remember when each job was first seen held; forget those that are held no more."""
    elsewhere = [each for each in snapshot.live_attempts if each.key != attempt.key]
    since = {
        number: when
        for number, when in snapshot.held_since.items()
        if any(each.covers(number) for each in elsewhere)
    }
    for problem in held:
        # The batch system knows of holds that nobody was there to see.
        first_seen = now if problem.since is None else min(now, problem.since)
        since[problem.number] = snapshot.held_since.get(problem.number, first_seen)
    return snapshot if since == snapshot.held_since else snapshot.but(held_since=since)


def _alike(due: Treated) -> Iterable[Treated]:
    """Put together what one call can do; what is left alone comes first, as it costs none."""
    groups: dict[tuple[bool, Action, str, int | None], Treated] = {}
    for problem, remedy in due:
        alone = remedy.action is not Action.LEAVE
        key = (alone, remedy.action, remedy.meaning, remedy.memory_mb)
        groups.setdefault(key, []).append((problem, remedy))
    return [groups[key] for key in sorted(groups, key=lambda key: key[0])]


def _act(attempt: Attempt, group: Treated, ports: Ports) -> None:
    submission, numbers = attempt.submission, tuple(problem.number for problem, _ in group)
    remedy = group[0][1]
    match remedy.action:
        case Action.RELEASE:
            if remedy.needs_room:
                ports.reconstruction.check_room()
            ports.batch.release(submission, numbers)
        case Action.MORE_MEMORY:
            ports.batch.release(submission, numbers, Resources(memory_mb=remedy.memory_mb))
        case Action.GIVE_UP | Action.ELSEWHERE:
            ports.batch.remove(submission, remedy.meaning, numbers)
        case Action.LEAVE:
            pass


def _remembered(snapshot: Snapshot, group: Treated, ports: Ports) -> tuple[Snapshot, list[Note]]:
    """Return the snapshot after a remedy, and what is new enough to be told."""
    numbers = [problem.number for problem, _ in group]
    match group[0][1].action:
        case Action.RELEASE | Action.MORE_MEMORY:
            since = {key: at for key, at in snapshot.held_since.items() if key not in numbers}
            counts = {number: snapshot.releases.get(number, 0) + 1 for number in numbers}
            snapshot = snapshot.but(releases={**snapshot.releases, **counts}, held_since=since)
        case Action.GIVE_UP:
            # Trying the same again would end the same: all its tries are used up.
            given_up = dict.fromkeys(numbers, ports.policy.reco.max_attempts)
            snapshot = snapshot.but(failures={**snapshot.failures, **given_up})
        case Action.ELSEWHERE:
            machines = {problem.machine for problem, _ in group if problem.machine}
            new = sorted(machines - set(snapshot.avoid_machines))
            snapshot = snapshot.but(avoid_machines=(*snapshot.avoid_machines, *new))
    words = {problem.number: _words(problem, remedy) for problem, remedy in group}
    known = snapshot.troubles
    news = [each for each in group if known.get(each[0].number) != words[each[0].number]]
    needed = {problem.number: mb for problem, remedy in group if (mb := remedy.memory_mb)}
    snapshot = snapshot.but(troubles={**known, **words}, memory_mb={**snapshot.memory_mb, **needed})
    return snapshot, _notes(news)


def _words(problem: Problem, remedy: Remedy) -> str:
    code = "" if problem.code is None else f" (hold code {problem.code})"
    advice = f"; {remedy.advice}" if remedy.advice else ""
    return f"{remedy.meaning}{code}: {problem.reason}{advice}"


def _notes(news: Treated) -> list[Note]:
    if len(news) <= TOLD_ONE_BY_ONE:
        return [_note({"file": problem.number}, problem, remedy) for problem, remedy in news]
    numbers = sorted(problem.number for problem, _ in news)
    which = {"files": len(numbers), "first": numbers[0], "last": numbers[-1]}
    return [_note(which, *news[0])]


def _note(which: dict[str, int], problem: Problem, remedy: Remedy) -> Note:
    fields: dict[str, object] = {
        **which,
        "job": problem.job_id,
        "code": problem.code,
        "meaning": remedy.meaning,
        "action": str(remedy.action),
        "reason": problem.reason,
    }
    if remedy.memory_mb is not None:
        fields["memory_mb"] = remedy.memory_mb
    if remedy.advice:
        fields["advice"] = remedy.advice
    return Note("held", fields, "warning")
