"""Constants do not walk: after more iterations than it takes they are no worse than before.

The same tracks are aligned again and again without an end at convergence. What iterations add then
is that hits and tracks near a cut come and go: χ² against the truth may change by that noise, up or
down in one detector, but not grow on average.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.closure.harness import Aligned, Solved, align, shipped_case
from tests.closure.judging import judge
from tests.closure.strategies import format_table

STRATEGIES = ("3st", "4st")
EARLY, LATE = 5, 14
ONE = 0.15
"""χ² of one detector may grow by so much of its degrees of freedom."""
ON_AVERAGE = 3.0
"""The mean change over detectors may be so many of its uncertainties."""


@dataclass(frozen=True)
class State:
    """Against the truth after an iteration. `open`: r.m.s. error in prior σ along weak modes."""

    iteration: int
    chi2: float
    dof: int
    open: float


@dataclass(frozen=True)
class WalkRow:
    """One detector, after few and after many iterations."""

    strategy: str
    seed: int
    early: State
    late: State

    @property
    def growth(self) -> float:
        """How much χ² grew, per degree of freedom."""
        return (self.late.chi2 - self.early.chi2) / self.late.dof


def walk(strategy: str, seed: int, *, events: int, early: int = EARLY, late: int = LATE) -> WalkRow:
    """Align one detector for `late` iterations, whether or not it has converged before."""
    case = shipped_case(
        strategy,
        seed,
        events=events,
        iterations=late,
        settings=("alignment.stop_when_converged=false",),
    )
    with tempfile.TemporaryDirectory(prefix="closure-") as directory:
        aligned = align(Path(directory), case)
        states = [_state(aligned, aligned.iterations[at - 1]) for at in (early, late)]
    return WalkRow(strategy, seed, *states)


def _state(aligned: Aligned, solved: Solved) -> State:
    judged = judge(aligned, solved)
    comparison = judged.comparison
    return State(solved.stage.iteration, comparison.chi2, comparison.dof, judged.open_error)


def table(rows: Sequence[WalkRow]) -> str:
    """Return the rows as a table in Markdown."""
    early, late = rows[0].early.iteration, rows[0].late.iteration
    columns = [f"{what} after {at}" for what in ("χ²", "weak modes") for at in (early, late)]
    return format_table(("strategy", "seed", "combinations", *columns), map(_cells, rows))


def _cells(row: WalkRow) -> tuple[str, ...]:
    return (
        f"`{row.strategy}`",
        str(row.seed),
        str(row.late.dof),
        f"{row.early.chi2:.1f}",
        f"{row.late.chi2:.1f}",
        f"{row.early.open:.2f} σ",
        f"{row.late.open:.2f} σ",
    )


def problems(rows: Sequence[WalkRow]) -> list[str]:
    """Return where constants walk, a sentence each."""
    found = [
        f"{row.strategy}, seed {row.seed}: χ² {row.early.chi2:.0f} after iteration "
        f"{row.early.iteration}, {row.late.chi2:.0f} after {row.late.iteration}"
        for row in rows
        if row.growth > ONE
    ]
    for strategy in sorted({row.strategy for row in rows}):
        growths = [row.growth for row in rows if row.strategy == strategy]
        mean, sigma = _mean(growths)
        if mean > ON_AVERAGE * sigma:
            found.append(f"{strategy}: χ² grows by {mean:.3f} ± {sigma:.3f} for each combination")
    return found


def _mean(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean and its uncertainty; of a single value nobody knows that."""
    if len(values) < 2:
        return float(np.mean(values)), np.inf
    return float(np.mean(values)), float(np.std(values, ddof=1) / np.sqrt(len(values)))
