"""An in-memory batch system with the whole interface: the twin that stands in for a real one."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from auto_iter.alignment.model import Batch, Problem, Remedy, Resources, Submission, Tally, Trouble
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.holds import decide
from auto_iter.batch.htcondor.flavours import more_time
from auto_iter.config.batch import Holds, HTCondor
from tests.support.twins import FrozenClock


@dataclass
class MemorySubmission:
    """One submission: each job is idle, running, ended, or has a problem."""

    submission: Submission
    batch: Batch
    idle: set[int]
    resources: Resources
    running: set[int] = field(default_factory=set)
    ended: set[int] = field(default_factory=set)
    problems: dict[int, Problem] = field(default_factory=dict)

    def leave(self, number: int) -> None:
        """Take a job out of the queue, wherever in it it was."""
        for place in (self.idle, self.running):
            place.discard(number)
        self.problems.pop(number, None)


@dataclass
class MemoryBatch(BatchSystem):
    """One on plain sets; a test plays the machine with `start`, `end` and `hold`."""

    clock: FrozenClock
    name: str = "memory"
    submissions: dict[str, MemorySubmission] = field(default_factory=dict)
    proven: frozenset[str] = frozenset()
    """Machines on which jobs ended well."""
    busy: frozenset[str] = frozenset()
    """Machines on which jobs run."""
    most: tuple[int | None, int | None] = (None, None)
    """Jobs in a submission, and in the queue."""
    changed: bool = False
    holds_policy: Holds = field(default_factory=Holds)
    removed_after_s: float | None = None
    """So long jobs may be held."""
    unmatched: str = ""
    """Why no machine takes idle jobs."""

    def new_key(self, iteration: int, attempt: int) -> str:
        return f"memory-{iteration:02d}-{attempt}"

    def find(self, key: str) -> Submission | None:
        for each in self.submissions.values():
            if each.submission.key == key:
                return each.submission
        return None

    def remedy(self, problem: Problem, releases: int) -> Remedy:
        if problem.trouble is Trouble.OVERRAN:
            return more_time(problem, HTCondor())
        limit_s = self.removed_after_s
        return replace(decide(problem, releases, self.holds_policy), removed_after_s=limit_s)

    def limits(self) -> tuple[int | None, int | None]:
        return self.most

    def submit(self, batch: Batch) -> Submission:
        found = self.find(batch.key)
        if found is not None:
            return found
        cluster = str(len(self.submissions) + 1)
        made = Submission(batch.key, cluster, len(batch.jobs), self.clock.now())
        idle = {job.number for job in batch.jobs}
        self.submissions[cluster] = MemorySubmission(made, batch, idle, batch.resources)
        return made

    def poll(self, submission: Submission) -> Tally:
        self.changed = False
        each = self.submissions[submission.cluster]
        held = sum(problem.trouble is Trouble.HELD for problem in each.problems.values())
        return Tally(
            idle=len(each.idle),
            running=len(each.running),
            held=held,
            ended=len(each.ended),
            problems=tuple(each.problems[number] for number in sorted(each.problems)),
            proven_machines=self.proven,
            busy_machines=self.busy,
            unmatched=self.unmatched if each.idle else "",
        )

    def release(
        self, submission: Submission, numbers: Collection[int], resources: Resources | None = None
    ) -> None:
        each = self.submissions[submission.cluster]
        for number in numbers:
            problem = each.problems.get(number)
            if problem is not None and problem.trouble is Trouble.HELD:
                each.leave(number)
                each.idle.add(number)
        if resources is not None:
            each.resources = replace(resources)

    def remove(
        self, submission: Submission, reason: str, numbers: Collection[int] | None = None
    ) -> None:
        each = self.submissions[submission.cluster]
        chosen = {job.number for job in each.batch.jobs}
        chosen &= chosen if numbers is None else set(numbers)
        for number in chosen - each.ended:
            self._finish(each, number, Problem(number, Trouble.REMOVED, reason))

    def has_news(self, submissions: Collection[Submission]) -> bool:
        del submissions
        return self.changed

    def start(self, submission: Submission, *numbers: int) -> None:
        """Let idle jobs run."""
        each = self.submissions[submission.cluster]
        each.idle -= set(numbers)
        each.running |= set(numbers)
        self.changed = True

    def end(self, submission: Submission, number: int, problem: Problem | None = None) -> None:
        """Let a job end: well, or with a problem (failed, lost)."""
        self._finish(self.submissions[submission.cluster], number, problem)

    def hold(self, submission: Submission, problem: Problem) -> None:
        """Hold a job."""
        each = self.submissions[submission.cluster]
        each.leave(problem.number)
        each.problems[problem.number] = problem
        self.changed = True

    def _finish(self, each: MemorySubmission, number: int, problem: Problem | None) -> None:
        each.leave(number)
        each.ended.add(number)
        if problem is not None:
            each.problems[number] = problem
        self.changed = True
