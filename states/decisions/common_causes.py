"""Whose fault it is when jobs fail: the file's, the machine's, or that of something they share.

A machine on which jobs fail and none succeeds is avoided, if there is another one. Where many files
fail in the same way and none succeeds, trying again would burn every try of every file.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import Final

from auto_iter.alignment.model import Problem, Tally, Trouble
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.batch.exitcodes import SAME_FOR_EVERY_FILE, SETTINGS_DISAGREE, describe_exit
from states.step import Note, Ports

SEVERAL: Final = 3
TOLD_ONE_BY_ONE: Final = 3
PHRASES: Final = {
    Trouble.LOST: "job lost",
    Trouble.EXPIRED: "job removed by the site",
    Trouble.OVERRAN: "job removed by the site",
}


def avoided(snapshot: Snapshot, tally: Tally) -> tuple[str, ...]:
    """Add machines on which two or more jobs failed and none succeeded: perhaps black holes.

    Unless no other machine is known: jobs would wait for one that there is not.
    """
    failed = [
        problem.machine
        for problem in tally.problems
        if problem.machine and problem.trouble is Trouble.FAILED
    ]
    suspects = {machine for machine in failed if failed.count(machine) > 1}
    suspects -= tally.proven_machines | set(snapshot.avoid_machines)
    others = _known(tally) - suspects - set(snapshot.avoid_machines)
    return (*snapshot.avoid_machines, *sorted(suspects)) if others else snapshot.avoid_machines


def _known(tally: Tally) -> set[str]:
    failed = {problem.machine for problem in tally.problems if problem.machine}
    return failed | tally.proven_machines | tally.busy_machines


def common_cause(snapshot: Snapshot, tallies: Iterable[Tally], ports: Ports) -> str | None:
    """Return what all jobs fail of, in words; None as long as one succeeded, or still may."""
    if ports.reconstruction.delivered(snapshot.iteration):
        return None
    counts = Counter(snapshot.exit_codes.values())
    for code in sorted(SETTINGS_DISAGREE & set(counts)):
        return f"settings that do not fit together: {_example(code, snapshot)}"
    for code, files in counts.most_common():
        if _is_hopeless(code, files, snapshot, list(tallies), ports):
            of = len(ports.reconstruction.wanted())
            failed = (
                f"{files} of {of} raw files failed in the same way and none succeeded"
                if files > 1
                else "the first job failed at a step that is the same for every raw file"
            )
            return f"{failed}: {_example(code, snapshot)}"
    return None


def _example(code: int, snapshot: Snapshot) -> str:
    """Return what an exit code means, and what the first job that ended with it left."""
    example = snapshot.examples.get(code)
    return describe_exit(code) + (f"\nfor example:\n{example}" if example else "")


def _is_hopeless(
    code: int, files: int, snapshot: Snapshot, tallies: list[Tally], ports: Ports
) -> bool:
    """Tell whether nothing that still runs can change the verdict.

    What no raw file plays a part in is hopeless at once where it failed on every machine that we
    know of, else when it failed on several: one may be a black hole. An iteration that went well
    before speaks for the environment: then several files have to fail. All else is hopeless when
    all files failed of it.
    """
    is_shared = code in SAME_FOR_EVERY_FILE
    if files < (1 if is_shared and not snapshot.history else SEVERAL):
        return False
    if set(snapshot.exit_codes) >= ports.reconstruction.wanted() and (
        set(snapshot.exit_codes.values()) == {code}
    ):
        return True
    if not is_shared:
        return False
    machines = {
        problem.machine
        for tally in tallies
        for problem in tally.problems
        if problem.machine and problem.exit_code == code
    }
    known = set().union(*(_known(tally) for tally in tallies))
    return len(machines) >= SEVERAL or known <= machines


def failure_notes(reasons: Mapping[int, str], problems: Mapping[int, Problem]) -> list[Note]:
    """Return a line for each failed file, or one for many that failed in the same way."""
    alike: defaultdict[object, list[int]] = defaultdict(list)
    for number in reasons:
        problem = problems.get(number)
        way = (problem.trouble, problem.exit_code, problem.signal) if problem else None
        alike[way].append(number)
    notes = []
    for numbers in alike.values():
        shown = numbers if len(numbers) <= TOLD_ONE_BY_ONE else numbers[:1]
        for number in shown:
            fields = _fields(number, reasons[number], problems.get(number))
            if len(numbers) > len(shown):
                fields |= {"files": len(numbers), "last": numbers[-1]}
            trouble = problems[number].trouble if number in problems else Trouble.FAILED
            notes.append(Note(PHRASES.get(trouble, "job failed"), fields, "warning"))
    return notes


def _fields(number: int, reason: str, problem: Problem | None) -> dict[str, object]:
    fields: dict[str, object] = {"file": number, "reason": reason}
    if problem is not None:
        fields |= {"job": problem.job_id, "machine": problem.machine}
    return fields
