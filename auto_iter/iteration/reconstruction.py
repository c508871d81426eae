"""The workspace's side of reconstruction: an iteration's directory, its batch, its outputs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from auto_iter.alignment.model import Batch, Job, Problem, Resources, Stage
from auto_iter.alignment.ports import Mended
from auto_iter.batch.driver import BatchDriver
from auto_iter.batch.job import job_arguments, through
from auto_iter.batch.registry import driver_of
from auto_iter.config.schema import Config
from auto_iter.detector.constants import parse_constants, read_constants, read_text
from auto_iter.errors import InputError, PhysicsError, TransientError
from auto_iter.files import digest, refuse_full_disk, sync_directory
from auto_iter.iteration import payload
from auto_iter.iteration.envscript import find_env_script, install_env_script
from auto_iter.iteration.evidence import evidence, met_full_disk
from auto_iter.iteration.outputs import Outputs
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.rawfiles import describe_missing, missing, raw_path, run_and_number
from auto_iter.several_runs import RawFiles
from auto_iter.workspace.crowded import nearly_full, refuse_crowded
from auto_iter.workspace.heritage import Heritage
from auto_iter.workspace.paths import Iteration, Workspace

DISK_AGAIN_S = 10.0
"""How often a full disk is looked at again."""


@dataclass(frozen=True)
class WorkspaceReconstruction:
    """The reconstruction of one alignment; a `Reconstruction`.

    `excluded` are raw files that were missing when the alignment began and that it goes without:
    decided once, so that every iteration sees the same tracks. `stations` is 3 or 4, for phases of
    the strategy that do not say how many they reconstruct.
    """

    workspace: Workspace
    config: Config
    year: int
    run: int | None
    files: RawFiles
    strategy: Strategy
    stations: int
    excluded: frozenset[int] = frozenset()
    skipped: Mapping[int, int] = field(default_factory=dict)
    """Raw files that a person left out later, and the first iteration without each."""
    dag_key: str | None = None
    """Where DAGMan submits the jobs: the key of its DAG."""

    def check_inputs(self) -> None:
        """Raise InputError or UsageError when something that jobs need is not there.

        Writes nothing. All missing raw files are named at once.
        """
        raw_dir, wanted = self.config.paths.raw_dir, self.wanted()
        lost = missing(raw_dir, self.year, self.run, wanted)
        if lost:
            raise InputError(describe_missing(lost, len(wanted)), "bring them back and resume")
        refuse_crowded(self.workspace.root, len(wanted))
        find_env_script(self.workspace, self.config)
        payload.refuse_missing_programs(self.config.reco)
        for number in sorted(wanted)[:1]:
            self._driver.refuse_batch(self.batch(Stage(1), "", [number], {}, ()))
        if self._initial is not None:
            read_text(self._initial)

    @property
    def _initial(self) -> Path | None:
        """The constants that the alignment begins with; None: it begins without."""
        configured, own = self.config.alignment.initial_constants, self.workspace.initial_constants
        return own if configured is None and own.is_file() else configured

    @property
    def _driver(self) -> BatchDriver:
        return driver_of(self.config, self.dag_key)

    def mend_found(self, iteration: int, expected: str) -> str | None:
        """See `Heritage.mend_found`."""
        return self._heritage.mend_found(iteration, expected)

    def mend_start(self, stage: Stage, expected: str) -> Mended | None:
        """See `Heritage.mend_start`."""
        usual = partial(self._starting_constants, stage)
        return self._heritage.mend_start(stage.iteration, expected, usual)

    @property
    def _heritage(self) -> Heritage:
        return Heritage(self.workspace, self.run)

    def prepare(self, stage: Stage) -> str:
        """Make the iteration's directory with everything that its jobs need; may be repeated.

        Returns the hash of the constants that it starts from. Raises InputError when these, or
        other inputs, are not there or make no sense, PhysicsError when outputs are there that were
        made with other constants, TransientError when the disk refuses.
        """
        paths = self._paths(stage.iteration)
        constants = self._starting_constants(stage)
        self._refuse_other_constants(paths, stage.iteration, constants)
        try:
            for directory in (paths.logs, paths.millepede):
                directory.mkdir(parents=True, exist_ok=True)
            self.outputs(stage.iteration).make_directory()
            for number in self.wanted():
                paths.job_directory(number).mkdir(parents=True, exist_ok=True)
            install_env_script(self.workspace, self.config)
            env_script = self.workspace.env_script.read_text()
            payload.install(paths, env_script, constants, self.config.reco)
            payload.write_changed(*self.submit_file(stage))
            # Jobs are submitted next, and bring their outputs into these whatever happens to us.
            for directory in (paths.root, self.workspace.root):
                sync_directory(directory)
        except OSError as error:
            raise TransientError(f"{paths.root}: cannot be prepared: {error}") from error
        return digest(constants.encode())

    def crowded(self, iteration: int) -> str:
        """Return in words which directories are nearly full, or will be; "" where none is.

        Of the iteration, and of the one before, where something may have grown that nobody foresaw.
        """
        root, before = self.workspace.root, self._paths(max(iteration - 1, 1))
        places = {root.parent: [], root: [], before.millepede: [], **before.expected_names(())}
        return nearly_full({**places, **self._paths(iteration).expected_names(self.wanted())})

    @property
    def cpus(self) -> int:
        """Processors of one job."""
        return self._driver.cpus

    def submit_file(self, stage: Stage) -> tuple[Path, str]:
        """Return where an iteration's submit description is, or will be, and what it says."""
        everything = self.batch(stage, "", self.wanted(), {}, ())
        name, text = self._driver.submit_file(everything)
        return self._paths(stage.iteration).reco / name, text

    def outputs(self, iteration: int) -> Outputs:
        """Return the outputs of an iteration."""
        return Outputs(self._paths(iteration), self.config.paths.outputs_dir)

    def _refuse_other_constants(self, paths: Iteration, iteration: int, constants: str) -> None:
        """Raise PhysicsError when outputs are there that were made with other constants."""
        if not paths.constants.exists():
            return  # not there yet, or lost: it is written again
        try:
            differ = read_constants(paths.constants) != parse_constants(constants)
        except InputError:
            differ = True
        if differ and self.delivered(iteration):
            raise PhysicsError(
                f"{paths.kfalignment}: reconstructed with other constants than this iteration "
                f"starts from now",
                f"move {paths.root} away to reconstruct it again, or restore {paths.constants}",
            )

    def constants_of(self, iteration: int) -> str:
        """Return where, in the workspace, the constants are that `iteration` starts from."""
        return str(self._paths(iteration).constants.relative_to(self.workspace.root))

    def found_by(self, iteration: int) -> str:
        """Return where, in the workspace, the constants are that `iteration` found."""
        return str(self._paths(iteration).new_constants.relative_to(self.workspace.root))

    def wanted(self) -> frozenset[int]:
        """Return the raw-file numbers that iterations reconstruct from now on."""
        return frozenset(self.files.numbers) - self.excluded - frozenset(self.skipped)

    def delivered(self, iteration: int) -> frozenset[int]:
        """Return the raw-file numbers whose output lies in `2kfalignment`."""
        found = self.outputs(iteration).delivered()
        return found - {number for number, first in self.skipped.items() if iteration >= first}

    def without(self, skipped: Mapping[int, int]) -> WorkspaceReconstruction:
        """Return the same, leaving out raw files from an iteration on: number → that iteration."""
        return replace(self, skipped=skipped)

    def reject(self, iteration: int, number: int) -> None:
        """Rename a bad output to `*.bad`, so that its raw file counts as outstanding again."""
        self.outputs(iteration).reject(number)

    def batch(
        self,
        stage: Stage,
        key: str,
        numbers: Collection[int],
        memory_mb: Mapping[int, int],
        avoid_machines: Collection[str],
    ) -> Batch:
        """Return the batch of `numbers`; `memory_mb` (raw file → need) counts where it is more."""
        paths, reco = self._paths(stage.iteration), self.config.reco
        stations = self.strategy.stations_in(stage, self.stations)
        return Batch(
            key=key,
            directory=paths.reco,
            executable=paths.job_script,
            inputs=payload.inputs(paths, reco),
            deliver_to=self.outputs(stage.iteration).directory,
            jobs=tuple(self._job(paths, number, stations, memory_mb) for number in sorted(numbers)),
            resources=Resources(self.cpus, reco.memory_mb, reco.disk_mb, reco.time_limit_s),
            avoid_machines=tuple(sorted(avoid_machines)),
        )

    def recipe(self, iteration: int) -> str:
        """Return the hash of what jobs are made of: the submit description of one, and its files.

        Paths are those of the first iteration, files those of this one. Raises TransientError.
        """
        one = self.batch(Stage(1), "", sorted(self.wanted())[:1], {}, ())
        _, description = self._driver.submit_file(one)
        texts = payload.recipe(self._paths(iteration), self.config.reco)
        return digest("\0".join([description, *texts]).encode())

    def check_room(self) -> None:
        """Raise TransientError when the workspace's disk takes no more files."""
        try:
            self._refuse_full_disks()
        except OSError as error:
            raise TransientError(
                f"{error.filename}: {error.strerror}: make room there", DISK_AGAIN_S
            ) from None

    def _refuse_full_disks(self) -> None:
        for directory in (self.workspace.root, self.config.paths.outputs_dir):
            if directory is not None and directory.is_dir():
                refuse_full_disk(directory)

    def met_full_disk(self, iteration: int, problem: Problem, *, was_full: bool) -> bool:
        """Tell whether a job failed because the workspace's disk is, or was, full."""
        paths, use = self._paths(iteration), self._driver.disk_use
        return met_full_disk(paths, problem, use, self._is_full, was_full=was_full)

    def _is_full(self) -> bool:
        try:
            self._refuse_full_disks()
        except OSError:
            return True
        return False

    def evidence(self, iteration: int, problem: Problem) -> str:
        """Return what is known of a problem: reason, exit code's meaning, end of the error log."""
        return evidence(self._paths(iteration), problem)

    def _paths(self, iteration: int) -> Iteration:
        return self.workspace.iteration(iteration, self.run)

    def _job(
        self, paths: Iteration, number: int, stations: int, memory_mb: Mapping[int, int]
    ) -> Job:
        needed_mb = memory_mb.get(number, 0)
        run, file = run_and_number(number, self.run)
        raw = raw_path(self.config.paths.raw_dir.absolute(), self.year, run, file)
        readable = through(self.config.paths.raw_url, raw)
        return Job(
            number=number,
            arguments=job_arguments(readable, run, file, stations, self.config.reco),
            output=paths.output_name(number),
            directory=str(paths.job_directory(number).relative_to(paths.reco)),
            memory_mb=needed_mb if needed_mb > self.config.reco.memory_mb else None,
        )

    def _starting_constants(self, stage: Stage) -> str:
        """Return what the iteration reconstructs with: the last one's result, or the given ones."""
        phase = self.strategy.phases[stage.phase]
        begins_anew = stage.within == 1 and phase.start == "initial"
        if stage.iteration > 1 and not begins_anew:
            return read_text(self._paths(stage.iteration - 1).new_constants)
        return "" if self._initial is None else read_text(self._initial)
