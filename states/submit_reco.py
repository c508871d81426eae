"""submit_reco: one submission of every raw file still outstanding, exactly once.

The intent - a key that goes into the job ad - is saved before the first submission; from then on
the batch system is asked for the key before anything is submitted under it.
"""

from __future__ import annotations

from auto_iter.model import Submission
from auto_iter.snapshot import Attempt, Intent, Snapshot
from states.step import Fire, Note, Outcome, Ports, Stay


def run(snapshot: Snapshot, ports: Ports) -> Outcome:
    """Write the intent down, then find or make the submission."""
    if snapshot.live_attempts and snapshot.rerun != "wanted":
        return Fire("submitted", snapshot.but(intent=None))
    outstanding = outstanding_files(snapshot, ports)
    if snapshot.intent is None:
        if not outstanding and not snapshot.live_attempts:
            return Fire("nothing_outstanding", snapshot)
        if not outstanding:
            return Fire("submitted", snapshot.but(rerun="made"))
        attempt = len(snapshot.attempts) + 1
        key = ports.batch.new_key(snapshot.iteration, attempt)
        return Stay(snapshot.but(intent=Intent(key=key, attempt=attempt)), wait_s=0)
    submission, how = _find_or_submit(snapshot, snapshot.intent, outstanding, ports)
    if submission is None:
        return Stay(snapshot.but(intent=None), wait_s=0)
    return _noted(snapshot, snapshot.intent, submission, how)


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
    if not outstanding:
        return None, ""
    batch = ports.reconstruction.batch(
        snapshot.iteration, intent.key, outstanding, {}, snapshot.avoid_machines
    )
    return ports.batch.submit(batch), "submitted"


def _noted(snapshot: Snapshot, intent: Intent, submission: Submission, how: str) -> Outcome:
    attempt = Attempt(
        number=intent.attempt,
        key=submission.key,
        cluster=submission.cluster,
        jobs=submission.jobs,
        submitted_at=submission.submitted_at,
        schedd=submission.schedd,
    )
    note = Note(how, {"cluster": attempt.cluster, "attempt": attempt.number, "jobs": attempt.jobs})
    rerun = "made" if snapshot.rerun == "wanted" else snapshot.rerun
    noted = snapshot.but(attempts=(*snapshot.attempts, attempt), intent=None, rerun=rerun)
    return Fire("submitted", noted, (note,))
