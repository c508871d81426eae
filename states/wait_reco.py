"""wait_reco: watch the jobs, help those that are held, convert outputs as they come in.

A job has succeeded when its output is there and good; that it left the queue says nothing. So the
submission is over when none of its jobs will run any more, and what counts is which outputs are
missing then.
"""

from __future__ import annotations

from dataclasses import replace

from auto_iter.alignment.attempt import Attempt
from auto_iter.alignment.model import Problem, Tally, Trouble
from auto_iter.alignment.snapshot import Progress, Snapshot
from auto_iter.errors import JobError
from auto_iter.rawfiles import spoken
from states.decisions import canary, held_jobs, hold_out, removed_jobs, stragglers
from states.decisions.common_causes import avoided, common_cause, failure_notes
from states.decisions.outputs import convert, counted, how_it_failed, without
from states.decisions.portions import next_portion
from states.decisions.requests import end_skipped
from states.step import Fire, Note, Outcome, Ports, Stay
from states.submit_reco import outstanding_files

LAST_PART = 0.1
"""With so much of the outputs missing, or a single one, the end is near."""

SHOWN_FAILURES = 3
"""So many failed files are described in full; a screen has room for no more."""


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Poll every live submission once, act on what it shows, and see whether all is in."""
    before = snapshot
    snapshot, tallies, notes = _polled(snapshot, ports)
    if len(tallies) < len(before.live_attempts):
        # Saved at once: trouble with the next call must not make us forget what was done.
        return Stay(snapshot, wait_s=0, notes=tuple(notes))
    snapshot, conversion, rejected = convert(snapshot, ports)
    notes += rejected
    snapshot, said = canary.read(snapshot, conversion.converted)
    notes += said
    snapshot = _with_progress(snapshot, tallies, ports)
    if snapshot.progress.unmatched and not before.progress.unmatched:
        notes.append(Note("no machine", {"reason": snapshot.progress.unmatched}, "warning"))
    cause = snapshot.cause or common_cause(snapshot, tallies, ports)
    if cause is not None:
        return _stopped(snapshot, snapshot == before, cause, notes, ports)
    if snapshot.live_attempts:
        age_s = max((tally.age_s for tally in tallies), default=0.0)
        return _while_jobs_run(snapshot, age_s, ports, notes)
    if conversion.pending:
        return Stay(snapshot, notes=tuple(notes))
    if snapshot != before:
        # What is known is saved before it is acted on: a failure keeps the reasons, and a
        # submission is dropped by the batch system only when nobody will ask for it again.
        return Stay(snapshot, wait_s=0, notes=tuple(notes))
    for attempt in snapshot.attempts:
        if not attempt.is_left_behind:
            ports.batch.retire(attempt.submission)
    return _judged(snapshot, ports, notes)


def _polled(snapshot: Snapshot, ports: Ports) -> tuple[Snapshot, list[Tally], list[Note]]:
    """Look after each live submission; stop at the first of which held jobs were treated."""
    notes: list[Note] = []
    tallies: list[Tally] = []
    ended = end_skipped(snapshot, ports)
    if ended != snapshot:
        return ended, tallies, notes
    for attempt in snapshot.live_attempts:
        tally = ports.batch.poll(attempt.submission)
        ports.batch.fetch(attempt.submission)
        if tally.is_over:
            # What the fetch found out counts as well.
            tally = ports.batch.poll(attempt.submission)
        treated, said = held_jobs.treat(snapshot, attempt, tally.problems, ports)
        notes += said
        if treated != snapshot:
            return treated, tallies, notes
        tallies.append(tally)
        snapshot, said = _accounted(snapshot, attempt, tally, ports)
        notes += said
    return snapshot, tallies, notes


def _while_jobs_run(snapshot: Snapshot, age_s: float, ports: Ports, notes: list[Note]) -> Outcome:
    """Wait on, unless there is more to submit, or nothing more to wait for."""
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    if snapshot.rerun == "made" and ports.reconstruction.wanted() <= delivered:
        stragglers.end(snapshot, ports)
        return Stay(snapshot, wait_s=stragglers.LOOK_AGAIN_S, notes=tuple(notes))
    if next_portion(snapshot, outstanding_files(snapshot, ports), ports):
        return Fire("reco_incomplete", snapshot, tuple(notes))
    if stragglers.are_due(snapshot, ports):
        return Fire("stragglers", snapshot.but(rerun="wanted"), tuple(notes))
    # On a full disk jobs may not even start, and nobody else would say why.
    ports.reconstruction.check_room()
    seen = snapshot.progress.model_copy(update={"seen_at": ports.now() - age_s})
    wait_s = _until_next_poll(snapshot, ports)
    return Stay(snapshot.but(progress=seen), wait_s=wait_s, notes=tuple(notes))


def _until_next_poll(snapshot: Snapshot, ports: Ports) -> float | None:
    """Return a shorter wait for a single job: the last one, or a canary that the others follow."""
    left = snapshot.progress.wanted - snapshot.progress.delivered
    if snapshot.canary is None and left > max(1, snapshot.progress.wanted * LAST_PART):
        return None
    return ports.policy.pace.at_end_s


def _accounted(
    snapshot: Snapshot, attempt: Attempt, tally: Tally, ports: Ports
) -> tuple[Snapshot, list[Note]]:
    """Count what a submission will not bring: at once where that is known, the rest at its end."""
    problems = {each.number: each for each in tally.problems if each.trouble is not Trouble.HELD}
    outstanding = filter(attempt.may_bring, outstanding_files(snapshot, ports))
    missing = sorted(n for n in outstanding if tally.is_over or n in problems)
    notes: list[Note] = []
    if missing and not attempt.is_ended_by_us:
        snapshot, notes = _counted(snapshot, attempt, missing, problems, ports)
        machines = avoided(snapshot, tally)
        new = machines[len(snapshot.avoid_machines) :]
        notes += [Note("machine avoided from now on", {"machine": each}, "warning") for each in new]
        snapshot = snapshot.but(avoid_machines=machines)
    snapshot = without(snapshot, attempt.key, () if tally.is_over else missing)
    snapshot = snapshot.but_attempts([attempt.key], left=tally.left, is_over=tally.is_over)
    # What the queue had no room for while those jobs were there, it may take now.
    limit = None if tally.is_over else snapshot.queue_limit
    return snapshot.but(queue_limit=limit), notes


def _counted(
    snapshot: Snapshot,
    attempt: Attempt,
    missing: list[int],
    problems: dict[int, Problem],
    ports: Ports,
) -> tuple[Snapshot, list[Note]]:
    """Count a failed try of each file, unless it is ours; tell of each kind of failure once."""
    snapshot, innocent = _victims_of_the_disk(snapshot, attempt, missing, problems, ports)
    missing = [number for number in missing if number not in innocent]
    snapshot, settled = removed_jobs.settle(snapshot, missing, problems, ports)
    reasons = {number: _reason(problems.get(number), snapshot, number) for number in missing}
    exits = {n: code for n in reasons if n in problems and (code := problems[n].exit_code)}
    notes = failure_notes(reasons, problems)
    if innocent:
        notes.append(Note("disk full: not counted as failed", {"files": innocent}, "warning"))
    lost = {number for number, each in problems.items() if each.trouble is Trouble.LOST}
    ours = {number: why for number, why in reasons.items() if number not in settled}
    snapshot = counted(snapshot, "losses", {n: why for n, why in ours.items() if n in lost})
    snapshot = counted(snapshot, "failures", {n: why for n, why in ours.items() if n not in lost})
    examples = dict(snapshot.examples)
    for number, code in exits.items():
        if code not in examples:
            # What the code means is said once, ahead of the example.
            problem = replace(problems[number], exit_code=None)
            examples[code] = ports.reconstruction.evidence(snapshot.iteration, problem)
    return snapshot.but(exit_codes={**snapshot.exit_codes, **exits}, examples=examples), notes


def _stopped(
    snapshot: Snapshot, is_saved: bool, cause: str, notes: list[Note], ports: Ports
) -> Outcome:
    """End what would fail the same way, and then say so."""
    going_on = [each for each in snapshot.live_attempts if not each.is_ended_by_us]
    if not is_saved or snapshot.cause is None:
        # Kept in words now: the jobs that are ended next write over the logs that it quotes.
        return Stay(snapshot.but(cause=cause), wait_s=0, notes=tuple(notes))
    for attempt in going_on:
        ports.batch.remove(attempt.submission, "jobs like it all fail the same way")
    if going_on:
        return Stay(snapshot.all_ended_by_us(), wait_s=0, notes=tuple(notes))
    raise JobError(cause, "fix the cause, then `auto-iter resume`")


def _victims_of_the_disk(
    snapshot: Snapshot,
    attempt: Attempt,
    missing: list[int],
    problems: dict[int, Problem],
    ports: Ports,
) -> tuple[Snapshot, list[int]]:
    """Return the files whose jobs failed because our own disk was full, and remember when it was.

    One that says so speaks for all that were submitted before: the others may not have been able
    to, or have failed of what a full disk left half-written.
    """

    def victims(*, was_full: bool) -> list[int]:
        return [
            number
            for number in missing
            if number in problems
            and ports.reconstruction.met_full_disk(
                snapshot.iteration, problems[number], was_full=was_full
            )
        ]

    told = victims(was_full=False)
    if told:
        snapshot = snapshot.but(disk_full_at=ports.now())
    if snapshot.disk_full_at is None or attempt.submitted_at > snapshot.disk_full_at:
        return snapshot, told
    return snapshot, victims(was_full=True)


def _reason(problem: Problem | None, snapshot: Snapshot, number: int) -> str:
    if problem is not None:
        where = f" on {problem.machine}" if problem.machine else ""
        return (
            f"{problem.reason} (job {problem.job_id}{where})" if problem.job_id else problem.reason
        )
    return snapshot.troubles.get(number) or "the job ended well, but left no output"


def _with_progress(snapshot: Snapshot, tallies: list[Tally], ports: Ports) -> Snapshot:
    now = Progress(
        wanted=len(ports.reconstruction.wanted()),
        delivered=len(ports.reconstruction.delivered(snapshot.iteration)),
        idle=sum(tally.idle for tally in tallies),
        running=sum(tally.running for tally in tallies),
        held=sum(tally.held for tally in tallies),
        unknown=sum(tally.unknown for tally in tallies),
        seen_at=snapshot.progress.seen_at,
        expected_end=snapshot.progress.expected_end,
        unmatched=next((tally.unmatched for tally in tallies if tally.unmatched), ""),
    )
    if now == snapshot.progress:
        return snapshot
    return snapshot.but(
        progress=now.model_copy(update={"expected_end": _end(snapshot, now, ports)}),
        quantile_at=stragglers.quantile_at(snapshot, now, ports),
    )


def _end(snapshot: Snapshot, progress: Progress, ports: Ports) -> float | None:
    """Extrapolate the rate so far; None before the first output of what was submitted now.

    What was there before is a canary's, or what a daemon or a DAG left behind.
    """
    begun = snapshot.begun
    since_then = 0 if begun is None else progress.delivered - begun.had
    if begun is None or since_then <= 0:
        return None
    elapsed_s = ports.now() - begun.submitted_at
    left = progress.wanted - progress.delivered
    return ports.now() + elapsed_s * left / since_then


def _judged(snapshot: Snapshot, ports: Ports, notes: list[Note]) -> Outcome:
    """Go on, try again, or give up, now that nothing runs any more."""
    wanted = ports.reconstruction.wanted()
    missing = wanted - ports.reconstruction.delivered(snapshot.iteration)
    if not missing:
        return Fire("reco_finished", snapshot, tuple(notes))
    canary.refuse_the_rest(snapshot, ports)
    if outstanding_files(snapshot, ports):
        if snapshot.paused is not None:
            return Stay(snapshot, notes=tuple(notes))
        return Fire("reco_incomplete", snapshot, tuple(notes))
    if hold_out.share_of_fit(snapshot, missing, ports) >= ports.policy.reco.min_success_fraction:
        fields: dict[str, object] = {"files": sorted(missing)}
        if judges := missing & hold_out.out_of_fit(snapshot, ports):
            fields["held_out"] = sorted(judges)
        left_out = Note("continuing without", fields, "warning")
        return Fire("reco_finished", snapshot, (*notes, left_out))
    raise JobError(
        _verdict(snapshot, missing, len(wanted), ports),
        "fix the cause, then `auto-iter resume` continues with just these files",
    )


def _verdict(snapshot: Snapshot, missing: frozenset[int], wanted: int, ports: Ports) -> str:
    lines = [f"{len(missing)} of {wanted} raw files could not be reconstructed"]
    lines += [how_it_failed(snapshot, n, ports) for n in sorted(missing)[:SHOWN_FAILURES]]
    if len(missing) > SHOWN_FAILURES:
        others = " ".join(spoken(number) for number in sorted(missing)[SHOWN_FAILURES:][:50])
        lines.append(f"also: {others}")
    return "\n".join(lines)
