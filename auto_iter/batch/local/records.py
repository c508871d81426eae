"""The records of the local batch system: one directory for each submission.

`batch/<cluster>/` holds `submission.json` (what every job shares), `jobs.jsonl` (one line a job),
`journal` (what happened, one line an event, only ever appended to) and `queue.lock`. The journal is
the only truth about the jobs' course; whoever wants to know reads on from where it stopped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from auto_iter.alignment.model import Batch, Job, Problem, Resources, Tally, Trouble
from auto_iter.files import naming, sync_directory
from auto_iter.processes.identity import Identity

Event = dict[str, Any]


@dataclass(frozen=True)
class Records:
    """The paths of one submission's records."""

    root: Path

    @property
    def header(self) -> Path:
        """What every job shares; its presence makes the directory a submission."""
        return self.root / "submission.json"

    @property
    def jobs(self) -> Path:
        """The jobs, one line each, in the order in which they start."""
        return self.root / "jobs.jsonl"

    @property
    def journal(self) -> Path:
        """What happened."""
        return self.root / "journal"

    @property
    def queue_lock(self) -> Path:
        """Held by the submission's queue process, whose identity it contains."""
        return self.root / "queue.lock"

    def sign_of_life(self, number: int) -> Path:
        """Return what a job's starter touches while it lives: other machines see no more of it."""
        return self.root / f"alive.{number:05d}"

    @property
    def queue_log(self) -> Path:
        """Whatever queue process and starters have to complain about."""
        return self.root / "queue.log"


@dataclass(frozen=True)
class Header:
    """What every job of a submission shares. Paths are absolute here, relative on disk."""

    key: str
    jobs: int
    submitted_at: float
    marker: str
    directory: Path
    executable: Path
    inputs: tuple[Path, ...]
    deliver_to: Path
    resources: Resources


def write_submission(root: Path, batch: Batch, marker: str, submitted_at: float) -> None:
    """Write the records of a new submission into the (not yet named) directory `root`.

    Paths are relative to the directory that holds `root`: a workspace can be moved.
    """
    records = Records(root)
    with records.jobs.open("w") as lines:
        lines.writelines(json.dumps(asdict(job)) + "\n" for job in batch.jobs)
    home = root.parent
    header = {
        "key": batch.key,
        "jobs": len(batch.jobs),
        "submitted_at": submitted_at,
        "marker": marker,
        "directory": os.path.relpath(batch.directory, home),
        "executable": os.path.relpath(batch.executable, home),
        "inputs": [os.path.relpath(path, home) for path in batch.inputs],
        "deliver_to": os.path.relpath(batch.deliver_to, home),
        "resources": asdict(batch.resources),
    }
    records.journal.touch()
    records.queue_lock.touch()
    records.header.write_text(json.dumps(header, indent=1))
    for path in (records.jobs, records.header):
        with path.open("rb") as written, naming(path):
            os.fsync(written.fileno())
    sync_directory(root)


def read_header(records: Records) -> Header:
    """Return what the jobs of a submission share. Raises OSError, ValueError."""
    with naming(records.header):
        raw = json.loads(records.header.read_text())
    home = records.root.parent

    def absolute(name: str) -> Path:
        return Path(os.path.normpath(home / name))

    return Header(
        key=raw["key"],
        jobs=raw["jobs"],
        submitted_at=raw["submitted_at"],
        marker=raw["marker"],
        directory=absolute(raw["directory"]),
        executable=absolute(raw["executable"]),
        inputs=tuple(absolute(name) for name in raw["inputs"]),
        deliver_to=absolute(raw["deliver_to"]),
        resources=Resources(**raw["resources"]),
    )


def read_jobs(records: Records) -> list[Job]:
    """Return the jobs of a submission, in the order in which they start."""
    jobs = []
    with naming(records.jobs):
        lines = records.jobs.read_text().splitlines()
    for line in lines:
        raw = json.loads(line)
        jobs.append(Job(**(raw | {"arguments": tuple(raw["arguments"])})))
    return jobs


@contextlib.contextmanager
def journal_lock(records: Records) -> Iterator[None]:
    """Keep everybody else from deciding about this submission's jobs; kill -9 sets it free."""
    with records.journal.open("rb") as held:
        with naming(records.journal):
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def append_event(records: Records, event: Event) -> None:
    """Add an event to the journal, in one write.

    The line break before it ends whatever a killed writer may have left unfinished.
    """
    with naming(records.journal), records.journal.open("ab", buffering=0) as journal:
        line = b"\n" + json.dumps(event).encode() + b"\n"
        if journal.write(line) != len(line):
            raise OSError(errno.ENOSPC, "the journal could only be written in part")


def sync_journal(records: Records) -> None:
    """Make what the journal holds survive a power cut."""
    with naming(records.journal), records.journal.open("rb") as journal:
        os.fsync(journal.fileno())


def read_events(records: Records, offset: int) -> tuple[list[Event], int]:
    """Return the events from byte `offset` of the journal on, and where to read on next time."""
    with naming(records.journal), records.journal.open("rb") as journal:
        journal.seek(offset)
        fresh = journal.read()
    whole = fresh[: fresh.rfind(b"\n") + 1]
    events = []
    for line in whole.splitlines():
        with contextlib.suppress(ValueError):  # blank, or cut off by a kill
            events.append(json.loads(line))
    return events, offset + len(whole)


@dataclass(frozen=True)
class Running:
    """A job that runs: its starter, and the how-manieth run of the job it is (from 1)."""

    starter: Identity
    run: int


@dataclass
class Ledger:
    """How the jobs of a submission stand: the journal, replayed as far as `offset`."""

    records: Records
    cluster: str
    total: int
    offset: int = 0
    running: dict[int, Running] = field(default_factory=dict)
    held: dict[int, Problem] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    failed: dict[int, Problem] = field(default_factory=dict)
    runs: dict[int, int] = field(default_factory=dict)
    starters: dict[int, int] = field(default_factory=dict)
    resources: dict[int, Event] = field(default_factory=dict)

    def refresh(self) -> list[Event]:
        """Read on in the journal and return what is new."""
        events, self.offset = read_events(self.records, self.offset)
        for event in events:
            self._apply(event)
        return events

    def has_news(self) -> bool:
        """Tell whether the journal grew since it was read."""
        return self.records.journal.stat().st_size > self.offset

    def is_idle(self, number: int) -> bool:
        """Tell whether a job waits for its (next) start."""
        return not (number in self.running or number in self.held or number in self.ended)

    def tally(self) -> Tally:
        """Return the submission's tally."""
        running, held, ended = len(self.running), len(self.held), len(self.ended)
        problems = (*self.held.values(), *self.failed.values())
        return Tally(
            idle=self.total - running - held - ended,
            running=running,
            held=held,
            ended=ended,
            problems=tuple(sorted(problems, key=lambda problem: problem.number)),
        )

    def _apply(self, event: Event) -> None:
        number, what = event["job"], event["event"]
        if what == "started":
            starter = Identity(**event["starter"])
            self.runs[number], self.starters[number] = event["run"], starter.pid
            self.running[number] = Running(starter, event["run"])
            return
        if what == "removing":
            return  # an intent: the starter ends the job and then says so
        if what == "released":
            self.held.pop(number, None)
            self.resources[number] = self.resources.get(number, {}) | event["resources"]
            return
        self.running.pop(number, None)
        self.held.pop(number, None)
        if what == "held":
            self.held[number] = self._problem(Trouble.HELD, event)
            return
        self.ended.add(number)
        if what != "ended":
            self.failed[number] = self._problem(Trouble(what), event)
        elif event.get("signal") is not None or event.get("exit_code") != 0:
            self.failed[number] = self._problem(Trouble.FAILED, event)

    def _problem(self, trouble: Trouble, event: Event) -> Problem:
        return Problem(
            number=event["job"],
            trouble=trouble,
            reason=event.get("reason", ""),
            code=event.get("code"),
            subcode=event.get("subcode"),
            exit_code=event.get("exit_code"),
            signal=event.get("signal"),
            machine=event.get("machine"),
            job_id=f"{self.cluster}.{event['job']}",
            memory_mb=event.get("memory_mb"),
        )


def open_ledger(root: Path) -> Ledger:
    """Return the ledger of the submission in `root`, read up to now."""
    records = Records(root)
    ledger = Ledger(records, root.name, read_header(records).jobs)
    ledger.refresh()
    return ledger


def log_event(header: Header, number: int, when: str, text: str) -> None:
    """Add a line to a job's event log, for people."""
    log = header.directory / "logs" / f"reco_{number:05d}.log"
    with contextlib.suppress(OSError), log.open("a") as lines:
        lines.write(f"{when} {text}\n")
