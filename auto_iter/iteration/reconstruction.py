"""The workspace's side of reconstruction: an iteration's directory, its batch, its outputs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
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
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.rawfiles import RawRange, describe_missing, missing, raw_path
from auto_iter.workspace.heritage import Heritage
from auto_iter.workspace.paths import Iteration, Workspace

_OUTPUT = re.compile(r"kfalignment_(\d{6})_(\d{5})\.root")

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
    run: int
    files: RawRange
    strategy: Strategy
    stations: int
    excluded: frozenset[int] = frozenset()
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
        find_env_script(self.workspace, self.config)
        payload.refuse_missing_programs(self.config.reco)
        for number in sorted(wanted)[:1]:
            self._driver.refuse_batch(self.batch(Stage(1), "", [number], {}, ()))
        initial = self.config.alignment.initial_constants
        if initial is not None:
            read_text(initial)

    @property
    def _driver(self) -> BatchDriver:
        return driver_of(self.config, self.dag_key)

    def mend_found(self, iteration: int, expected: str) -> str | None:
        """See `Heritage.mend_found`."""
        mended = self._heritage.mend_found(iteration, expected)
        return None if mended is None else str(mended)

    def mend_start(self, stage: Stage, expected: str) -> Mended | None:
        """See `Heritage.mend_start`."""
        mended = self._heritage.mend_start(
            stage.iteration, expected, lambda: self._starting_constants(stage)
        )
        return None if mended is None else Mended(str(mended[0]), mended[1])

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
            self._make_outputs_directory(paths)
            for number in self.wanted():
                paths.job_directory(number).mkdir(parents=True, exist_ok=True)
            install_env_script(self.workspace, self.config)
            env_script = self.workspace.env_script.read_text()
            payload.install(paths, env_script, constants, self.config.reco)
            everything = self.batch(stage, "", self.wanted(), {}, ())
            name, text = self._driver.submit_file(everything)
            payload.write_changed(paths.reco / name, text)
            # Jobs are submitted next, and bring their outputs into these whatever happens to us.
            for directory in (paths.root, self.workspace.root):
                sync_directory(directory)
        except OSError as error:
            raise TransientError(f"{paths.root}: cannot be prepared: {error}") from error
        return digest(constants.encode())

    def _outputs_directory(self, paths: Iteration) -> Path:
        """Return where the iteration's outputs lie: `2kfalignment`, or what that is a link to."""
        elsewhere, usual = self.config.paths.outputs_dir, paths.kfalignment
        if elsewhere is None or (usual.exists() and not usual.is_symlink()):
            return usual
        return elsewhere / self.workspace.root.name / paths.root.name / usual.name

    def _make_outputs_directory(self, paths: Iteration) -> None:
        directory = self._outputs_directory(paths)
        directory.mkdir(parents=True, exist_ok=True)
        if directory == paths.kfalignment or paths.kfalignment.is_symlink():
            return
        if any(directory.iterdir()):
            raise InputError(
                f"{directory}: holds outputs of another alignment of this name",
                "move that directory away, or set paths.outputs_dir to another one",
            )
        paths.kfalignment.symlink_to(directory)

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
        """Return the path of the constants that `iteration` starts from."""
        return str(self._paths(iteration).constants.absolute())

    def wanted(self) -> frozenset[int]:
        """Return the raw-file numbers that every iteration reconstructs."""
        return frozenset(self.files.numbers) - self.excluded

    def delivered(self, iteration: int) -> frozenset[int]:
        """Return the raw-file numbers whose output lies in `2kfalignment`."""
        directory = self._paths(iteration).kfalignment
        try:
            names = [path.name for path in directory.iterdir()]
        except FileNotFoundError:
            return frozenset()
        except OSError as error:
            raise TransientError(f"{directory}: cannot be read: {error}") from error
        matches = filter(None, map(_OUTPUT.fullmatch, names))
        return frozenset(int(match[2]) for match in matches if int(match[1]) == self.run)

    def reject(self, iteration: int, number: int) -> None:
        """Rename a bad output to `*.bad`, so that its raw file counts as outstanding again."""
        output = self._paths(iteration).output(number)
        try:
            output.replace(output.with_name(f"{output.name}.bad"))
        except FileNotFoundError:
            return
        except OSError as error:
            raise TransientError(f"{output}: cannot be set aside: {error}") from error

    def batch(
        self,
        stage: Stage,
        key: str,
        numbers: Collection[int],
        memory_mb: Mapping[int, int],
        avoid_machines: Collection[str],
    ) -> Batch:
        """Return the batch of `numbers`; `memory_mb` (raw file → need) counts where it is more."""
        paths = self._paths(stage.iteration)
        stations = self.strategy.stations_in(stage, self.stations)
        return Batch(
            key=key,
            directory=paths.reco,
            executable=paths.job_script,
            inputs=payload.inputs(paths, self.config.reco),
            deliver_to=self._outputs_directory(paths),
            jobs=tuple(self._job(paths, number, stations, memory_mb) for number in sorted(numbers)),
            resources=self._resources(),
            avoid_machines=tuple(sorted(avoid_machines)),
        )

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
        return Job(
            number=number,
            arguments=self._arguments(number, stations),
            output=paths.output_name(number),
            directory=str(paths.job_directory(number).relative_to(paths.reco)),
            memory_mb=needed_mb if needed_mb > self.config.reco.memory_mb else None,
        )

    def _arguments(self, number: int, stations: int) -> tuple[str, ...]:
        raw_dir = self.config.paths.raw_dir.absolute()
        raw = raw_path(raw_dir, self.year, self.run, number)
        readable = through(self.config.paths.raw_url, raw)
        return job_arguments(readable, self.run, number, stations, self.config.reco)

    def _resources(self) -> Resources:
        reco = self.config.reco
        return Resources(
            cpus=self._driver.cpus,
            memory_mb=reco.memory_mb,
            disk_mb=reco.disk_mb,
            time_limit_s=reco.time_limit_s,
        )

    def _starting_constants(self, stage: Stage) -> str:
        """Return what the iteration reconstructs with: the last one's result, or the given ones."""
        phase = self.strategy.phases[stage.phase]
        begins_anew = stage.within == 1 and phase.start == "initial"
        if stage.iteration > 1 and not begins_anew:
            return read_text(self._paths(stage.iteration - 1).new_constants)
        initial = self.config.alignment.initial_constants
        return "" if initial is None else read_text(initial)
