"""The jobs of one submission on their schedd: every call, narrowed to them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from auto_iter.alignment.model import Submission
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.schedd import Ad, Counts, JobAction, Schedd


def make_sure_we_are_known(schedd: Schedd, at: str | None) -> None:
    """Raise TransientError when the schedd would not let us change our jobs.

    With an expired ticket a schedd may show nothing instead of refusing: that is no answer.
    """
    schedd.act("release", ads.NONE, "auto-iter: are we known here?", at=at)


@dataclass(frozen=True)
class Jobs:
    """What `schedd.Schedd` offers, for the jobs of `submission` for which `which` holds."""

    schedd: Schedd
    submission: Submission

    @property
    def total(self) -> int:
        """How many were submitted."""
        return self.submission.jobs

    def _those(self, which: str | None) -> str:
        ours = ads.of(self.submission)
        return ours if which is None else f"{ours} && {which}"

    def count(self, which: str) -> Counts:
        """Count those in the queue."""
        return self.schedd.count(self._those(which), at=self.submission.schedd)

    def query(
        self, which: str | None = None, projection: Sequence[str] = ads.JOB, *, limit: int = -1
    ) -> list[Ad]:
        """Return ads of those in the queue."""
        those = self._those(which)
        return self.schedd.query(those, projection, at=self.submission.schedd, limit=limit)

    def of_everybody(self, which: str, projection: Sequence[str], *, limit: int) -> list[Ad]:
        """Return ads of anybody's jobs on the same schedd."""
        return self.schedd.query(which, projection, at=self.submission.schedd, limit=limit)

    def history(self, limit: int) -> list[Ad]:
        """Return ads of those that left the queue, the latest first."""
        at = self.submission.schedd
        return self.schedd.history(self._those(None), ads.JOB, at=at, limit=limit)

    def cluster_ad(self, projection: Sequence[str]) -> Ad | None:
        """Return what they share."""
        at = self.submission.schedd
        return self.schedd.cluster_ad(int(self.submission.cluster), projection, at=at)

    def act(self, action: JobAction, reason: str, which: str | None = None) -> None:
        """Hold, release or remove them."""
        self.schedd.act(
            action, self._those(which), f"auto-iter: {reason}", at=self.submission.schedd
        )

    def edit(self, which: str, attribute: str, value: int) -> None:
        """Set an attribute of those in the queue."""
        self.schedd.edit(self._those(which), attribute, str(value), at=self.submission.schedd)

    def retrieve(self, procs: Collection[int]) -> None:
        """Bring home what completed ones left with the schedd."""
        at = self.submission.schedd
        self.schedd.retrieve(int(self.submission.cluster), procs, at=at)
