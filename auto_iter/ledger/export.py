"""Constants for the conditions database: the site's own files, and what a person needs with them.

The job script writes them as it does for every reconstruction job, so nothing here knows formats;
`reco.reader` reads them back, and every digit is compared. Nothing is ever uploaded.
"""

from __future__ import annotations

import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import auto_iter
from auto_iter.alignment.attempt import Record
from auto_iter.alignment.history import IterationRecord, record_of
from auto_iter.batch.exitcodes import describe_exit
from auto_iter.batch.job import job_arguments
from auto_iter.config.presets import tag_chain
from auto_iter.daemon.lifecycle import Opened, open_workspace
from auto_iter.detector.constants import parse_constants, read_constants
from auto_iter.errors import InputError, JobError, PhysicsError, UsageError
from auto_iter.files import write_atomically
from auto_iter.iteration import payload
from auto_iter.iteration.envscript import find_env_script
from auto_iter.ledger.places import NO_RESULT, whole_directory
from auto_iter.times import to_the_second
from auto_iter.workspace.hashes import differs, digests_below
from auto_iter.workspace.manifest import chain
from auto_iter.workspace.paths import Iteration

TIME_LIMIT_S = 1800.0
NO_RAW = "/dev/null"
"""The job script's raw file, where nothing is reconstructed."""
LAST_LINES = 5
"""So many of a failed script's last lines are told."""


@dataclass(frozen=True)
class Wanted:
    """What is asked: `place` is made; `since`, `until`: runs; `force`: why in spite of doubts."""

    iteration: int | None = None
    place: Path | None = None
    since: int | None = None
    until: int | None = None
    description: str = ""
    force: str | None = None


@dataclass(frozen=True)
class _Subject:
    """What is exported, as asked, and what speaks against it."""

    opened: Opened
    record: IterationRecord
    wanted: Wanted
    doubts: tuple[str, ...]


class ExportRecord(Record):
    """`export.json`: what was exported. `files`: SHA-256 by name. `until`: None: open.

    `manifest`: the hash of the iteration's. `read_back`: by which program; empty: by none.
    `doubts`: why it would have been refused, and `forced` the reason given all the same.
    """

    format: int = 1
    workspace: str
    iteration: int
    verdict: str
    since: int
    until: int | None
    tag: str
    chain: str
    description: str
    constants: str
    manifest: str
    files: dict[str, str]
    read_back: str
    doubts: tuple[str, ...]
    forced: str | None
    exported_at: float
    host: str
    version: str
    command: tuple[str, ...]


def export(root: Path, wanted: Wanted, env: Mapping[str, str], now: float) -> ExportRecord:
    """Write an export directory, whole or not at all; return what its record says.

    Raises UsageError where there is nothing to export, the place is taken, or doubts are not
    answered by `force`; InputError for damaged constants; JobError where the site's programs fail,
    PhysicsError where what is read back is not what was written.
    """
    opened = open_workspace(root)
    record = _record(opened, wanted.iteration)
    place = wanted.place or opened.workspace.root / f"export-iter{record.iteration:02d}"
    doubts = tuple(_doubts(opened, record))
    if doubts and wanted.force is None:
        raise UsageError(
            f"{root}: not exported: {'; '.join(doubts)}; --force 'REASON' does it all the same, "
            "and keeps the reason"
        )
    paths = opened.workspace.iteration(record.iteration, opened.snapshot.arguments.run)
    if differs(paths.new_constants, record.hashes.constants):
        raise InputError(f"{paths.new_constants}: does not match its checksum", "restore it")
    with whole_directory(place.absolute()) as made:
        _write_database(opened, paths.new_constants.read_text(), made, env)
        reader = _read_back(opened, paths.new_constants, made)
        _add_evidence(made, opened, paths, record)
        told = _told(_Subject(opened, record, wanted, doubts), made, reader, now)
        write_atomically(made / "README.txt", _text(told))
        write_atomically(made / "export.json", told.model_dump_json(indent=1) + "\n")
    return told


def _record(opened: Opened, number: int | None) -> IterationRecord:
    """Return the iteration meant: the one given, else the one with the result."""
    root, history = opened.workspace.root, opened.snapshot.history
    if number is None and history:
        if opened.snapshot.result is None:
            raise UsageError(
                f"{root}: {NO_RESULT}; --iteration N exports what an iteration found all the same"
            )
        return opened.snapshot.result
    return record_of(history, number, str(root))


def _doubts(opened: Opened, record: IterationRecord) -> Iterator[str]:
    """Yield why these constants should not go into a database."""
    verdict = opened.snapshot.verdict
    if verdict is None:
        yield f"the alignment has no verdict: it is in {opened.snapshot.state}"
    elif not verdict.converged:
        yield verdict.sentence
    elif record.iteration != opened.snapshot.history[-1].iteration:
        yield f"it converged after iteration {record.iteration}"
    if record.by_hand is not None:
        yield record.by_hand
    for link in chain(opened.workspace, opened.snapshot.history):
        if link.fault:
            yield f"iteration {link.record.iteration}: {link.fault}"
    if opened.config.reco.reader is None:
        yield "nothing reads it back: reco.reader is not set"


def _write_database(opened: Opened, constants: str, made: Path, env: Mapping[str, str]) -> None:
    """Have the job script write the site's files into `made`."""
    asked, reco = opened.snapshot.arguments, opened.config.reco
    arguments = job_arguments(NO_RAW, asked.runs[0], 0, asked.stations, reco)
    extra = ["--export", str(made)]
    if reco.reader is not None:
        extra += ["--reader", reco.reader]
    with tempfile.TemporaryDirectory(prefix="auto-iter-export-") as scratch:
        sandbox = Iteration(Path(scratch), asked.run)
        sandbox.reco.mkdir()
        payload.install(sandbox, find_env_script(opened.workspace, opened.config), constants, reco)
        command = ["bash", sandbox.job_script.name, *extra, *arguments]
        try:
            done = subprocess.run(
                command, cwd=sandbox.reco, env=dict(env), capture_output=True, text=True,
                errors="replace", stdin=subprocess.DEVNULL, timeout=TIME_LIMIT_S, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise JobError(f"the export took longer than {TIME_LIMIT_S:g} s") from None
    if done.returncode != 0:
        said = " | ".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
        raise JobError(f"{describe_exit(done.returncode)}: {said}")


def _read_back(opened: Opened, constants: Path, made: Path) -> str:
    """Return what read the constants back, having seen that they are the same; empty: nothing."""
    reader = opened.config.reco.reader
    if reader is None:
        return ""
    path = made / "read_back.txt"
    found = parse_constants(path.read_text(), f"{reader}'s output")
    if found != read_constants(constants):
        raise PhysicsError(
            f"{reader} reads back other constants than were written",
            "look at reco.writer, reco.output_tag and reco.reader; nothing was exported",
        )
    path.unlink()
    return reader


def _told(subject: _Subject, made: Path, reader: str, now: float) -> ExportRecord:
    opened, record, wanted = subject.opened, subject.record, subject.wanted
    tags, verdict = tag_chain(opened.config.reco), opened.snapshot.verdict
    since, until = _valid(opened.snapshot.arguments.runs, wanted)
    return ExportRecord(
        workspace=opened.workspace.root.name,
        iteration=record.iteration,
        verdict="none" if verdict is None else verdict.sentence,
        since=since,
        until=until,
        tag=tags.output_tag,
        chain=str(tags),
        description=wanted.description,
        constants=record.hashes.constants,
        manifest=record.manifest,
        files=digests_below(made, filter(Path.is_file, made.rglob("*"))),
        read_back=reader,
        doubts=subject.doubts,
        forced=wanted.force if subject.doubts else None,
        exported_at=now,
        host=platform.node(),
        version=auto_iter.__version__,
        command=("auto-iter", *sys.argv[1:]),
    )


def _valid(runs: Sequence[int], wanted: Wanted) -> tuple[int, int | None]:
    """Return first and last run; None: open. Several runs in one fit span an interval themselves.

    Raises UsageError when it ends before it begins.
    """
    since = runs[0] if wanted.since is None else wanted.since
    until = runs[-1] if wanted.until is None and len(runs) > 1 else wanted.until
    if until is not None and until < since:
        raise UsageError(f"valid from run {since} to {until}: give --since and --until")
    return since, until


def _add_evidence(made: Path, opened: Opened, paths: Iteration, record: IterationRecord) -> None:
    """Put constants and manifest beside the database's files."""
    write_atomically(made / "inputforalign.txt", paths.new_constants.read_bytes())
    manifest = opened.workspace.manifest(record.iteration)
    if manifest.is_file():
        write_atomically(made / manifest.name, manifest.read_bytes())


def _text(told: ExportRecord) -> str:
    until = "until further notice" if told.until is None else f"to run {told.until:06d}"
    when = to_the_second(told.exported_at)
    lines = [
        f"Alignment constants of {told.workspace}, iteration {told.iteration}",
        *([told.description] if told.description else []),
        f"valid: from run {told.since:06d} {until}",
        f"tag: {told.tag} ({told.chain})",
        f"verdict: {told.verdict}",
        f"read back: {'every digit, by ' + told.read_back if told.read_back else 'NO'}",
        *(f"doubt: {each}" for each in told.doubts),
        *([f"exported all the same: {told.forced}"] if told.forced is not None else []),
        f"made by auto-iter {told.version} on {told.host}, {when}",
        "",
        "Nothing has been uploaded. SHA-256 of the files:",
        *(f"{value}  {name}" for name, value in told.files.items()),
    ]
    return "\n".join(lines) + "\n"
