"""What a workspace tells about its alignment, read as it is: finished iterations only."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from auto_iter.alignment import checkpoint
from auto_iter.alignment.history import IterationRecord
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.file import load_config
from auto_iter.config.schema import Config
from auto_iter.detector.constants import Constants, read_constants, value_of
from auto_iter.detector.labels import PARAMETERS
from auto_iter.detector.stations import WITHOUT_IFT
from auto_iter.errors import AutoIterError, InputError
from auto_iter.millepede.results import ChangeRecord, SolutionRecord
from auto_iter.millepede.strategy.file import default_strategy, load_strategy
from auto_iter.millepede.strategy.whole import Strategy
from auto_iter.weakmodes.truth_file import read_truth
from auto_iter.workspace.paths import Iteration, Workspace

_NAME = re.compile(r"iter(\d{2,})")
ConstantName = tuple[str, str]
"""Key and parameter, e.g. ("10", "rz")."""


@dataclass(frozen=True)
class Finished:
    """One finished iteration: its solution and the constants that it found (mm, rad)."""

    number: int
    paths: Iteration
    solution: SolutionRecord
    constants: Constants

    @cached_property
    def sigma_of(self) -> dict[ConstantName, float | None]:
        """The uncertainty of each constant that was free (mm, rad)."""
        free = (change for change in self.solution.changes if change.free)
        return {(change.key, change.parameter): change.sigma for change in free}

    @property
    def binaries(self) -> list[Path]:
        """The Mille binaries of the fit that are still there, in sorted order."""
        names = set(self.solution.binaries)
        found = sorted(self.paths.mille.glob("*.bin"))
        return [path for path in found if path.name in names] if names else found


@dataclass(frozen=True)
class History:
    """An alignment as far as it is known. `notes`: what could not be read, one line each."""

    title: str
    strategy: Strategy
    start: Constants
    iterations: tuple[Finished, ...]
    truth: Constants | None = None
    snapshot: Snapshot | None = None
    config: Config = field(default_factory=Config)
    notes: tuple[str, ...] = ()

    @property
    def state(self) -> str:
        """The state of the daemon; unknown without a checkpoint that can be read."""
        return "unknown" if self.snapshot is None else self.snapshot.state

    @property
    def records(self) -> tuple[IterationRecord, ...]:
        """What the checkpoint keeps of finished iterations."""
        return () if self.snapshot is None else self.snapshot.history

    @property
    def limit(self) -> float:
        """Below so many uncertainties nothing moves any more, in the last phase."""
        of_phase = [
            phase.convergence_pull
            for phase in self.strategy.phases
            if self.iterations and phase.name == self.last.solution.phase
        ]
        return next(iter(of_phase), None) or self.config.alignment.convergence_pull

    @property
    def subject(self) -> str:
        """Which alignment a figure shows, and how far it is: figures are kept and sent around."""
        return f"{self.title}, after iteration {self.last.number}"

    @property
    def last(self) -> Finished:
        """The last finished iteration."""
        return self.iterations[-1]

    @cached_property
    def free_labels(self) -> dict[int, float]:
        """Every label that was free in any iteration, with its last presigma (mm, rad)."""
        free: dict[int, float] = {}
        for iteration in self.iterations:
            for parameter in iteration.solution.parameters:
                if parameter.presigma >= 0:
                    free[parameter.label] = parameter.presigma
        return dict(sorted(free.items()))

    @cached_property
    def latest_changes(self) -> dict[ConstantName, ChangeRecord]:
        """For every constant: its record from the last iteration in which it was free."""
        latest: dict[ConstantName, ChangeRecord] = {}
        for iteration in self.iterations:
            for change in iteration.solution.changes:
                name = (change.key, change.parameter)
                if change.free or name not in latest or not latest[name].free:
                    latest[name] = change
        return latest

    @cached_property
    def free_constants(self) -> dict[ConstantName, ChangeRecord]:
        """The constants that were free in any iteration, ordered by key, then parameter."""
        names = (name for name, change in self.latest_changes.items() if change.free)
        ordered = sorted(names, key=lambda name: (name[0], PARAMETERS.index(name[1])))
        return {name: self.latest_changes[name] for name in ordered}

    def values(self, name: ConstantName) -> list[float]:
        """Return a constant's value at the start and after each iteration (mm, rad)."""
        states = (self.start, *(iteration.constants for iteration in self.iterations))
        return [value_of(constants, *name) for constants in states]

    def sigmas(self, name: ConstantName) -> list[float]:
        """Return how well each iteration knew a constant (mm, rad); NaN at the start, if fixed."""
        known = [each.sigma_of.get(name) for each in self.iterations]
        return [math.nan, *(math.nan if sigma is None else sigma for sigma in known)]

    def true_value(self, name: ConstantName) -> float | None:
        """Return a constant's true value (mm, rad); None when nobody knows it."""
        if self.truth is None:
            return None
        return value_of(self.truth, *name)

    def until(self, number: int) -> History:
        """Return it as it was after an iteration."""
        known = tuple(each for each in self.iterations if each.number <= number)
        return replace(self, iterations=known)

    @property
    def numbers(self) -> list[int]:
        """The x-axis of `values`: 0 for the start, then the iterations' numbers."""
        return [0, *(iteration.number for iteration in self.iterations)]


def read_history(root: Path) -> History:
    """Read the workspace at `root`. Raises InputError when there is none."""
    if not root.is_dir():
        raise InputError(f"{root}: no such workspace", "give the directory of an alignment")
    workspace = Workspace(root)
    notes: list[str] = []
    config = _config(workspace, notes)
    snapshot = _snapshot(workspace, notes)
    iterations = _iterations(workspace, notes)
    return History(
        _title(workspace, snapshot),
        _strategy(workspace, config, notes),
        _start(workspace, notes),
        tuple(iterations),
        _truth(workspace, config, notes),
        snapshot,
        config,
        tuple(notes),
    )


def _config(workspace: Workspace, notes: list[str]) -> Config:
    if not workspace.config.is_file():
        notes.append("no config.yaml, defaults assumed")
        return Config()
    try:
        return load_config(workspace.config)
    except AutoIterError as error:
        notes.append(f"{error}; defaults assumed")
        return Config()


def _strategy(workspace: Workspace, config: Config, notes: list[str]) -> Strategy:
    copy = workspace.strategy
    try:
        return load_strategy(copy if copy.is_file() else config.alignment.strategy)
    except InputError as error:
        otherwise = default_strategy(WITHOUT_IFT)
        notes.append(f"{error}; labels read as by {otherwise}")
        return load_strategy(otherwise)


def _snapshot(workspace: Workspace, notes: list[str]) -> Snapshot | None:
    try:
        snapshot, backup = checkpoint.load(workspace.checkpoint)
    except AutoIterError as error:
        notes.append(str(error))
        return None
    if backup:
        notes.append(backup)
    return snapshot


def _title(workspace: Workspace, snapshot: Snapshot | None) -> str:
    if snapshot is None:
        return workspace.root.resolve().name
    arguments = snapshot.arguments
    if arguments.run is None:
        title = f"{arguments.files.summary} ({arguments.year})"
    else:
        title = f"run {arguments.run:06d} ({arguments.year}), files {arguments.files.text}"
    return f"{title}, {arguments.stations} stations"


def _iterations(workspace: Workspace, notes: list[str]) -> list[Finished]:
    found: list[Finished] = []
    for directory in sorted(workspace.root.glob("iter*")):
        match = _NAME.fullmatch(directory.name)
        paths = Iteration(directory, 0)
        if match is None or not paths.solution.is_file():
            continue
        try:
            solution = SolutionRecord.model_validate_json(paths.solution.read_bytes())
            constants = read_constants(paths.new_constants)
        except (OSError, ValidationError, InputError) as error:
            notes.append(f"{directory.name} is left out: {str(error).splitlines()[0]}")
            continue
        found.append(Finished(int(match[1]), paths, solution, constants))
    return found


def _start(workspace: Workspace, notes: list[str]) -> Constants:
    path = Iteration(workspace.root / "iter01", 0).constants
    return (_noted(read_constants, path, notes) if path.is_file() else None) or {}


def _truth(workspace: Workspace, config: Config, notes: list[str]) -> Constants | None:
    path = config.simulation.truth
    if path is None:
        return None
    return _noted(read_truth, path if path.is_absolute() else workspace.root / path, notes)


def _noted(read: Callable[[Path], Constants], path: Path, notes: list[str]) -> Constants | None:
    """Return what `read` reads; None, and a note, where it cannot."""
    try:
        return read(path)
    except InputError as error:
        notes.append(str(error))
        return None
