"""submit_reco: submit every raw file that is outstanding and of which no job runs, exactly once.

The intent - a key that goes into the job ad - is saved before the first submission; from then on
the batch system is asked for the key before anything is submitted under it.
"""

from __future__ import annotations

from dataclasses import replace

from auto_iter.alignment.attempt import Attempt, Intent, Portion
from auto_iter.alignment.model import Submission
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.errors import LimitError
from states.decisions.portions import next_portion, not_in_flight, portion_limit, shrunk
from states.decisions.whole_constants import in_use
from states.step import Fire, Note, Outcome, Ports, Stay


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Write the intent down, then find or make the submission."""
    whole, mended = in_use(snapshot, ports)
    if mended:
        return Stay(whole, wait_s=0, notes=mended)
    outstanding = outstanding_files(snapshot, ports)
    if snapshot.intent is not None:
        meant = _meant(snapshot, snapshot.intent, outstanding)
        try:
            submission, how = _find_or_submit(snapshot, snapshot.intent, meant, ports)
        except LimitError as limit:
            smaller, note = shrunk(snapshot, len(meant), limit)
            return Stay(smaller, wait_s=0, notes=(note,))
        if submission is None:
            return Stay(snapshot.but(intent=None), wait_s=0)
        return _noted(snapshot, snapshot.intent, submission, how, ports)
    portion = next_portion(snapshot, outstanding, ports)
    if portion:
        ports.reconstruction.check_room()
        return Stay(snapshot.but(intent=_intent(snapshot, portion, ports)), wait_s=0)
    if snapshot.rerun == "wanted":
        snapshot = snapshot.but(rerun="made")
    return Fire("submitted" if snapshot.live_attempts else "nothing_outstanding", snapshot)


def _intent(snapshot: Snapshot, portion: Portion, ports: Ports) -> Intent:
    attempt = snapshot.attempts_before + len(snapshot.attempts) + 1
    key = ports.batch.new_key(snapshot.iteration, attempt)
    what = {
        "recipe": ports.reconstruction.recipe(snapshot.iteration),
        "had": len(ports.reconstruction.delivered(snapshot.iteration)),
    }
    return Intent(**{**portion.model_dump(), **what}, key=key, attempt=attempt)


def _meant(snapshot: Snapshot, intent: Intent, outstanding: frozenset[int]) -> frozenset[int]:
    meant = frozenset(filter(intent.covers, outstanding))
    if snapshot.rerun == "wanted":
        return meant
    return frozenset(not_in_flight(snapshot, meant))


def outstanding_files(snapshot: Snapshot, ports: Ports) -> frozenset[int]:
    """Return the raw files that have no output and have tries left."""
    failed, lost = ports.policy.reco.max_attempts, ports.policy.reco.max_losses
    exhausted = {number for number, count in snapshot.failures.items() if count >= failed}
    exhausted |= {number for number, count in snapshot.losses.items() if count >= lost}
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    return ports.reconstruction.wanted() - delivered - exhausted


def _find_or_submit(
    snapshot: Snapshot, intent: Intent, meant: frozenset[int], ports: Ports
) -> tuple[Submission | None, str]:
    found = ports.batch.find(intent.key)
    if found is not None:
        return found, "adopted"
    portion = portion_limit(snapshot, ports)
    if snapshot.paused is not None or not meant or (portion is not None and len(meant) > portion):
        return None, ""
    if intent.recipe != ports.reconstruction.recipe(snapshot.iteration):
        return None, ""  # changed meanwhile: one raw file may have to be tried first
    batch = ports.reconstruction.batch(
        snapshot.stage, intent.key, meant, snapshot.memory_mb, snapshot.avoid_machines
    )
    jobs = tuple(replace(job, time_s=snapshot.time_s.get(job.number)) for job in batch.jobs)
    return ports.batch.submit(replace(batch, jobs=jobs)), "submitted"


def _noted(
    snapshot: Snapshot, intent: Intent, submission: Submission, how: str, ports: Ports
) -> Outcome:
    attempt = Attempt.of(intent, submission)
    which = {"cluster": attempt.cluster, "attempt": attempt.number, "jobs": attempt.jobs}
    first = [Note("trying one file first", {"file": attempt.first})] if attempt.is_canary else []
    notes = (Note(how, which), *first)
    is_rerun = snapshot.rerun == "wanted"
    noted = snapshot.but(
        attempts=(*snapshot.attempts, attempt),
        submitted_up_to=snapshot.submitted_up_to if intent.files is not None else intent.last,
        intent=None,
        rerun="made" if is_rerun else snapshot.rerun,
    )
    if next_portion(noted, outstanding_files(noted, ports), ports):
        return Stay(noted, wait_s=0, notes=notes)
    return Fire("submitted", noted, notes)
