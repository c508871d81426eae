"""A whole alignment in this process: the daemon, real files, no child processes and no job scripts.

Jobs are the simulated reconstruction, run while the daemon sleeps. What it made once of a raw file
and of constants is kept: alignments that go right cost their conversions and solutions only.
"""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import structlog

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.model import Batch
from auto_iter.alignment.policy import Policy
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.file import load_config
from auto_iter.config.schema import Config
from auto_iter.daemon import lifecycle as app
from auto_iter.daemon.lifecycle import Opened
from auto_iter.daemon.loop import Daemon, Ending
from auto_iter.daemon.making import create_workspace
from auto_iter.daemon.visits import acceptance
from auto_iter.detector.constants import read_constants
from auto_iter.files import digest
from auto_iter.iteration import worker
from auto_iter.iteration.chain import Chain
from auto_iter.iteration.workers import Workers
from auto_iter.log.setup import logging_to
from auto_iter.processes.children import Child
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.reconstruct import reconstruct
from auto_iter.simulation.simulate import Options, simulate
from auto_iter.workspace.paths import Iteration, Workspace
from states import actions
from states.step import Ports
from tests.support.alone import NoCredentials, sink_of
from tests.support.fakes import MemoryBatch
from tests.support.twins import FrozenClock, TwinSleeper

RUN, FILES = 11705, (400, 401)


@dataclass(frozen=True)
class SiteHere:
    """A simulated detector, and what its reconstruction made so far."""

    directory: Path
    config: Path
    raw_files: Mapping[int, Path]

    @classmethod
    def build(cls, directory: Path, events: int = 450) -> SiteHere:
        """Simulate."""
        options = Options(files=FILES, beam=Beam(events=events))
        simulated = simulate(directory / "sim", options)
        (directory / "made").mkdir()
        return cls(directory, simulated.config, dict(zip(FILES, simulated.raw_files, strict=True)))

    def run_jobs(self, batch: Batch, numbers: Sequence[int]) -> None:
        """Deliver what the jobs of a batch make of their raw files."""
        (constants,) = (path for path in batch.inputs if path.name == "inputforalign.txt")
        for number in numbers:
            (job,) = (each for each in batch.jobs if each.number == number)
            made = self.directory / "made" / f"{digest(constants.read_bytes())}-{number}.root"
            if not made.exists():
                raw = self.raw_files[number]
                reconstruct(raw, read_constants(constants), made, with_ift=False)
            # as jobs deliver: with the time of now
            partial = batch.deliver_to / f".{job.output}"
            shutil.copyfile(made, partial)
            partial.replace(batch.deliver_to / job.output)


class _Over:
    """A process that is over."""

    pid = 0

    def __init__(self, returncode: int) -> None:
        self.returncode = returncode

    def wait(self, _limit_s: float | None = None) -> int:
        """Return the exit code."""
        return self.returncode

    poll = wait


class ChildHere(Child):
    """A child whose work was done in this process."""

    def stop(self) -> None:
        self.finish()


def start_here(
    command: list[str],
    *,
    env: Mapping[str, str],
    workspace: Path,
    numbers: frozenset[int] = frozenset(),
    scratch: tuple[Path, ...] = (),
) -> Child:
    """Do what the worker does; the report, which is no part of the chain, is not made."""
    del env, workspace
    said = io.StringIO()
    code = 0
    if "auto_iter.iteration.worker" in command:
        with contextlib.redirect_stderr(said):
            code = worker.main(command[-2:])
    over = cast("subprocess.Popen[bytes]", _Over(code))
    nothing = os.open(os.devnull, os.O_RDONLY)
    return ChildHere(over, io.BytesIO(said.getvalue().encode()), nothing, numbers, scratch)


@dataclass
class AlignmentHere:
    """A workspace, and the daemons that work on it one after the other."""

    site: SiteHere
    root: Path
    batch: MemoryBatch = field(default_factory=lambda: MemoryBatch(FrozenClock()))

    @classmethod
    def begin(
        cls,
        site: SiteHere,
        directory: Path,
        *settings: str,
        iterations: int = 2,
        files: str = "400-402",
    ) -> AlignmentHere:
        """Make a workspace."""
        given = (
            f"paths.work_dir={directory}",
            "millepede.solver=builtin",
            "alignment.strategy=3st",
        )
        config = load_config(site.config, (*given, *settings))
        arguments = Arguments(year=2023, run=RUN, files=files, iterations=iterations)
        workspace = app.locate(arguments, config)
        create_workspace(workspace, arguments, config, allow_missing=False, now=0.0)
        return cls(site, workspace.root)

    def copied(self, directory: Path) -> AlignmentHere:
        """Return a copy to be spoiled; nothing of it is younger than in the original."""
        return AlignmentHere(
            self.site, Path(shutil.copytree(self.root, directory / self.root.name))
        )

    @property
    def opened(self) -> Opened:
        """The workspace as a command opens it."""
        return app.open_workspace(self.root)

    @property
    def snapshot(self) -> Snapshot:
        """What the checkpoint holds."""
        return self.opened.snapshot

    def iteration(self, number: int) -> Iteration:
        """Return where an iteration's files are."""
        return Workspace(self.root).iteration(number, RUN)

    def constants(self) -> dict[int, str]:
        """Return what each iteration found."""
        found = sorted(self.root.glob("iter*/3millepede/inputforalign.txt"))
        return {int(path.parents[1].name[4:]): path.read_text() for path in found}

    def said(self) -> str:
        """Return the log so far."""
        return Workspace(self.root).log.read_text()

    def resume(
        self, *overrides: str, until: Sequence[str] = (), iterations: int | None = None
    ) -> Ending:
        """Do what `resume` does (`iterations`: its -i), up to one of some states or to the end."""
        opened = self.opened
        acceptance.complete(opened.workspace, opened.snapshot)
        opened = app.change(opened, iterations, overrides)
        snapshot = app.revive(opened.snapshot, 0.0)
        checkpoint.save(opened.workspace.checkpoint, snapshot)
        ports = self._ports(opened)
        sleeper = TwinSleeper(FrozenClock(), self._work)
        memory = sink_of(lambda new: checkpoint.save(opened.workspace.checkpoint, new))
        daemon = Daemon(snapshot, actions.ALL, ports, sleeper, memory)
        try:
            with logging_to(opened.workspace.log, opened.config.log):
                while daemon.snapshot.state in until and daemon.snapshot.state == snapshot.state:
                    daemon.step()
                return daemon.run(frozenset(until))
        finally:
            structlog.reset_defaults()  # as other tests in this process find it

    def _ports(self, opened: Opened) -> Ports:
        config: Config = opened.config
        strategy = app.the_strategy(opened)
        workers = Workers(opened.workspace, os.environ, start_here)
        arguments, out = opened.snapshot.arguments, app.held_out_files(opened)
        return Ports(
            credentials=NoCredentials(),
            batch=self.batch,
            reconstruction=app.reconstruction(opened),
            millepede=Chain(opened.workspace, arguments, strategy, config, workers, held_out=out),
            now=self.batch.clock.now,
            policy=Policy(config.reco, config.alignment),
            plan=strategy.plan(config),
        )

    def _work(self, _seconds: float) -> None:
        for each in list(self.batch.submissions.values()):
            self.site.run_jobs(each.batch, sorted(each.idle))
            for number in sorted(each.idle):
                self.batch.end(each.submission, number)
