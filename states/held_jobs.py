"""What wait_reco does about held jobs: the remedy of the table, within its limits."""

from __future__ import annotations

from auto_iter.batch.holds import Action, Remedy, decide
from auto_iter.model import Problem, Resources, Trouble
from auto_iter.snapshot import Attempt, Snapshot
from states.step import Note, Ports


def treat(
    snapshot: Snapshot, attempt: Attempt, problems: tuple[Problem, ...], ports: Ports
) -> tuple[Snapshot, list[Note]]:
    """Release, remove or leave each held job; return the snapshot that remembers it."""
    notes: list[Note] = []
    held = [problem for problem in problems if problem.trouble is Trouble.HELD]
    snapshot = _since(snapshot, held, attempt, ports.clock.now())
    for problem in held:
        released = snapshot.releases.get(problem.number, 0)
        remedy = decide(problem, released, ports.policy.holds)
        if _must_wait(snapshot, problem, remedy, ports):
            continue
        _act(attempt, problem, remedy, ports)
        snapshot = _remembered(snapshot, problem, remedy, ports)
        if snapshot.troubles.get(problem.number) != _words(problem, remedy):
            notes.append(_note(problem, remedy))
            snapshot = _with_trouble(snapshot, problem, remedy)
    return snapshot, notes


def _since(snapshot: Snapshot, held: list[Problem], attempt: Attempt, now: float) -> Snapshot:
    """Remember when each job was first seen held; forget those that are held no more."""
    elsewhere = [each for each in snapshot.live_attempts if each.key != attempt.key]
    since = {
        number: when
        for number, when in snapshot.held_since.items()
        if any(each.covers(number) for each in elsewhere)
    }
    since |= {problem.number: snapshot.held_since.get(problem.number, now) for problem in held}
    return snapshot if since == snapshot.held_since else snapshot.but(held_since=since)


def _must_wait(snapshot: Snapshot, problem: Problem, remedy: Remedy, ports: Ports) -> bool:
    return ports.clock.now() - snapshot.held_since[problem.number] < remedy.pause_s


def _act(attempt: Attempt, problem: Problem, remedy: Remedy, ports: Ports) -> None:
    submission, numbers = attempt.submission, (problem.number,)
    match remedy.action:
        case Action.RELEASE:
            ports.batch.release(submission, numbers)
        case Action.MORE_MEMORY:
            ports.batch.release(submission, numbers, Resources(memory_mb=remedy.memory_mb))
        case Action.GIVE_UP | Action.ELSEWHERE:
            ports.batch.remove(submission, remedy.meaning, numbers)
        case Action.LEAVE:
            pass


def _remembered(snapshot: Snapshot, problem: Problem, remedy: Remedy, ports: Ports) -> Snapshot:
    number = problem.number
    match remedy.action:
        case Action.RELEASE | Action.MORE_MEMORY:
            since = {key: when for key, when in snapshot.held_since.items() if key != number}
            count = snapshot.releases.get(number, 0) + 1
            return snapshot.but(releases={**snapshot.releases, number: count}, held_since=since)
        case Action.GIVE_UP:
            # Trying the same again would end the same: all its tries are used up.
            return snapshot.but(failures={**snapshot.failures, number: ports.policy.max_attempts})
        case Action.ELSEWHERE if problem.machine and problem.machine not in snapshot.avoid_machines:
            return snapshot.but(avoid_machines=(*snapshot.avoid_machines, problem.machine))
    return snapshot


def _with_trouble(snapshot: Snapshot, problem: Problem, remedy: Remedy) -> Snapshot:
    return snapshot.but(troubles={**snapshot.troubles, problem.number: _words(problem, remedy)})


def _words(problem: Problem, remedy: Remedy) -> str:
    code = "" if problem.code is None else f" (hold code {problem.code})"
    advice = f"; {remedy.advice}" if remedy.advice else ""
    return f"{remedy.meaning}{code}: {problem.reason}{advice}"


def _note(problem: Problem, remedy: Remedy) -> Note:
    fields: dict[str, object] = {
        "file": problem.number,
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
