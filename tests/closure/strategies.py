"""How well each strategy finds the truth: a row for each phase of each simulated detector."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auto_iter.config.shipped import shipped_names
from auto_iter.errors import AutoIterError
from auto_iter.millepede.strategy.file import load_strategy
from tests.closure.harness import Aligned, Solved, align, shipped_case
from tests.closure.judging import judge

WIDTH = (0.8, 1.2)
LARGEST = 5.0
CHI2_RATIO = 0.05
_COLUMNS = (
    "strategy", "phase", "seed", "iterations", "last change", "tracks", "χ²/ndf", "ideal",
    "combinations", "width", "largest",
)  # fmt: skip


@dataclass(frozen=True)
class StrategyRow:
    """The end of a phase. `last_change` in σ; `width` and `largest`: of independent pulls.

    `outside`: which limits it breaks, in words.
    """

    strategy: str
    phase: str
    seed: int
    iterations: int
    last_change: float
    tracks: int
    chi2_ndf: float
    ideal_chi2_ndf: float
    combinations: int
    width: float
    largest: float
    outside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Failed:
    """An alignment that came to no end."""

    strategy: str
    seed: int
    reason: str


def close(strategy: str, seed: int, *, events: int) -> list[StrategyRow] | Failed:
    """Align one simulated detector, and return how well each of its phases ended."""
    with tempfile.TemporaryDirectory(prefix="closure-") as directory:
        try:
            aligned = align(Path(directory), shipped_case(strategy, seed, events=events))
        except AutoIterError as error:
            return Failed(strategy, seed, str(error))
        return rows_of(aligned)


def of_ours() -> list[str]:
    """Return the names of the shipped strategies that limits are for: those with a prior.

    The collaboration's have none; their constants walk, and they say so.
    """
    return [name for name in shipped_names("strategies") if load_strategy(name).prior]


def rows_of(aligned: Aligned) -> list[StrategyRow]:
    """Return a row for each phase that an alignment came to."""
    rows = [row(aligned, end) for end in aligned.ends_of_phases]
    if aligned.case.strategy not in of_ours():
        return rows
    rows = [replace(each, outside=outside(each)) for each in rows]
    if not aligned.verdict.converged:
        said = (*rows[-1].outside, aligned.verdict.sentence)
        rows[-1] = replace(rows[-1], outside=said)
    return rows


def row(aligned: Aligned, end: Solved) -> StrategyRow:
    """Return how well the phase of an iteration would have ended with it."""
    judged = judge(aligned, end)
    return StrategyRow(
        strategy=aligned.strategy.name,
        phase=end.phase,
        seed=aligned.case.seed,
        iterations=end.stage.within,
        last_change=end.record.max_pull,
        tracks=end.record.tracks,
        chi2_ndf=end.record.track_chi2_ndf,
        ideal_chi2_ndf=aligned.ideal_chi2_ndf(end),
        combinations=judged.comparison.dof,
        width=judged.comparison.width,
        largest=judged.largest,
    )


def outside(row: StrategyRow) -> tuple[str, ...]:
    """Return the limits against the truth that the end of a phase breaks, in words."""
    found = []
    if not WIDTH[0] <= row.width <= WIDTH[1]:
        found.append(f"width {row.width:.2f}, not within {WIDTH[0]}-{WIDTH[1]}")
    if not row.largest < LARGEST:
        found.append(f"largest pull {row.largest:.1f}, not below {LARGEST:g}")
    if not abs(row.chi2_ndf / row.ideal_chi2_ndf - 1) < CHI2_RATIO:
        found.append(f"chi2/ndf {row.chi2_ndf:.3f}, ideal {row.ideal_chi2_ndf:.3f}")
    return tuple(found)


def table(rows: Iterable[StrategyRow]) -> str:
    """Return the rows as a table in Markdown; the seeds of what is outside its limits are bold."""
    return format_table(_COLUMNS, map(_cells, rows))


def format_table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cells(row: StrategyRow) -> tuple[str, ...]:
    mark = "**" if row.outside else ""
    return (
        f"`{row.strategy}`",
        row.phase,
        f"{mark}{row.seed}{mark}",
        str(row.iterations),
        f"{row.last_change:.2f} σ",
        str(row.tracks),
        f"{row.chi2_ndf:.3f}",
        f"{row.ideal_chi2_ndf:.3f}",
        str(row.combinations),
        f"{row.width:.2f}",
        f"{row.largest:.1f}",
    )


def problems(outcomes: Sequence[list[StrategyRow] | Failed]) -> list[str]:
    """Return what is outside its limits, a sentence each."""
    found = []
    for outcome in outcomes:
        if isinstance(outcome, Failed):
            if outcome.strategy in of_ours():
                found.append(f"{outcome.strategy}, seed {outcome.seed}: {outcome.reason}")
            continue
        found += [
            f"{row.strategy}, {row.phase}, seed {row.seed}: {reason}"
            for row in outcome
            for reason in row.outside
        ]
    return found
