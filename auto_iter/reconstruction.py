"""The workspace's side of reconstruction: an iteration's directory, its batch, its outputs."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files as shipped
from pathlib import Path

from auto_iter.batch.exitcodes import describe_exit
from auto_iter.batch.payload import job_arguments, submit_text
from auto_iter.config import Config
from auto_iter.envscript import find_env_script, install_env_script
from auto_iter.errors import InputError, PhysicsError, TransientError
from auto_iter.files import write_atomically
from auto_iter.millepede.constants import parse_constants, read_constants, read_text
from auto_iter.millepede.strategy import Strategy
from auto_iter.model import Batch, Job, Problem, Resources, Stage
from auto_iter.rawdata import RawRange, describe_missing, missing, raw_path
from auto_iter.workspace import Iteration, Workspace

_OUTPUT = re.compile(r"kfalignment_(\d{6})_(\d{5})\.root")
_TAIL_BYTES = 4000
_TAIL_LINES = 15


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

    def check_inputs(self) -> None:
        """Raise InputError or UsageError when something that jobs need is not there.

        Writes nothing. All missing raw files are named at once.
        """
        raw_dir = self.config.paths.raw_dir
        if not raw_dir.is_dir():
            raise InputError(f"{raw_dir}: no such raw directory", "set paths.raw_dir")
        lost = missing(raw_dir, self.year, self.run, self.wanted())
        if lost:
            raise InputError(
                f"{lost[0].path.parent}: {len(lost)} of {len(self.wanted())} raw files: "
                f"{describe_missing(lost)}",
                "bring them back and resume",
            )
        find_env_script(self.workspace, self.config)
        for number in sorted(self.wanted())[:1]:
            self._arguments(number, self.stations)
        initial = self.config.alignment.initial_constants
        if initial is not None:
            read_text(initial)

    def prepare(self, stage: Stage) -> None:
        """Make the iteration's directory with everything that its jobs need; may be repeated.

        Raises InputError when the constants to start from, or other inputs, are not there or make
        no sense, PhysicsError when outputs are there that were made with other constants,
        TransientError when the disk refuses.
        """
        paths = self._paths(stage.iteration)
        constants = self._starting_constants(stage)
        self._refuse_other_constants(paths, stage.iteration, constants)
        try:
            for directory in (paths.logs, paths.kfalignment, paths.millepede):
                directory.mkdir(parents=True, exist_ok=True)
            for number in self.wanted():
                paths.job_directory(number).mkdir(parents=True, exist_ok=True)
            install_env_script(self.workspace, self.config)
            _write(paths.reco / "reco_condor_env.sh", self.workspace.env_script.read_text(), 0o755)
            for name in (paths.job_script.name, "aligndb_copy.sh"):
                script = shipped("conf").joinpath("job", name).read_text()
                _write(paths.reco / name, script, 0o755)
            _write(paths.constants, constants)
            everything = self.batch(stage, "", self.wanted(), {}, ())
            _write(paths.submit_description, submit_text(everything, self.config.htcondor))
        except OSError as error:
            raise TransientError(f"{paths.root}: cannot be prepared: {error}") from error

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
        resources: Mapping[str, int],
        avoid_machines: Collection[str],
    ) -> Batch:
        """Return the batch of `numbers`; `resources` (names of `Resources`) override `reco`."""
        paths = self._paths(stage.iteration)
        stations = self.strategy.stations_in(stage, self.stations)
        return Batch(
            key=key,
            directory=paths.reco,
            executable=paths.job_script,
            inputs=(
                paths.reco / "reco_condor_env.sh",
                paths.reco / "aligndb_copy.sh",
                paths.constants,
            ),
            deliver_to=paths.kfalignment,
            jobs=tuple(self._job(paths, number, stations) for number in sorted(numbers)),
            resources=Resources(**(asdict(self._resources()) | dict(resources))),
            avoid_machines=tuple(sorted(avoid_machines)),
        )

    def evidence(self, iteration: int, problem: Problem) -> str:
        """Return what is known of a problem: reason, exit code's meaning, end of the error log."""
        log = self._paths(iteration).job_log(problem.number, "err")
        lines = [f"raw file {problem.number:05d} {problem.trouble}: {problem.reason}"]
        if problem.machine:
            lines[0] += f" (on {problem.machine})"
        if problem.exit_code is not None or problem.signal is not None:
            lines.append(describe_exit(problem.exit_code, problem.signal))
        tail = _tail(log)
        lines.append(f"end of {log}:" if tail else f"{log} is empty or not there")
        return "\n".join(lines + [f"  {line}" for line in tail])

    def _paths(self, iteration: int) -> Iteration:
        return self.workspace.iteration(iteration, self.run)

    def _job(self, paths: Iteration, number: int, stations: int) -> Job:
        return Job(
            number=number,
            arguments=self._arguments(number, stations),
            output=paths.output_name(number),
            directory=str(paths.job_directory(number).relative_to(paths.reco)),
        )

    def _arguments(self, number: int, stations: int) -> tuple[str, ...]:
        raw_dir = self.config.paths.raw_dir.absolute()
        raw = raw_path(raw_dir, self.year, self.run, number)
        return job_arguments(raw, self.run, number, stations, self.config.reco)

    def _resources(self) -> Resources:
        reco = self.config.reco
        return Resources(
            cpus=self.config.htcondor.request_cpus,
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


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Write what is not there yet: jobs of a killed daemon may be reading it."""
    try:
        if path.read_text() == text:
            return
    except (FileNotFoundError, UnicodeDecodeError):
        pass
    write_atomically(path, text, mode=mode)


def _tail(log: Path) -> list[str]:
    try:
        with log.open("rb") as lines:
            lines.seek(max(0, log.stat().st_size - _TAIL_BYTES))
            return lines.read().decode(errors="replace").splitlines()[-_TAIL_LINES:]
    except OSError:
        return []
