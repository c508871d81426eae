"""The records of the local batch system: one directory for each submission.

`batch/<cluster>/` holds `submission.json` (what every job shares), `jobs.jsonl` (one line a job)
and `journal` (what happened, one line an event, only ever appended to). The journal is the only
truth about the jobs' course: who appends to it rings, and who wants to know reads on from where he
stopped.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from auto_iter.alignment.model import Batch, Job, Problem, Resources, Tally, Trouble
from auto_iter.batch.local.bell import ring
from auto_iter.files import naming, sync_directory
from auto_iter.processes.identity import Identity
from auto_iter.rawfiles import file_tag
from auto_iter.times import to_the_second

Event = dict[str, Any]

_INTENTS = {"removing": "removed", "holding": "held"}
"""What is noted before a running job is ended, and how it has ended then."""


@dataclass(frozen=True)
class Records:
    """The files of one submission."""

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

    def sign_of_life(self, number: int) -> Path:
        """Return what a job's starter touches while it lives: other machines see no more of it."""
        return self.root / f"alive.{file_tag(number)}"

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Keep everybody else from deciding about these jobs; kill -9 sets it free."""
        with self.journal.open("rb") as held:
            with naming(self.journal):
                fcntl.flock(held, fcntl.LOCK_EX)
            yield

    def append(self, event: Event) -> None:
        """Add an event to the journal, in one write, and wake who waits for it.

        The line break before it ends whatever a killed writer may have left unfinished.
        """
        with naming(self.journal), self.journal.open("ab", buffering=0) as journal:
            line = b"\n" + json.dumps({**event, "time": time.time()}).encode() + b"\n"
            if journal.write(line) != len(line):
                raise OSError(errno.ENOSPC, "the journal could only be written in part")
        ring(self.root.parent)

    def sync(self) -> None:
        """Make what the journal holds survive a power cut."""
        with naming(self.journal), self.journal.open("rb") as journal:
            os.fsync(journal.fileno())

    def read(self, offset: int) -> tuple[list[Event], int]:
        """Return the events from byte `offset` on, and where to read on next time."""
        with naming(self.journal), self.journal.open("rb") as journal:
            journal.seek(offset)
            fresh = journal.read()
        whole = fresh[: fresh.rfind(b"\n") + 1]
        events = []
        for line in whole.splitlines():
            with contextlib.suppress(ValueError):  # blank, or cut off by a kill
                events.append(json.loads(line))
        return events, offset + len(whole)


@dataclass(frozen=True)
class Submitted:
    """A batch as its records tell it; every process of its jobs carries `marker`."""

    batch: Batch
    submitted_at: float
    marker: str


def write_submission(root: Path, batch: Batch, marker: str, submitted_at: float) -> None:
    """Write the records of a new submission into the (not yet named) directory `root`.

    Paths are relative to the directory that holds `root`: a workspace can be moved.
    """
    records, home = Records(root), root.parent
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
    records.jobs.write_text("".join(json.dumps(asdict(job)) + "\n" for job in batch.jobs))
    records.header.write_text(json.dumps(header, indent=1))
    for path in (records.jobs, records.header):
        with path.open("rb") as written, naming(path):
            os.fsync(written.fileno())
    sync_directory(root)


def read_header(records: Records) -> Mapping[str, Any]:
    """Return what `write_submission` wrote of all jobs. Raises OSError, ValueError."""
    with naming(records.header):
        header: dict[str, Any] = json.loads(records.header.read_text())
    return header


def read_submission(records: Records) -> Submitted:
    """Return what was submitted. Raises OSError, ValueError."""
    raw = read_header(records)
    with naming(records.jobs):
        lines = records.jobs.read_text().splitlines()
    jobs = (json.loads(line) for line in lines)
    home = records.root.parent

    def absolute(name: str) -> Path:
        return Path(os.path.normpath(home / name))

    batch = Batch(
        key=raw["key"],
        directory=absolute(raw["directory"]),
        executable=absolute(raw["executable"]),
        inputs=tuple(absolute(name) for name in raw["inputs"]),
        deliver_to=absolute(raw["deliver_to"]),
        jobs=tuple(Job(**(job | {"arguments": tuple(job["arguments"])})) for job in jobs),
        resources=Resources(**raw["resources"]),
    )
    return Submitted(batch, raw["submitted_at"], raw["marker"])


@dataclass(frozen=True)
class Running:
    """A job that runs, and the starter that runs it.

    `memory_mb`: what it may use before it is held, None where nobody looks. `verdict`: how it ends
    once its starter was told to end it.
    """

    starter: Identity
    memory_mb: int | None = None
    verdict: Event | None = None


@dataclass
class Ledger:
    """How the jobs of a submission stand: the journal, replayed as far as `offset`."""

    records: Records
    submitted: Submitted
    offset: int = 0
    running: dict[int, Running] = field(default_factory=dict)
    held: dict[int, Problem] = field(default_factory=dict)
    ended: set[int] = field(default_factory=set)
    failed: dict[int, Problem] = field(default_factory=dict)
    runs: dict[int, int] = field(default_factory=dict)
    changed: dict[int, Event] = field(default_factory=dict)

    @classmethod
    def of(cls, root: Path) -> Ledger:
        """Return the ledger of the submission in `root`, read up to now."""
        ledger = cls(Records(root), read_submission(Records(root)))
        ledger.refresh()
        return ledger

    def refresh(self) -> None:
        """Read on in the journal."""
        events, self.offset = self.records.read(self.offset)
        for event in events:
            self._apply(event)

    def has_news(self) -> bool:
        """Tell whether the journal grew since it was read."""
        return self.records.journal.stat().st_size > self.offset

    def is_idle(self, number: int) -> bool:
        """Tell whether a job waits for its (next) start."""
        return not (number in self.running or number in self.held or number in self.ended)

    def resources(self, job: Job) -> Resources:
        """Return what a job may use: its own of what all have, and what a release gave it."""
        own = {} if job.memory_mb is None else {"memory_mb": job.memory_mb}
        return replace(self.submitted.batch.resources, **(own | self.changed.get(job.number, {})))

    def tally(self) -> Tally:
        """Return the submission's tally."""
        running, held, ended = len(self.running), len(self.held), len(self.ended)
        problems = (*self.held.values(), *self.failed.values())
        return Tally(
            idle=len(self.submitted.batch.jobs) - running - held - ended,
            running=running,
            held=held,
            ended=ended,
            problems=tuple(sorted(problems, key=lambda problem: problem.number)),
        )

    def note(self, event: Event) -> None:
        """Append an event, and tell people in the job's log. To be synced by the caller."""
        self.records.append(event)
        text = f"{event['event']}: {event['reason']}" if "reason" in event else event["event"]
        self.log(event["job"], text)

    def log(self, number: int, text: str, at: float | None = None) -> None:
        """Add a line to a job's event log, for people."""
        when = to_the_second(time.time() if at is None else at)
        log = self.submitted.batch.directory / "logs" / f"reco_{file_tag(number)}.log"
        with contextlib.suppress(OSError), log.open("a") as lines:
            lines.write(f"{when} {text}\n")

    def marker(self, number: int) -> str:
        """Return what every process of a job carries in its environment."""
        return f"{self.submitted.marker}/{number}"

    def _apply(self, event: Event) -> None:
        number, what = event["job"], event["event"]
        if what == "started":
            self.runs[number] = event["run"]
            self.running[number] = Running(Identity(**event["starter"]), event.get("memory_mb"))
        elif what in _INTENTS:
            if number in self.running:  # else it was over before
                verdict = event | {"event": _INTENTS[what]}
                self.running[number] = replace(self.running[number], verdict=verdict)
        elif what == "released":
            self.held.pop(number, None)
            self.changed[number] = self.changed.get(number, {}) | event["resources"]
        else:
            self._stop_counting(event)

    def _stop_counting(self, event: Event) -> None:
        number, what = event["job"], event["event"]
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
            job_id=f"{self.records.root.name}.{event['job']}",
            memory_mb=event.get("memory_mb"),
        )
