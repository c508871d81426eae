"""What a workspace tells about its alignment, read as it is: finished iterations only."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pydantic import ValidationError

from auto_iter.alignment import checkpoint
from auto_iter.config.file import load_config
from auto_iter.config.schema import Config
from auto_iter.detector.constants import ZERO, Constants, read_constants
from auto_iter.detector.labels import PARAMETERS
from auto_iter.errors import AutoIterError, InputError
from auto_iter.millepede.results import ChangeRecord, SolutionRecord
from auto_iter.millepede.strategy.file import default_strategy, load_strategy
from auto_iter.millepede.strategy.whole import WITHOUT_IFT, Strategy
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

    @property
    def binaries(self) -> list[Path]:
        """The Mille binaries that are still there, in sorted order."""
        return sorted(self.paths.mille.glob("*.bin"))


@dataclass(frozen=True)
class History:
    """An alignment as far as it is known. `notes`: what could not be read, one line each."""

    title: str
    strategy: Strategy
    start: Constants
    iterations: tuple[Finished, ...]
    truth: Constants | None = None
    state: str = "unknown"
    notes: tuple[str, ...] = ()

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
        key, parameter = name
        at = PARAMETERS.index(parameter)
        states = (self.start, *(iteration.constants for iteration in self.iterations))
        return [constants.get(key, ZERO)[at] for constants in states]

    def true_value(self, name: ConstantName) -> float | None:
        """Return a constant's true value (mm, rad); None when nobody knows it."""
        if self.truth is None:
            return None
        return self.truth.get(name[0], ZERO)[PARAMETERS.index(name[1])]

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
    title, state = _title(workspace, notes)
    iterations = _iterations(workspace, notes)
    return History(
        title,
        _strategy(workspace, config, notes),
        _start(workspace, notes),
        tuple(iterations),
        _truth(workspace, config, notes),
        state,
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


def _title(workspace: Workspace, notes: list[str]) -> tuple[str, str]:
    try:
        snapshot, backup = checkpoint.load(workspace.checkpoint)
    except AutoIterError as error:
        notes.append(str(error))
        return workspace.root.resolve().name, "unknown"
    if backup:
        notes.append(backup)
    arguments = snapshot.arguments
    title = f"run {arguments.run:06d} ({arguments.year}), files {arguments.files.text}"
    return f"{title}, {arguments.stations} stations", snapshot.state


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
