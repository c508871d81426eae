"""One run of a solver in a directory: pede itself, or the built-in one. Same files either way."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt

from auto_iter.errors import PhysicsError
from auto_iter.millepede.causes import RefusalError, read_rejects
from auto_iter.millepede.pede import OUTPUT, Limits, find_pede, require_pede, run_pede
from auto_iter.millepede.pede_end import TOO_MANY_REJECTS, Ending, Verdict, ending_of
from auto_iter.millepede.pede_log import FitFigures, read_log
from auto_iter.millepede.requests import Solver

if TYPE_CHECKING:
    from auto_iter.millepede.spectrum import Spectrum

FIRST_MODULE_LABEL = 10_000


@dataclass(frozen=True)
class StepEnd:
    """How a step ended. `covariance` (label pairs) only where the solver tells it."""

    ending: Ending
    figures: FitFigures
    covariance: Mapping[tuple[int, int], float] = field(default_factory=dict)
    said: str = ""
    remedy: str = ""  # what helps in this case; else the exit code's advice holds
    notes: tuple[str, ...] = ()  # what the built-in solver has to say about its result
    spectrum: Spectrum | None = None

    def raise_if_failed(self, step: str, directory: Path) -> None:
        """Raise RefusalError when the result must not be used."""
        if self.ending.verdict is Verdict.FAIL:
            said = f": {self.said}" if self.said else ""
            raise RefusalError(
                f"pede, {step}: exit code {self.ending.code}, {self.ending.meaning}{said} "
                f"({directory})",
                self.remedy or self.ending.remedy,
            )

    def warnings(self, step: int) -> list[str]:
        """Return what a person should know about a result that is used all the same."""
        if self.ending.verdict is not Verdict.WARN:
            return []
        return [f"step {step}: pede {self.ending.meaning}; {self.ending.remedy}"]


@dataclass(frozen=True)
class Engine:
    """What solves: `program` is a pede, None the built-in solver.

    `modes`: how many of the least determined combinations the built-in solver shall tell.
    """

    program: Path | None
    env: Mapping[str, str]
    limits: Limits
    modes: int = 0

    @property
    def name(self) -> Literal["builtin", "pede"]:
        """Return which one it is."""
        return "builtin" if self.program is None else "pede"

    def run(self, directory: Path, steering: str) -> StepEnd:
        """Solve `steering` in `directory`.

        Raises what `run_pede` raises; InputError for what the built-in solver does not do.
        """
        if self.program is None:
            with _time_limit(self.limits.time_s):
                return _run_builtin(directory, steering, modes=self.modes)
        run = run_pede(self.program, steering, directory, env=self.env, limits=self.limits)
        figures = read_log(directory / "millepede.log")
        rejects = read_rejects(directory / OUTPUT) if run.ending.code == TOO_MANY_REJECTS else None
        if rejects is None:
            return StepEnd(run.ending, figures)
        return StepEnd(run.ending, figures, said=rejects.words, remedy=rejects.remedy)


@contextlib.contextmanager
def _time_limit(seconds: float) -> Iterator[None]:
    """Raise PhysicsError after `seconds`; not limited outside the main thread: no alarms there."""

    def stop(*_: object) -> None:
        raise PhysicsError(
            f"the built-in solver did not end within {seconds:g} s", "raise millepede.time_limit_s"
        )

    if math.isinf(seconds) or threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def choose_engine(
    solver: Solver,
    install: Path | None,
    env: Mapping[str, str],
    limits: Limits,
    modes: int = 0,
) -> Engine:
    """Return the engine: `auto` is pede when there is one, else the built-in solver.

    Raises PermanentError when pede is demanded, or its place configured, and it is not there.
    """
    if solver == "builtin":
        return Engine(None, env, limits, modes)
    find = require_pede if solver == "pede" else find_pede
    return Engine(find(install, env.get("PATH")), env, limits, modes)


def _run_builtin(directory: Path, steering: str, *, modes: int) -> StepEnd:
    # scipy takes a moment to import, and pede needs none of it
    from auto_iter.millepede import solver

    result = solver.solve(
        Path(steering),
        directory=directory,
        save_matrix=True,
        weakest_modes=modes,
        old_defects=False,
    )
    ending = ending_of(result.exit_code)
    if not result.succeeded:
        said = "; ".join(result.warnings)
        return StepEnd(ending, FitFigures(), said=said, remedy=result.remedy)
    return StepEnd(
        ending,
        FitFigures(result.records, result.rejects, result.chi2, result.ndf),
        _within_modules(result.variable.tolist(), result.covariance),
        notes=result.warnings,
        spectrum=result.spectrum,
    )


def _within_modules(
    labels: Sequence[int], covariance: npt.NDArray[np.float64]
) -> dict[tuple[int, int], float]:
    """Return the covariances between labels of one module (their first three digits agree)."""
    members: dict[int, list[int]] = {}
    for position, label in enumerate(labels):
        if label >= FIRST_MODULE_LABEL:
            members.setdefault(label // 100, []).append(position)
    return {
        (labels[one], labels[other]): float(covariance[one, other])
        for positions in members.values()
        for one in positions
        for other in positions
        if one != other
    }
