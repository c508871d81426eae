"""One run of a solver in a directory: pede itself, or the built-in one. Same files either way."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from auto_iter.detector.constants import Covariance
from auto_iter.detector.labels import pairs_within_modules
from auto_iter.errors import PhysicsError
from auto_iter.millepede.exit_codes import PedeAbortError, PedeEnding, Use, ending_of
from auto_iter.millepede.pede.log import FitFigures, read_log, read_output
from auto_iter.millepede.pede.program import OUTPUT, RunLimits, run_pede
from auto_iter.millepede.pede.result_files import read_ending
from auto_iter.millepede.rejects import Rejects

if TYPE_CHECKING:
    from auto_iter.millepede.solver.spectrum import Spectrum


@dataclass(frozen=True)
class StepEnd:
    """How a step ended. `covariance` (label pairs) only where the solver tells it.

    `said`: the solver's own reasons; `remedy`: what to do, where it knows better than `ending`.
    """

    ending: PedeEnding
    figures: FitFigures
    covariance: Covariance = field(default_factory=dict)
    said: str = ""
    remedy: str = ""
    rejects: Rejects = field(default_factory=Rejects)
    notes: tuple[str, ...] = ()  # what the built-in solver has to say about its result
    spectrum: Spectrum | None = None

    def raise_if_failed(
        self, step: str, directory: Path, remedy: str = "", *, accept_bad_matrix: bool = False
    ) -> None:
        """Raise PhysicsError when the result must not be used. `remedy` replaces other advice."""
        use = self.ending.use
        if use is Use.FAIL or (use is Use.REFUSE and not accept_bad_matrix):
            said = f": {self.said}" if self.said else ""
            raise PhysicsError(
                f"{step}: pede's exit code {self.ending.code}, {self.ending.meaning}{said} "
                f"({directory})",
                remedy or self.remedy or self.ending.remedy,
            )

    def warnings(self, step: int) -> list[str]:
        """Return what a person should know about a result that is used all the same."""
        if self.ending.use is Use.ACCEPT:
            return []
        said = f": {self.said}" if self.said else ""
        return [f"step {step}: pede {self.ending.meaning}{said}; {self.ending.remedy}"]


@dataclass(frozen=True)
class Engine:
    """What solves: `program` is a pede, None the built-in solver.

    `modes`: how many of the least determined combinations the built-in solver shall tell.
    `accept_bad_matrix`: use a result in spite of exit code 3 or uncertainties that are none.
    """

    program: Path | None
    env: Mapping[str, str]
    limits: RunLimits
    modes: int = 0
    accept_bad_matrix: bool = False

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
        run_pede(self.program, steering, directory, env=self.env, limits=self.limits)
        complaints = read_output(directory / OUTPUT)
        return StepEnd(
            read_ending(directory),
            read_log(directory / "millepede.log"),
            said="; ".join(complaints.warnings),
            rejects=complaints.rejects,
        )


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


def _run_builtin(directory: Path, steering: str, *, modes: int) -> StepEnd:
    # scipy takes a moment to import, and pede needs none of it
    from auto_iter.millepede.solver import builtin as solver

    try:
        result = solver.solve(
            Path(steering), directory=directory, save_matrix=True, weakest_modes=modes
        )
    except PedeAbortError as abort:
        return StepEnd(
            ending_of(abort.pede_code),
            FitFigures(),
            said=abort.reason,
            remedy=abort.remedy,
            rejects=abort.rejects,
        )
    labels = result.variable.tolist()
    return StepEnd(
        ending_of(result.exit_code),
        FitFigures(result.records, result.rejects, result.chi2, result.ndf),
        {
            (labels[one], labels[other]): float(result.covariance[one, other])
            for one, other in pairs_within_modules(labels)
        },
        said="; ".join(result.reasons),
        notes=result.warnings,
        spectrum=result.spectrum,
    )
