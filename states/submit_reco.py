"""submit_reco: one submission of every raw file still outstanding, exactly once.

The intent - a key that goes into the job ad - is saved before the first submission; from then on
the batch system is asked for the key before anything is submitted under it.
"""

from __future__ import annotations

from auto_iter.model import Submission
from auto_iter.snapshot import Attempt, Intent, Snapshot
from states.portions import is_split, next_portion
from states.step import Fire, Note, Outcome, Ports, Stay


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Write the intent down, then find or make the submission."""
    outstanding = outstanding_files(snapshot, ports)
    if snapshot.intent is not None:
        submission, how = _find_or_submit(snapshot, snapshot.intent, outstanding, ports)
        if submission is None:
            return Stay(snapshot.but(intent=None), wait_s=0)
        return _noted(snapshot, snapshot.intent, submission, how, ports)
    portion = next_portion(snapshot, outstanding, ports)
    if portion:
        return Stay(snapshot.but(intent=_intent(snapshot, portion, ports)), wait_s=0)
    if snapshot.rerun == "wanted":
        snapshot = snapshot.but(rerun="made")
    return Fire("submitted" if snapshot.live_attempts else "nothing_outstanding", snapshot)


def _intent(snapshot: Snapshot, portion: list[int], ports: Ports) -> Intent:
    attempt = len(snapshot.attempts) + 1
    key = ports.batch.new_key(snapshot.iteration, attempt)
    if not is_split(ports):
        return Intent(key=key, attempt=attempt)
    return Intent(key=key, attempt=attempt, first=portion[0], last=portion[-1])


def outstanding_files(snapshot: Snapshot, ports: Ports) -> frozenset[int]:
    """Return the raw files that have no output and have tries left."""
    limit = ports.policy.max_attempts
    exhausted = {number for number, count in snapshot.failures.items() if count >= limit}
    delivered = ports.reconstruction.delivered(snapshot.iteration)
    return ports.reconstruction.wanted() - delivered - exhausted


def _find_or_submit(
    snapshot: Snapshot, intent: Intent, outstanding: frozenset[int], ports: Ports
) -> tuple[Submission | None, str]:
    found = ports.batch.find(intent.key)
    if found is not None:
        return found, "adopted"
    meant = {number for number in outstanding if intent.covers(number)}
    portion = ports.policy.portion
    if not meant or (portion is not None and len(meant) > portion):
        return None, ""
    batch = ports.reconstruction.batch(
        snapshot.stage, intent.key, meant, {}, snapshot.avoid_machines
    )
    return ports.batch.submit(batch), "submitted"


def _noted(
    snapshot: Snapshot, intent: Intent, submission: Submission, how: str, ports: Ports
) -> Outcome:
    attempt = Attempt(
        number=intent.attempt,
        first=intent.first,
        last=intent.last,
        key=submission.key,
        cluster=submission.cluster,
        jobs=submission.jobs,
        submitted_at=submission.submitted_at,
        schedd=submission.schedd,
    )
    note = Note(how, {"cluster": attempt.cluster, "attempt": attempt.number, "jobs": attempt.jobs})
    is_rerun = snapshot.rerun == "wanted"
    noted = snapshot.but(
        attempts=(*snapshot.attempts, attempt),
        submitted_up_to=snapshot.submitted_up_to if is_rerun else intent.last,
        intent=None,
        rerun="made" if is_rerun else snapshot.rerun,
    )
    if next_portion(noted, outstanding_files(noted, ports), ports):
        return Stay(noted, wait_s=0, notes=(note,))
    return Fire("submitted", noted, (note,))
