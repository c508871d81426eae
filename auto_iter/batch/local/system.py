"""The embedded batch system: jobs on this machine, with the guarantees of a real one.

A submission is a directory of records, made by one rename. Its jobs are started by a detached queue
process and watched by detached starters, so they outlive the daemon; this class only reads the
records, starts a queue process where one is missing, and buries jobs whose starter was killed.
Jobs that run on another machine (the workspace is on a shared disk) are left alone and counted as
running while their starters give signs of life: only that machine can tell, or end them.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ParamSpec, TypeVar

import auto_iter
from auto_iter.alignment.model import Batch, Problem, Remedy, Resources, Submission, Tally
from auto_iter.alignment.ports import Clock
from auto_iter.batch.holds import decide
from auto_iter.batch.local.job import marker
from auto_iter.batch.local.queue import mark_lost
from auto_iter.batch.local.records import (
    Event,
    Header,
    Ledger,
    Records,
    append_event,
    journal_lock,
    log_event,
    open_ledger,
    read_header,
    sync_journal,
    write_submission,
)
from auto_iter.batch.local.watch import Watch
from auto_iter.config.batch import Holds
from auto_iter.errors import InputError, TransientError
from auto_iter.files import sync_directory
from auto_iter.processes import ends as processes
from auto_iter.processes.identity import Identity

P = ParamSpec("P")
R = TypeVar("R")

_QUEUE_START_S = 30.0
_QUEUE_RESTART_S = 2.0
_UNFINISHED = ".new-"

SILENT_AFTER_S = 1800.0
"""Another machine's starter that gave no sign of life for so long is gone, and its job lost."""


def _translated(method: Callable[P, R]) -> Callable[P, R]:
    """Make trouble with the disk a TransientError: nothing of the records is half-written."""

    @functools.wraps(method)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return method(*args, **kwargs)
        except (OSError, subprocess.SubprocessError) as error:
            raise TransientError(f"local batch system: {error}") from error

    return call


def _why_lost(records: Records, number: int, starter: Identity) -> str | None:
    """Return why a job that should run does not; None while it does, as far as we can tell."""
    if starter.is_here:
        if starter.is_alive:
            return None
        return "its starter was killed, or the machine went down"
    try:
        silent_s = time.time() - records.sign_of_life(number).stat().st_mtime
    except FileNotFoundError:
        return None
    if silent_s < SILENT_AFTER_S:
        return None
    return f"{starter.host} gave no sign of life for {silent_s / 60:.0f} minutes"


@dataclass(frozen=True)
class Limits:
    """How much runs at once, and how hard limits are.

    `slots` jobs run at once, by default one for each core that we may use. Jobs get `grace_s`
    seconds between SIGTERM and SIGKILL.
    """

    slots: int | None = None
    enforce_memory: bool = True
    grace_s: float = 5.0


class LocalBatch:
    """Jobs of one workspace on this machine; a `BatchSystem`."""

    name = "local"

    def __init__(  # noqa: PLR0913 - what a test replaces
        self,
        records: Path,
        workspace_id: str,
        *,
        clock: Clock,
        rng: random.Random,
        limits: Limits | None = None,
        holds: Holds | None = None,
    ) -> None:
        self._root = records.absolute()
        self._workspace_id = workspace_id
        self._clock = clock
        self._rng = rng
        self._limits = limits or Limits()
        self._holds = holds or Holds()
        self._slots = self._limits.slots or len(os.sched_getaffinity(0))
        self._ledgers: dict[str, Ledger] = {}
        self._headers: dict[str, Header] = {}
        self._queue_started: dict[str, float] = {}
        self._watch = Watch()

    def new_key(self, iteration: int, attempt: int) -> str:
        """Return the submission key; what was submitted under it before is found in the records."""
        return f"{self._workspace_id}-{iteration:02d}-{attempt:02d}"

    @_translated
    def find(self, key: str) -> Submission | None:
        """Return the submission under `key`, or None: the records are complete, always."""
        for cluster in self._clusters():
            header = self._header(cluster)
            if header.key == key:
                return Submission(key, cluster, header.jobs, header.submitted_at)
        return None

    def limits(self) -> tuple[int | None, int | None]:
        """Return that there are none."""
        return None, None

    @_translated
    def submit(self, batch: Batch) -> Submission:
        """Submit a batch by one rename; what is there under its key is returned as it is."""
        found = self.find(batch.key)
        if found is not None:
            self._ensure_queue(found.cluster)
            return found
        self._root.mkdir(parents=True, exist_ok=True)
        self._make_slots()
        now = self._clock.now()
        with self._submit_lock():
            unnamed = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=self._root))
            try:
                unnamed.chmod(0o755)
                own_marker = f"{self._workspace_id}-{self._rng.getrandbits(64):016x}"
                write_submission(unnamed, batch, own_marker, now)
                cluster = str(max(map(int, self._clusters()), default=0) + 1)
                unnamed.rename(self._root / cluster)
            except BaseException:
                shutil.rmtree(unnamed, ignore_errors=True)
                raise
            sync_directory(self._root)
        self._ensure_queue(cluster)
        return Submission(batch.key, cluster, len(batch.jobs), now)

    @_translated
    def poll(self, submission: Submission) -> Tally:
        """Return how the submission stands, from what the journal has gained since the last time.

        Jobs whose starter was killed become lost; a queue process that is missing is started.
        """
        ledger = self._ledger(submission.cluster)
        ledger.refresh()
        header = self._header(submission.cluster)
        for number, running in list(ledger.running.items()):
            why = _why_lost(ledger.records, number, running.starter)
            if why is not None:
                mark_lost(ledger, header, number, running.starter.pid, why)
        self._ensure_queue(submission.cluster)
        return ledger.tally()

    def fetch(self, submission: Submission) -> None:
        """Do nothing: starters bring outputs home themselves."""

    def remedy(self, problem: Problem, releases: int) -> Remedy:
        """Return what is done about a held job: the hold codes here are HTCondor's."""
        return decide(problem, releases, self._holds)

    @_translated
    def release(
        self, submission: Submission, numbers: Collection[int], resources: Resources | None = None
    ) -> None:
        """Let held jobs run again, with other resources when given; others are left as they are."""
        changed = {} if resources is None else asdict(resources)
        changed = {name: value for name, value in changed.items() if value is not None}
        ledger = self._ledger(submission.cluster)
        with journal_lock(ledger.records):
            ledger.refresh()
            for number in sorted(set(numbers) & ledger.held.keys()):
                self._note(ledger, {"event": "released", "job": number, "resources": changed})
            sync_journal(ledger.records)
            ledger.refresh()
        self._ensure_queue(submission.cluster)

    @_translated
    def remove(
        self, submission: Submission, reason: str, numbers: Collection[int] | None = None
    ) -> None:
        """End jobs for good; on return no process of theirs is left.

        Takes at most the grace time and a few seconds more.
        """
        ledger = self._ledger(submission.cluster)
        header = self._header(submission.cluster)
        with journal_lock(ledger.records):
            ledger.refresh()
            chosen = self._all_numbers(ledger) if numbers is None else set(numbers)
            chosen -= ledger.ended
            running = {
                number: each.starter for number, each in ledger.running.items() if number in chosen
            }
            for number in sorted(chosen):
                event = "removing" if number in running else "removed"
                self._note(ledger, {"event": event, "job": number, "reason": reason})
            sync_journal(ledger.records)
        self._end(running, submission.cluster)
        with journal_lock(ledger.records):
            ledger.refresh()
            for number in sorted(running.keys() & ledger.running.keys()):
                processes.sweep(marker(header, number))
                self._note(ledger, {"event": "removed", "job": number, "reason": reason})
            sync_journal(ledger.records)
            ledger.refresh()

    @_translated
    def declare_lost(self, host: str) -> int:
        """Record the jobs that run on another machine as lost, and return how many those were.

        Only for who knows that the machine called `host` is gone for good.
        """
        count = 0
        for cluster in self._clusters():
            ledger = self._ledger(cluster)
            ledger.refresh()
            for number, running in list(ledger.running.items()):
                if running.starter.host == host and not running.starter.is_here:
                    why = f"{host} was declared gone"
                    mark_lost(ledger, self._header(cluster), number, running.starter.pid, why)
                    count += 1
        return count

    def retire(self, submission: Submission) -> None:
        """Do nothing: records are small, and `find` has to know the key for ever."""

    @_translated
    def watch(self, submissions: Collection[Submission]) -> Iterable[int]:
        """Return descriptors that become readable at once when a job ends, starts or is held."""
        ledgers = [self._ledger(submission.cluster) for submission in submissions]
        starters = [
            running.starter.pid
            for ledger in ledgers
            for running in ledger.running.values()
            if running.starter.is_here
        ]
        armed = self._watch.arm([ledger.records.journal for ledger in ledgers], starters)
        # What happened between the last poll and now would otherwise be slept over.
        return [*armed, self._watch.ready()] if self.has_news(submissions) else armed

    @_translated
    def has_news(self, submissions: Collection[Submission]) -> bool:
        """Tell whether a poll would show a change, or would have something to repair."""
        return any(self._has_news(submission.cluster) for submission in submissions)

    def close(self) -> None:
        """Give the file descriptors of `watch` back; jobs and records stay."""
        self._watch.close()

    def _has_news(self, cluster: str) -> bool:
        ledger = self._ledger(cluster)
        return (
            ledger.has_news()
            or any(
                _why_lost(ledger.records, number, running.starter) is not None
                for number, running in ledger.running.items()
            )
            or (self._may_start_queue(cluster) and not self._has_queue(ledger.records))
        )

    def _clusters(self) -> list[str]:
        if not self._root.is_dir():
            return []
        return sorted((path.name for path in self._root.iterdir() if path.name.isdigit()), key=int)

    def _header(self, cluster: str) -> Header:
        if cluster not in self._headers:
            self._headers[cluster] = read_header(Records(self._root / cluster))
        return self._headers[cluster]

    def _ledger(self, cluster: str) -> Ledger:
        if cluster not in self._ledgers:
            root = self._root / cluster
            if not Records(root).header.exists():
                raise InputError(f"{root}: the records of submission {cluster} are gone")
            self._ledgers[cluster] = open_ledger(root)
        return self._ledgers[cluster]

    def _all_numbers(self, ledger: Ledger) -> set[int]:
        with ledger.records.jobs.open() as lines:
            return {json.loads(line)["number"] for line in lines}

    def _note(self, ledger: Ledger, event: Event) -> None:
        now = self._clock.now()
        append_event(ledger.records, event | {"time": now})
        when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(now))
        text = f"{event['event']}: {event['reason']}" if "reason" in event else event["event"]
        log_event(self._header(ledger.cluster), event["job"], when, text)

    @contextlib.contextmanager
    def _submit_lock(self) -> Iterator[None]:
        with (self._root / "submit.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            for left_over in self._root.glob(f"{_UNFINISHED}*"):
                shutil.rmtree(left_over, ignore_errors=True)
            yield

    def _make_slots(self) -> Path:
        """Make the lock files of exactly so many slots as are configured now."""
        slots = self._root / "slots"
        slots.mkdir(exist_ok=True)
        for number in range(self._slots):
            (slots / f"{number:04d}").touch()
        for surplus in sorted(slots.iterdir())[self._slots :]:
            surplus.unlink()
        return slots

    def _has_queue(self, records: Records) -> bool:
        """Tell whether a queue process holds its lock."""
        with records.queue_lock.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return True
        return False

    def _may_start_queue(self, cluster: str) -> bool:
        """Tell whether jobs wait for a queue process, and the last start is not just now.

        One that cannot stay up (a full disk, a broken installation) must not be started in a loop.
        """
        last = self._queue_started.get(cluster, -_QUEUE_RESTART_S)
        is_time = time.monotonic() - last >= _QUEUE_RESTART_S
        return is_time and self._ledger(cluster).tally().idle > 0

    def _ensure_queue(self, cluster: str) -> None:
        """Start the submission's queue process when jobs wait and there is none."""
        ledger = self._ledger(cluster)
        if not self._may_start_queue(cluster) or self._has_queue(ledger.records):
            return
        self._queue_started[cluster] = time.monotonic()
        command = [
            sys.executable,
            "-m",
            "auto_iter.batch.local.queue",
            str(ledger.records.root),
            str(self._make_slots()),
            "1" if self._limits.enforce_memory else "0",
            str(self._limits.grace_s),
        ]
        with ledger.records.queue_log.open("ab") as log:
            # It forks and its first process ends at once: nobody has to reap it later.
            subprocess.run(
                command,
                cwd=Path(auto_iter.__file__).parent.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                timeout=_QUEUE_START_S,
                check=False,
            )

    def _end(self, running: dict[int, Identity], cluster: str) -> None:
        """Make starters end their jobs; kill the starters themselves when they do not."""
        abroad = sorted(number for number, starter in running.items() if not starter.is_here)
        if abroad:
            host = running[abroad[0]].host
            raise TransientError(
                f"jobs {abroad} of submission {cluster} run on {host}: end them there, or, when "
                f"that machine is gone for good, here: auto-iter stop --lost {host}"
            )
        alive = [starter for starter in running.values() if starter.is_alive]
        processes.send([starter.pid for starter in alive], signal.SIGTERM)
        processes.wait_ended(alive, self._limits.grace_s + 3.0)
        stubborn = [starter.pid for starter in alive if starter.is_alive]
        processes.send(stubborn, signal.SIGKILL)
