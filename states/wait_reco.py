"""wait_reco: watch the jobs, help those that are held, convert outputs as they come in.

A job has succeeded when its output is there and good; that it left the queue says nothing. So the
submission is over when none of its jobs will run any more, and what counts is which outputs are
missing then.
"""

from __future__ import annotations

from auto_iter.errors import JobError
from auto_iter.model import Problem, Tally, Trouble
from auto_iter.snapshot import Attempt, Progress, Snapshot
from states import held_jobs, stragglers
from states.outputs import convert, count_failures, count_losses
from states.portions import next_portion
from states.step import Fire, Note, Outcome, Ports, Stay
from states.submit_reco import outstanding_files

SHOWN_FAILURES = 3
"""So many failed files are described in full; a screen has room for no more."""


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Poll every live submission once, act on what it shows, and see whether all is in."""
    notes: list[Note] = []
    tallies = []
    before = snapshot
    for attempt in snapshot.live_attempts:
        tally = ports.batch.poll(attempt.submission)
        ports.batch.fetch(attempt.submission)
        treated, said = held_jobs.treat(snapshot, attempt, tally.problems, ports)
        notes += said
        if treated != snapshot:
            # Saved at once: trouble with the next call must not make us forget what was done.
            return Stay(treated, wait_s=0, notes=tuple(notes))
        tallies.append(tally)
        if tally.is_over:
            snapshot, said = _closed(snapshot, attempt, tally, ports)
            notes += said
    snapshot, conversion, rejected = convert(snapshot, ports)
    notes += rejected
    snapshot = _with_progress(snapshot, tallies, ports)
    if snapshot.live_attempts:
        return _while_jobs_run(snapshot, ports, notes)
    if conversion.pending:
        return Stay(snapshot, notes=tuple(notes))
    if snapshot != before:
        # What is known is saved before it is acted on: a failure keeps the reasons, and a
        # submission is dropped by the batch system only when nobody will ask for it again.
        return Stay(snapshot, wait_s=0, notes=tuple(notes))
    for attempt in snapshot.attempts:
        ports.batch.retire(attempt.submission)
    return _judged(snapshot, ports, notes)


def _while_jobs_run(snapshot: Snapshot, ports: Ports, notes: list[Note]) -> Outcome:
    """Wait on, unless there is more to submit, or nothing more to wait for."""
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    if snapshot.rerun == "made" and ports.reconstruction.wanted() <= delivered:
        stragglers.end(snapshot, ports)
        return Stay(snapshot, wait_s=stragglers.LOOK_AGAIN_S, notes=tuple(notes))
    if next_portion(snapshot, outstanding_files(snapshot, ports), ports):
        return Fire("reco_incomplete", snapshot, tuple(notes))
    if stragglers.are_due(snapshot, ports):
        return Fire("stragglers", snapshot.but(rerun="wanted"), tuple(notes))
    return Stay(snapshot, notes=tuple(notes))


def _closed(
    snapshot: Snapshot, attempt: Attempt, tally: Tally, ports: Ports
) -> tuple[Snapshot, list[Note]]:
    """Count what a finished submission did not bring."""
    problems = {problem.number: problem for problem in tally.problems}
    missing = sorted(filter(attempt.covers, outstanding_files(snapshot, ports)))
    reasons = {number: _reason(problems.get(number), snapshot, number) for number in missing}
    over = attempt.model_copy(update={"is_over": True})
    attempts = tuple(over if each.key == attempt.key else each for each in snapshot.attempts)
    notes = [
        Note(
            "job lost" if _is_lost(problems.get(number)) else "job failed",
            _fields(number, problems.get(number), reason),
            "warning",
        )
        for number, reason in reasons.items()
    ]
    lost = {number for number in missing if _is_lost(problems.get(number))}
    closed = count_losses(
        snapshot.but(attempts=attempts), ((n, why) for n, why in reasons.items() if n in lost)
    )
    closed = count_failures(closed, ((n, why) for n, why in reasons.items() if n not in lost))
    return closed.but(avoid_machines=_avoided(closed, tally)), notes


def _is_lost(problem: Problem | None) -> bool:
    return problem is not None and problem.trouble is Trouble.LOST


def _reason(problem: Problem | None, snapshot: Snapshot, number: int) -> str:
    if problem is not None:
        where = f" on {problem.machine}" if problem.machine else ""
        return (
            f"{problem.reason} (job {problem.job_id}{where})" if problem.job_id else problem.reason
        )
    return snapshot.troubles.get(number) or "the job ended well, but left no output"


def _fields(number: int, problem: Problem | None, reason: str) -> dict[str, object]:
    fields: dict[str, object] = {"file": number, "reason": reason}
    if problem is not None:
        fields |= {"job": problem.job_id, "machine": problem.machine}
    return fields


def _avoided(snapshot: Snapshot, tally: Tally) -> tuple[str, ...]:
    """Add machines on which two or more jobs failed and none succeeded: perhaps black holes."""
    failed = [
        problem.machine
        for problem in tally.problems
        if problem.machine and problem.trouble is Trouble.FAILED
    ]
    suspects = {machine for machine in failed if failed.count(machine) > 1}
    new = suspects - tally.proven_machines - set(snapshot.avoid_machines)
    return (*snapshot.avoid_machines, *sorted(new))


def _with_progress(snapshot: Snapshot, tallies: list[Tally], ports: Ports) -> Snapshot:
    now = Progress(
        wanted=len(ports.reconstruction.wanted()),
        delivered=len(ports.reconstruction.delivered(snapshot.iteration)),
        idle=sum(tally.idle for tally in tallies),
        running=sum(tally.running for tally in tallies),
        held=sum(tally.held for tally in tallies),
        expected_end=snapshot.progress.expected_end,
    )
    if now == snapshot.progress:
        return snapshot
    return snapshot.but(
        progress=now.model_copy(update={"expected_end": _end(snapshot, now, ports)}),
        quantile_at=stragglers.quantile_at(snapshot, now, ports),
    )


def _end(snapshot: Snapshot, progress: Progress, ports: Ports) -> float | None:
    """Extrapolate the rate so far; None before the first output."""
    if not progress.delivered or not snapshot.attempts:
        return None
    elapsed_s = ports.clock.now() - snapshot.attempts[0].submitted_at
    left = progress.wanted - progress.delivered
    return ports.clock.now() + elapsed_s * left / progress.delivered


def _judged(snapshot: Snapshot, ports: Ports, notes: list[Note]) -> Outcome:
    """Go on, try again, or give up, now that nothing runs any more."""
    wanted = ports.reconstruction.wanted()
    missing = wanted - ports.reconstruction.delivered(snapshot.iteration)
    if not missing:
        return Fire("reco_finished", snapshot, tuple(notes))
    if outstanding_files(snapshot, ports):
        return Fire("reco_incomplete", snapshot, tuple(notes))
    if (len(wanted) - len(missing)) / len(wanted) >= ports.policy.min_success_fraction:
        left_out = Note("going on without", {"files": sorted(missing)}, "warning")
        return Fire("reco_finished", snapshot, (*notes, left_out))
    raise JobError(
        _verdict(snapshot, missing, len(wanted), ports),
        "mend the cause, then `auto-iter resume` continues with just these files",
    )


def _verdict(snapshot: Snapshot, missing: frozenset[int], wanted: int, ports: Ports) -> str:
    lines = [f"{len(missing)} of {wanted} raw files could not be reconstructed"]
    for number in sorted(missing)[:SHOWN_FAILURES]:
        reason = snapshot.troubles.get(number, "no output")
        problem = Problem(number, Trouble.FAILED, reason)
        lines.append(ports.reconstruction.evidence(snapshot.iteration, problem))
    if len(missing) > SHOWN_FAILURES:
        others = " ".join(f"{number:05d}" for number in sorted(missing)[SHOWN_FAILURES:][:50])
        lines.append(f"also: {others}")
    return "\n".join(lines)
