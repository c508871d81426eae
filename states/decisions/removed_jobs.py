"""Jobs that the site removed: held for too long, or running for longer than they may.

Neither is a failed try of the raw file. What follows is the batch system's remedy for the cause: as
for a job that is still held, but in a job anew.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from auto_iter.alignment.model import Action, Problem, Remedy, Trouble
from auto_iter.alignment.snapshot import Snapshot
from states.step import Ports

BY_THE_SITE: Final = frozenset({Trouble.EXPIRED, Trouble.OVERRAN})


def settle(
    snapshot: Snapshot, missing: Iterable[int], problems: Mapping[int, Problem], ports: Ports
) -> tuple[Snapshot, dict[int, str]]:
    """Return the snapshot that knows what follows, and why, by raw file that is settled so.

    Another try of each is to be made, unless it was given up.
    """
    settled: dict[int, str] = {}
    for number in missing:
        problem = problems.get(number)
        if problem is None or problem.trouble not in BY_THE_SITE:
            continue
        remedy = ports.batch.remedy(problem, snapshot.releases.get(number, 0))
        if remedy.action is Action.LEAVE:
            continue  # a person's affair, and a try as any other
        snapshot = _settled(snapshot, problem, remedy, ports)
        settled[number] = _words(problem, remedy)
    return snapshot.but(troubles={**snapshot.troubles, **settled}), settled


def _settled(snapshot: Snapshot, problem: Problem, remedy: Remedy, ports: Ports) -> Snapshot:
    number = problem.number
    had_that = remedy.time_s is not None and remedy.time_s <= snapshot.time_s.get(number, 0.0)
    # Where it had so much time, and its limit is another one all the same, more is no remedy.
    if remedy.action is Action.GIVE_UP or had_that:
        most = ports.policy.reco.max_attempts
        return snapshot.but(failures={**snapshot.failures, number: most})
    if remedy.time_s is not None:
        return snapshot.but(time_s={**snapshot.time_s, number: remedy.time_s})
    again = snapshot.releases.get(number, 0) + 1
    snapshot = snapshot.but(releases={**snapshot.releases, number: again})
    if remedy.memory_mb is not None:
        return snapshot.but(memory_mb={**snapshot.memory_mb, number: remedy.memory_mb})
    machine, avoided = problem.machine, snapshot.avoid_machines
    if remedy.action is Action.ELSEWHERE and machine is not None and machine not in avoided:
        return snapshot.but(avoid_machines=(*avoided, machine))
    return snapshot


def _words(problem: Problem, remedy: Remedy) -> str:
    if remedy.action is Action.GIVE_UP:
        return f"{problem.reason}; {remedy.meaning}; {remedy.advice}"
    return problem.reason
