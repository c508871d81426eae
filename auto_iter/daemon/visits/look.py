"""How the jobs stand just now, for a person who asks where no daemon is at work."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

from auto_iter.alignment.snapshot import Progress
from auto_iter.daemon import lifecycle as app
from auto_iter.daemon.compose import composed
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.status import Status
from auto_iter.errors import AutoIterError

LOOK_TIMEOUT_S = 15.0
"""A person waits for the answer, so no call may take longer."""


@dataclass(frozen=True)
class JobsSeen:
    """How the current iteration's jobs stand just now. `ended`: jobs that will not run again.

    `trouble`: why the batch system could not be asked; then the numbers of jobs are as last seen.
    """

    progress: Progress
    ended: int = 0
    trouble: str | None = None

    @property
    def is_whole(self) -> bool:
        """All raw files have their output."""
        return self.progress.delivered >= self.progress.wanted

    @property
    def words(self) -> str:
        """In words, for a person."""
        seen = self.progress
        text = f"{seen.delivered} of {seen.wanted} raw files are reconstructed"
        jobs = {"running": seen.running, "idle": seen.idle, "held": seen.held}
        jobs |= {"not to be found": seen.unknown}
        counts = ", ".join(f"{count} {name}" for name, count in jobs.items() if count)
        return f"{text}; jobs: {counts}" if counts else f"{text}, and no job is running"


def look(opened: Opened, *, fetch: bool) -> JobsSeen:
    """Ask the batch system once, and count outputs; with `fetch` (under the lock) bring them home.

    Nothing is written down.
    """
    snapshot, trouble, tallies = opened.snapshot, None, []
    with composed(opened, patience_s=LOOK_TIMEOUT_S) as ports:
        batch = ports.batch
        try:
            for attempt in snapshot.live_attempts:
                tallies.append(batch.poll(attempt.submission))
                if fetch:
                    batch.fetch(attempt.submission)
        except AutoIterError as error:
            trouble = str(error)
    mine = app.reconstruction(opened)
    now: dict[str, object] = {
        "wanted": len(mine.wanted()),
        "delivered": len(mine.delivered(snapshot.iteration)),
    }
    if trouble is None:
        now["seen_at"] = time.time()
        for name in ("idle", "running", "held", "unknown"):
            now[name] = sum(getattr(tally, name) for tally in tallies)
    progress = snapshot.progress.model_copy(update=now)
    return JobsSeen(progress, sum(tally.ended for tally in tallies), trouble)


def look_for(opened: Opened, status: Status) -> Status:
    """Return the status with the jobs as they are now; nobody else looks at them."""
    try:
        seen = look(opened, fetch=False)
    except AutoIterError as error:  # a strategy that is gone, say: status has more to tell
        return replace(status, remark=f"the numbers of jobs are as last seen: {error}")
    progress = seen.progress
    unfetched = min(seen.ended, progress.wanted) - progress.delivered
    remark = None
    if seen.trouble is not None:
        remark = f"the numbers of jobs are as last seen: {seen.trouble}"
    elif seen.is_whole:
        paths = opened.workspace.iteration(opened.snapshot.iteration, opened.snapshot.arguments.run)
        remark = f"all outputs are there; next by hand: auto-iter millepede -i {paths.root}"
    elif unfetched > 0:
        remark = (
            f"{unfetched} more jobs have ended; whoever continues fetches the outputs that are "
            "still with the batch system, and submits again what failed"
        )
    record = {**status.record, "progress": progress.model_dump(mode="json")}
    return replace(status, record=record, remark=remark)
