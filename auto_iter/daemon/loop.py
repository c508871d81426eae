"""The daemon: one step of the state machine after the other, each saved before the next begins.

`step` is the only place that saves. It runs the current state's action; an outcome that fires moves
the machine, an outcome that stays may carry a write-ahead; either way the new snapshot is on disk
before anything else happens. Errors are decided here too: transient ones are tried again in the
same state, others end in `failed` with what to do.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from enum import StrEnum

import structlog

from auto_iter.alignment.model import Submission
from auto_iter.alignment.snapshot import Failure, Obstacle, Snapshot
from auto_iter.daemon import circles
from auto_iter.daemon.surroundings import Sleeper, SnapshotSink
from auto_iter.daemon.trouble import Passing, judged, warned, without_ticket
from auto_iter.errors import (
    AutoIterError,
    FencedError,
    Hindrance,
    TransientError,
    kind_of,
)
from auto_iter.log.setup import get_logger
from states.decisions import requests
from states.machine import StateMachine
from states.step import Fire, Note, Outcome, Ports, State, Stay
from states.table import TERMINAL


class Ending(StrEnum):
    """How a daemon's life ended."""

    DONE = "done"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    REACHED = "reached"


def say(note: Note) -> None:
    """Write a note of the states into the log."""
    getattr(get_logger(), note.level)(note.phrase, **note.told)


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
        self._circles = circles.Circles()
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
            if self._circles.is_closed(self.snapshot, wait_s):
                self._log.warning("going round, and nothing gets done", remedy=circles.REMEDY)
                wait_s = self._until_next_poll()
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
                wait_s = self._one_step()
            except Exception as error:  # a bug must not lose the alignment either
                wait_s = self._mend(error)
            if not self._unsaved:
                with suppress(TransientError):
                    self._tell()
            return wait_s

    def _one_step(self) -> float:
        absent = without_ticket(self._ports.credentials, self._ports.now())
        if absent is not None:
            return self._try_again(absent)
        if self._unsaved:
            self._save(self.snapshot)
            return 0
        self._sink.check()
        if self._took_requests():
            return 0
        outcome = self._states[self._machine.state](self.snapshot, self._ports)
        return self._take(outcome)

    def _tell(self) -> None:
        """Have people told, by somebody else; remember what is to be told, and what was."""
        settled = self._sink.herald.deliver(self.snapshot.notices.outbox)
        left = self.snapshot.but(notices=self.snapshot.notices.without(settled))
        snapshot = self._sink.herald.noticed(left, self._ports.now())
        if snapshot != self.snapshot:
            self._save(snapshot)
            self._sink.herald.deliver(snapshot.notices.outbox)

    def _took_requests(self) -> bool:
        """Work in what people ask for; tell whether there was anything new."""
        asked = self._sink.inbox.pending()
        snapshot, notes = requests.taken_in(self.snapshot, asked)
        for note in notes:
            say(note)
        if notes:
            self._save(snapshot)
        with suppress(OSError):  # they are known by now, and not done again
            self._sink.inbox.drop(asked)
        return bool(notes)

    def _mend(self, error: Exception) -> float:
        if isinstance(error, FencedError):
            raise error
        with suppress(OSError):
            # A successor may be what is in the way: it removes the temporary files it finds, and so
            # stops a save that was cut short between the check and the rename.
            self._sink.check()
        trouble = judged(error, self._ports.credentials, self._ports.now())
        if isinstance(trouble, Passing):
            return self._try_again(trouble)
        if trouble is not None:
            return self._fail(trouble.reason, trouble.remedy)
        self._log.exception("bug")
        return self._fail(
            f"bug: {type(error).__name__}: {error}",
            "report the traceback that `auto-iter logs` has, then `auto-iter resume`",
        )

    def _take(self, outcome: Outcome) -> float:
        for note in outcome.notes:
            say(note)
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
        # What is to be told of it is written down with it.
        snapshot = self._sink.herald.noticed(snapshot, self._ports.now())
        if snapshot.skipped != self.snapshot.skipped:
            reconstruction = self._ports.reconstruction.without(snapshot.skipped)
            self._ports = replace(self._ports, reconstruction=reconstruction)
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

    def _try_again(self, trouble: Passing) -> float:
        now = self._ports.now()
        if self._trouble_since is None:
            self._trouble_since = now
        self._retries += 1
        wait_s = trouble.pause_s(self._retries)
        seen = Obstacle(reason=trouble.reason, since=self._trouble_since, kind=trouble.kind)
        if trouble.kind is not Hindrance.CREDENTIALS or seen != self.snapshot.hindrance:
            for_s = round(now - self._trouble_since)
            self._log.warning(
                "trying again", reason=trouble.reason, for_s=for_s, next_try_s=round(wait_s, 1)
            )
        self._show(seen)
        return wait_s

    def _show(self, hindrance: Obstacle | None) -> None:
        """Have `status` tell what the daemon waits for, unless it is the disk itself."""
        if self._unsaved or hindrance == self.snapshot.hindrance:
            return
        with suppress(TransientError):
            self._save(self.snapshot.but(hindrance=hindrance))

    def _settled(self) -> None:
        if self._trouble_since is not None:
            lasted = round(self._ports.now() - self._trouble_since)
            self._log.info("recovered", lasted_s=lasted)
        self._trouble_since = None
        self._retries = 0
        self._show(None)
        now_warned = warned(self.snapshot, self._ports.credentials, self._ports.now())
        if now_warned != self.snapshot:
            if now_warned.ticket_warning is not None:
                self._log.warning("credentials", remark=now_warned.ticket_warning)
            self._save(now_warned)

    def _fail(self, reason: str, remedy: str) -> float:
        failure = Failure(
            state=self._machine.state, reason=reason, remedy=remedy, at=self._ports.now()
        )
        self._log.error("failed", reason=reason, remedy=remedy)
        try:
            self._move(Fire("fail", self.snapshot.but(failure=failure)))
        except TransientError as error:
            return self._try_again(Passing(str(error), kind_of(error), error.delay_s))
        return 0

    def _sleep(self, wait_s: float) -> None:
        try:
            live = [attempt.submission for attempt in self.snapshot.live_attempts]
            descriptors: list[int] = []
            if not self._retries:
                descriptors = [*self._ports.batch.watch(live), *self._ports.millepede.watch()]
            self._sleeper.sleep(wait_s, descriptors, lambda: self._has_news(live))
        except (AutoIterError, OSError) as error:
            self._log.warning("cannot watch the jobs", reason=str(error))
            self._sleeper.sleep(wait_s, has_news=self._has_no_news)

    def _has_no_news(self) -> bool:
        with suppress(OSError):
            self._sink.alive()
        return False

    def _has_news(self, live: list[Submission]) -> bool:
        self._has_no_news()
        if self._sink.herald.has_news() and not self._unsaved:
            return True
        with suppress(OSError):
            if not self._sink.inbox.ids() <= set(self.snapshot.taken):
                return True
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
