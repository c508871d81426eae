"""A whole alignment in memory: the daemon with twins around it, and a way to kill it anywhere."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.model import Problem, Submission, Trouble
from auto_iter.alignment.plan import PhasePlan, Plan
from auto_iter.alignment.policy import ANY_PACE, Pace, Policy
from auto_iter.alignment.ports import Credentials
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.batch import Holds
from auto_iter.config.schema import Alignment, Reco
from auto_iter.daemon.loop import Daemon, Ending
from auto_iter.notify.herald import Herald
from states import actions
from states.step import Ports
from tests.support.alone import NoCredentials, Silent, sink_of
from tests.support.fakes import MemoryBatch
from tests.support.twins import (
    FrozenClock,
    TwinInbox,
    TwinMillepede,
    TwinReconstruction,
    TwinSleeper,
)

ONE_PHASE = Plan("twin", (PhasePlan("one", None, 1, 0.5),))
FILES = frozenset({400, 401, 402})


class Killed(BaseException):
    """`kill -9`: nothing of the daemon runs after it."""


@dataclass
class Killer:
    """Counts what the daemon does to the world, and kills it before or after the nth thing."""

    at: int | None = None
    done: int = 0

    def tick(self) -> None:
        self.done += 1
        if self.done == self.at:
            raise Killed

    def watching(self, port: Any) -> Any:
        return _Watched(port, self)


@dataclass
class _Watched:
    port: Any
    killer: Killer

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self.port, name)
        if not callable(attribute):
            return attribute

        def call(*args: Any, **kwargs: Any) -> Any:
            self.killer.tick()
            result = attribute(*args, **kwargs)
            self.killer.tick()
            return result

        return call


@dataclass
class World:
    """Everything that survives the daemon: checkpoint, jobs, files."""

    files: frozenset[int] = FILES
    iterations: int = 2
    fails: dict[int, int] = field(default_factory=dict)
    """Raw file → how many of its jobs fail before one succeeds."""
    loses: dict[int, int] = field(default_factory=dict)
    """Raw file → how often its machine goes down with its job before that ends."""
    spoils: dict[int, int] = field(default_factory=dict)
    """Raw file → how many of its outputs are bad before one is good."""
    stuck: set[int] = field(default_factory=set)
    """Raw files whose jobs never end in the first submission."""
    holds: dict[int, list[Problem]] = field(default_factory=dict)
    """Raw file → how its jobs are held, one after the other, before they run."""
    ends: dict[int, list[Problem]] = field(default_factory=dict)
    """Raw file → how its jobs end badly, one after the other."""
    settings: dict[str, Any] = field(default_factory=dict)
    limits: tuple[int | None, int | None] = (None, None)
    """Jobs in a submission and in the queue at most."""
    exit_code: int = 40
    """Of jobs that fail."""
    slots: int = 1_000_000
    """Jobs that run at once."""
    plan: Plan = ONE_PHASE
    credentials: Credentials = field(default_factory=NoCredentials)

    def __post_init__(self) -> None:
        self.clock = FrozenClock()
        policy = Holds(memory_cap_mb=3000, max_releases=2, release_pause_s=100.0)
        self.batch = MemoryBatch(self.clock, holds_policy=policy, most=self.limits)
        self.reconstruction = TwinReconstruction(self.files)
        self.millepede = TwinMillepede()
        self.inbox = TwinInbox()
        self.herald: Herald = Silent()
        self.ran: list[tuple[str, int]] = []
        self.saved = Snapshot(
            workspace_id="w",
            arguments=Arguments(year=2023, run=11705, files="400-403", iterations=self.iterations),
            iteration_started_at=self.clock.now(),
        )
        self.backup = self.saved
        self.history: list[str] = ["prepare"]
        self.refuse_saves = 0

    @property
    def policy(self) -> Policy:
        usual = {
            "polling_interval_seconds": 60.0,
            "stop_when_converged": False,
            "stop_when_stuck": False,
            "convergence_iterations": 1,
            "jitter": 0.0,
            "canary": False,
        }
        settings = {**usual, **self.settings}

        def chosen(names: Iterable[str]) -> dict[str, Any]:
            return {name: settings[name] for name in names if name in settings}

        reco = Reco().model_copy(update=chosen(Reco.model_fields))
        alignment = Alignment().model_copy(update=chosen(Alignment.model_fields))
        return Policy(reco, alignment, Pace(**chosen(vars(ANY_PACE))))

    def daemon(self, killer: Killer | None = None, stop_after: int | None = None) -> Daemon:
        watch: Callable[[Any], Any] = killer.watching if killer else lambda port: port
        ports = Ports(
            batch=watch(self.batch),
            reconstruction=watch(self.reconstruction),
            millepede=watch(self.millepede),
            now=self.clock.now,
            policy=self.policy,
            plan=self.plan,
            credentials=self.credentials,
        )
        sleeper = TwinSleeper(self.clock, self.pass_time, stop_after)

        def save(snapshot: Snapshot) -> None:
            if killer:
                killer.tick()
            self.save(snapshot)
            if killer:
                killer.tick()

        self.reconstruction.skipped = self.saved.skipped  # as it is composed
        sink = sink_of(save, inbox=watch(self.inbox), herald=self.herald)
        return Daemon(self.saved, actions.ALL, ports, sleeper, sink)

    def run(self) -> Ending:
        return self.daemon().run()

    def save(self, snapshot: Snapshot) -> None:
        if self.refuse_saves:
            self.refuse_saves -= 1
            raise OSError(28, "No space left on device")
        self.backup = self.saved
        if snapshot.state != self.saved.state:
            self.history.append(snapshot.state)
        # Through JSON, as the checkpoint does it.
        self.saved = Snapshot.model_validate_json(snapshot.model_dump_json())

    def pass_time(self, _seconds: float) -> None:
        """Let the machine work: idle jobs start, running ones end."""
        for each in list(self.batch.submissions.values()):
            iteration = int(each.batch.directory.name.removeprefix("iter"))
            first = each.submission.cluster == "1"
            for number in sorted(each.running - (self.stuck if first else set())):
                self._end(each.submission, iteration, number)
            free = self.slots - sum(len(each.running) for each in self.batch.submissions.values())
            for number in sorted(each.idle)[:free]:
                if self.holds.get(number):
                    self.batch.hold(each.submission, self.holds[number].pop(0))
                else:
                    self.batch.start(each.submission, number)

    def _end(self, submission: Submission, iteration: int, number: int) -> None:
        self.ran.append((submission.cluster, number))
        problem = None
        if self.loses.get(number, 0) > 0:
            self.loses[number] -= 1
            problem = Problem(number, Trouble.LOST, "its machine is gone")
        elif self.ends.get(number):
            problem = self.ends[number].pop(0)
        elif self.fails.get(number, 0) > 0:
            self.fails[number] -= 1
            problem = Problem(
                number,
                Trouble.FAILED,
                f"exit code {self.exit_code}",
                exit_code=self.exit_code,
                machine="bad.node",
            )
        else:
            self._deliver(iteration, number)
        self.batch.end(submission, number, problem)

    def _deliver(self, iteration: int, number: int) -> None:
        self.reconstruction.outputs[iteration].add(number)
        if self.spoils.get(number, 0) > 0:
            self.spoils[number] -= 1
            self.millepede.bad.add(number)
        else:
            self.millepede.bad.discard(number)


@dataclass
class _Witness(Killer):
    """Kills nothing, and keeps what a kill would have left, each state once."""

    world: World | None = None
    states: dict[bytes, None] = field(default_factory=dict)

    def tick(self) -> None:
        self.states[pickle.dumps(self.world)] = None


def left_by_kills(world: World, ending: Ending = Ending.DONE) -> Iterator[World]:
    """Yield what `kill -9` before or after any action leaves behind of a run with this `ending`.

    Most actions change nothing: a thousand kills leave some fifty different worlds, and whoever
    goes on from the same one does the same. Memory is lost, so the world is all there is.
    """
    witness = _Witness(world=world)
    assert world.daemon(witness).run() is ending
    assert len(witness.states) > 10
    for state in witness.states:
        yield pickle.loads(state)  # noqa: S301 - our own


def held(number: int, code: int, *, memory_mb: int = 1000, subcode: int = 0) -> Problem:
    return Problem(
        number, Trouble.HELD, f"hold {code}", code=code, subcode=subcode, memory_mb=memory_mb
    )
