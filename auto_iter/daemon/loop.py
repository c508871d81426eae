"""The daemon: one step of the state machine after the other, each saved before the next begins.

`step` is the only place that saves. It runs the current state's action; an outcome that fires moves
the machine, an outcome that stays may carry a write-ahead; either way the new snapshot is on disk
before anything else happens. Errors are decided here too: transient ones are tried again in the
same state, others end in `failed` with what to do.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import structlog

from auto_iter.alignment.model import Submission
from auto_iter.alignment.snapshot import Failure, Obstacle, Snapshot
from auto_iter.errors import (
    TRANSIENT_ERRNOS,
    AutoIterError,
    FencedError,
    PermanentError,
    TransientError,
)
from auto_iter.log.setup import get_logger
from states.machine import StateMachine
from states.step import Fire, Note, Outcome, Ports, State, Stay
from states.table import TERMINAL

FIRST_RETRY_S = 5.0
LONGEST_RETRY_S = 600.0


class Ending(StrEnum):
    """How a daemon's life ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    REACHED = "reached"


class Sleeper(Protocol):
    """Waits, and knows whether somebody asked to stop (`clock.Signals`)."""

    def should_stop(self) -> bool:
        """Tell whether somebody asked to stop."""
        ...

    def sleep(
        self,
        seconds: float,
        descriptors: Iterable[int] = (),
        has_news: Callable[[], bool] | None = None,
    ) -> None:
        """Wait until there is something to do."""
        ...


@dataclass(frozen=True)
class SnapshotSink:
    """Where the daemon keeps its snapshot, and who looks on."""

    save: Callable[[Snapshot], None]
    seen: Callable[[Snapshot], None] = lambda _snapshot: None
    alive: Callable[[], None] = lambda: None
    """Called again and again, also while nothing happens for hours."""
    check: Callable[[], None] = lambda: None
    """Raises FencedError when the workspace is another daemon's by now."""


class Daemon:
    """Runs one alignment to its end, or until somebody asks to stop."""

    def __init__(
        self,
        snapshot: Snapshot,
        states: Mapping[str, State],
        ports: Ports,
        sleeper: Sleeper,
        sink: SnapshotSink,
    ) -> None:
        self.snapshot = snapshot
        self._machine = StateMachine(snapshot.state)
        self._states = states
        self._ports = ports
        self._sleeper = sleeper
        self._sink = sink
        self._unsaved = False
        # What was in the way of the daemon before us may still be there.
        hindrance = snapshot.hindrance
        self._trouble_since = None if hindrance is None else hindrance.since
        self._retries = 0
        self._log = get_logger()

    def run(
        self, until: frozenset[str] = frozenset(), unless_waiting: frozenset[str] = frozenset()
    ) -> Ending:
        """Step until a terminal state, or one of `until`, is reached and saved, or a stop is asked.

        In the states of `unless_waiting` it also ends where only waiting for jobs is left.
        Whatever the ending, the snapshot is on disk.
        """
        while self._unsaved or self._machine.state not in TERMINAL | until:
            if self._sleeper.should_stop():
                break
            wait_s = self.step()
            if wait_s > 0 and self._machine.state in unless_waiting and self._waits_for_jobs:
                self._ports.millepede.stop()
                return Ending.REACHED
            if wait_s > 0:
                self._sleep(wait_s)
        else:
            state = self._machine.state
            return Ending(state) if state in TERMINAL else Ending.REACHED
        self._ports.millepede.stop()
        return Ending.INTERRUPTED

    @property
    def _waits_for_jobs(self) -> bool:
        return not self._unsaved and bool(self.snapshot.live_attempts)

    def step(self) -> float:
        """Do one step; return how many seconds nothing needs doing."""
        with structlog.contextvars.bound_contextvars(**self._context()):
            try:
                if self._unsaved:
                    self._save(self.snapshot)
                    return 0
                self._sink.check()
                outcome = self._states[self._machine.state](self.snapshot, self._ports)
                return self._take(outcome)
            except Exception as error:  # a bug must not lose the alignment either
                return self._mend(error)

    def _mend(self, error: Exception) -> float:
        if isinstance(error, FencedError):
            raise error
        with suppress(OSError):
            # A successor may be what is in the way: it removes the temporary files it finds, and so
            # stops a save that was cut short between the check and the rename.
            self._sink.check()
        match error:
            case TransientError():
                return self._try_again(str(error), error.delay_s)
            case PermanentError():
                return self._fail(error.reason, error.remedy)
            case AutoIterError():
                return self._fail(str(error), "fix that, then `auto-iter resume`")
            case OSError():
                what = f"{error.filename or 'system'}: {error.strerror}"
                if error.errno in TRANSIENT_ERRNOS:
                    return self._try_again(what, None)
                return self._fail(what, "fix that, then `auto-iter resume`")
        self._log.exception("bug")
        return self._fail(
            f"bug: {type(error).__name__}: {error}",
            "the traceback is in auto_iter.log; report it, then `auto-iter resume`",
        )

    def _take(self, outcome: Outcome) -> float:
        for note in outcome.notes:
            self._say(note)
        if isinstance(outcome, Stay):
            if outcome.snapshot != self.snapshot:
                self._save(outcome.snapshot)
            self._settled()
            return self._until_next_poll() if outcome.wait_s is None else outcome.wait_s
        self._move(outcome)
        self._settled()
        return 0

    def _until_next_poll(self) -> float:
        """Return the poll interval and a little more: who started together shall not poll so."""
        policy = self._ports.policy
        return policy.poll_interval_s * random.uniform(1, 1 + policy.pace.jitter)  # noqa: S311

    def _move(self, fired: Fire) -> None:
        before = self._machine.state
        after = self._machine.fire(fired.event)
        self._log.info("transition", event_fired=fired.event, to=after, from_state=before)
        self._save(fired.snapshot.but(state=after))

    def _save(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._unsaved = True
        try:
            self._sink.check()
            self._sink.save(snapshot)
        except OSError as error:
            # Memory may not run ahead of the disk: nothing else is done until this is written.
            where = error.filename or "checkpoint"
            raise TransientError(f"{where}: {error.strerror}") from None
        self._unsaved = False
        with suppress(OSError):  # a display or a lock file that is gone costs no alignment
            self._sink.seen(snapshot)

    def _try_again(self, message: str, delay_s: float | None) -> float:
        now = self._ports.clock.now()
        if self._trouble_since is None:
            self._trouble_since = now
        self._retries += 1
        backoff = min(FIRST_RETRY_S * 2 ** min(self._retries - 1, 10), LONGEST_RETRY_S)
        wait_s = delay_s if delay_s is not None else backoff * random.uniform(0.9, 1.1)  # noqa: S311
        for_s = round(now - self._trouble_since)
        self._log.warning("trying again", reason=message, for_s=for_s, next_try_s=round(wait_s, 1))
        self._show(Obstacle(reason=message, since=self._trouble_since))
        return wait_s

    def _show(self, hindrance: Obstacle | None) -> None:
        """Have `status` tell what the daemon waits for, unless it is the disk itself."""
        if self._unsaved or hindrance == self.snapshot.hindrance:
            return
        with suppress(TransientError):
            self._save(self.snapshot.but(hindrance=hindrance))

    def _settled(self) -> None:
        if self._trouble_since is not None:
            lasted = round(self._ports.clock.now() - self._trouble_since)
            self._log.info("recovered", lasted_s=lasted)
        self._trouble_since = None
        self._retries = 0
        self._show(None)

    def _fail(self, reason: str, remedy: str) -> float:
        failure = Failure(
            state=self._machine.state, reason=reason, remedy=remedy, at=self._ports.clock.now()
        )
        self._log.error("failed", reason=reason, remedy=remedy)
        try:
            self._move(Fire("fail", self.snapshot.but(failure=failure)))
        except TransientError as error:
            return self._try_again(str(error), error.delay_s)
        return 0

    def _say(self, note: Note) -> None:
        getattr(self._log, note.level)(note.phrase, **note.fields)

    def _sleep(self, wait_s: float) -> None:
        try:
            live = [attempt.submission for attempt in self.snapshot.live_attempts]
            descriptors = [] if self._retries else self._descriptors(live)
            self._sleeper.sleep(wait_s, descriptors, lambda: self._has_news(live))
        except (AutoIterError, OSError) as error:
            self._log.warning("cannot watch the jobs", reason=str(error))
            self._sleeper.sleep(wait_s)

    def _descriptors(self, live: list[Submission]) -> list[int]:
        return [*self._ports.batch.watch(live), *self._ports.millepede.watch()]

    def _has_news(self, live: list[Submission]) -> bool:
        with suppress(OSError):
            self._sink.alive()
        # While something is in the way, news cannot make it go away sooner.
        return not self._retries and self._ports.batch.has_news(live)

    def _context(self) -> dict[str, object]:
        context: dict[str, object] = {
            "iteration": self.snapshot.iteration,
            "state": self._machine.state,
        }
        if self.snapshot.attempts:
            context["cluster"] = self.snapshot.attempts[-1].cluster
        return context
