"""How jobs ended that are no longer in the queue, or whose files were fetched; their outputs.

In memory only, and rebuilt from queue and history after a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from auto_iter.alignment.model import Problem, Trouble
from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ads import Ad, PendingDelivery
from auto_iter.batch.htcondor.schedd.protocol import Jobs, make_sure_we_are_known
from auto_iter.files import move_whole, sync_directory

LOST_AFTER_S = 300.0
"""The history may lag by minutes; a job that is in neither place for so long is lost."""


class Ends:
    """The ended jobs of one cluster; `numbers` are its raw files, where they are known."""

    def __init__(
        self, jobs: Jobs, now: Callable[[], float], numbers: frozenset[int] = frozenset()
    ) -> None:
        self._jobs = jobs
        self._now = now
        self._numbers = numbers
        self._ended: dict[int, Problem | None] = {}
        self._unnamed_lost = 0
        self._looked_at_home = False
        self._missing_since: float | None = None
        self.undelivered: list[PendingDelivery] = []
        """Outputs that are here and still have to be moved to where they belong."""
        self.proven: set[str] = set()
        """Machines on which a job of this cluster ended well."""

    def __contains__(self, number: int) -> bool:
        """Tell whether the end of a raw file's job is known."""
        return number in self._ended

    @property
    def problems(self) -> Mapping[int, Problem]:
        """What is wrong, by raw file, of jobs that ended badly."""
        return {number: each for number, each in self._ended.items() if each is not None}

    def known(self, gone: int) -> int:
        """Return of how many of the `gone` jobs, which are not in the queue, the end is known."""
        return min(len(self._ended) + self._unnamed_lost, gone)

    def missing(self, gone: int) -> int:
        """Return how many jobs are neither in the queue nor known to have ended."""
        return gone - self.known(gone)

    def take(self, ad: Ad, *, is_fetched: bool = False) -> None:
        """Note how a job ended, and where; its output is to be delivered.

        Without one, a job `is_fetched` has failed; otherwise it was delivered before.
        """
        number, problem, delivery = ads.number_of(ad), ads.problem_of(ad), ads.delivery_of(ad)
        if problem is None and delivery is not None:
            if is_fetched and not delivery.source.exists():
                problem = ads.failed(ad, "the job ended well, but left no output")
            else:
                self.undelivered.append(delivery)
        self._ended[number] = problem
        machine = ads.machine_of(ad)
        if problem is None and machine is not None:
            self.proven.add(machine)

    def deliver(self) -> None:
        """Move outputs to where they belong; one that cannot be moved now is tried again."""
        touched = set()
        while self.undelivered:
            delivery = self.undelivered[-1]
            if delivery.source.exists():
                delivery.target.parent.mkdir(parents=True, exist_ok=True)
                move_whole(delivery.source, delivery.target)
                touched.add(delivery.target.parent)
            self.undelivered.pop()
        for directory in touched:
            sync_directory(directory)

    def learn(self, gone: int) -> None:
        """Find out how the jobs ended that are not in the queue any more.

        What is nowhere to be found is waited for, and in the end taken for lost.
        """
        if self.missing(gone) and not self._looked_at_home:
            self._read(self._jobs.query(ads.HOME))
            self._looked_at_home = True
        missing = self.missing(gone)
        if missing:
            # The latest come first, so the new ones are enough, unless the history lagged before.
            self._read(self._jobs.history(missing if self._missing_since is None else gone))
        missing = self.missing(gone)
        if not missing:
            self._missing_since = None
        elif self._missing_since is None:
            self._missing_since = self._now()
        elif self._now() - self._missing_since > LOST_AFTER_S:
            self._give_up(missing)

    def _read(self, found: Iterable[Ad]) -> None:
        for ad in found:
            if ads.number_of(ad) not in self:
                self.take(ad)

    def _give_up(self, missing: int) -> None:
        make_sure_we_are_known(self._jobs.schedd)
        present = {ads.number_of(ad) for ad in self._jobs.query(None, ("AutoIterRawFile",))}
        gone = self._numbers - present - self._ended.keys()
        why = f"in neither queue nor history for {LOST_AFTER_S:.0f} s"
        for number in sorted(gone)[:missing]:
            self._ended[number] = Problem(number, Trouble.LOST, why)
        self._unnamed_lost += max(0, missing - len(gone))
        self._missing_since = None
