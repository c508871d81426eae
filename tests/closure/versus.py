"""`python -m tests.closure.versus`: our default strategy beside the collaboration's.

Both align the same simulated detectors from nothing, with the same cuts and for as many iterations.
What they found is compared with the truth twice: by the combinations and uncertainties of each
strategy's own, and both by those of the first one, so that one ruler measures both.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from auto_iter.weakmodes.label_space import label_values
from auto_iter.weakmodes.truth import compare as compare_with_truth
from tests.closure.harness import Aligned, align, shipped_case
from tests.closure.judging import Judged, judge
from tests.closure.strategies import format_table

STRATEGIES = ("3st", "3st-production")
_COLUMNS = (
    "seed", "strategy", "χ²/ndf of the tracks", "ideal", "last change",
    "χ² for combinations, its own", "and by those of `3st`",
)  # fmt: skip


@dataclass(frozen=True)
class VersusRow:
    """Where one strategy ended. `own`, `shared`: χ² against the truth and its combinations."""

    seed: int
    strategy: str
    chi2_ndf: float
    ideal_chi2_ndf: float
    last_change: float
    own: tuple[float, int]
    shared: tuple[float, int]


def compare(seed: int, *, events: int, iterations: int) -> list[VersusRow]:
    """Align one detector with each strategy; a row for each."""
    with tempfile.TemporaryDirectory(prefix="closure-") as directory:
        ends = [
            _align(Path(directory) / name, name, seed, events, iterations) for name in STRATEGIES
        ]
        ruler = judge(ends[0], ends[0].last)
        return [_row(each, ruler) for each in ends]


def _align(directory: Path, strategy: str, seed: int, events: int, iterations: int) -> Aligned:
    directory.mkdir()
    settings = ("alignment.stop_when_converged=false",)
    return align(
        directory,
        shipped_case(strategy, seed, events=events, iterations=iterations, settings=settings),
    )


def _row(aligned: Aligned, ruler: Judged) -> VersusRow:
    last = aligned.last
    own = judge(aligned, last).comparison
    shared = ruler.comparison
    labels = list(shared.labels)
    scheme = aligned.strategy.labels
    error = label_values(last.constants, labels, scheme) - label_values(
        aligned.truth, labels, scheme
    )
    measured = compare_with_truth(shared.modes, error)
    return VersusRow(
        aligned.case.seed,
        aligned.case.strategy,
        last.record.track_chi2_ndf,
        aligned.ideal_chi2_ndf(last),
        last.record.max_pull,
        (own.chi2, own.dof),
        (measured.chi2, measured.dof),
    )


def table(rows: Iterable[VersusRow]) -> str:
    """Return the rows as a table in Markdown."""
    return format_table(_COLUMNS, map(_cells, rows))


def _cells(row: VersusRow) -> tuple[str, ...]:
    return (
        str(row.seed),
        f"`{row.strategy}`",
        f"{row.chi2_ndf:.3f}",
        f"{row.ideal_chi2_ndf:.3f}",
        f"{row.last_change:.2f} σ",
        *(f"{chi2:.0f} for {dof}" for chi2, dof in (row.own, row.shared)),
    )


def main(words: Sequence[str] | None = None) -> int:
    """Align and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.closure.versus", description=__doc__)
    parser.add_argument("--seeds", type=int, default=5, help="detectors")
    parser.add_argument("--events", type=int, default=1000, help="in each of four raw files")
    parser.add_argument("--iterations", type=int, default=10)
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time")
    options = parser.parse_args(words)
    one = partial(compare, events=options.events, iterations=options.iterations)
    rows: list[VersusRow] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for found in pool.map(one, range(1, options.seeds + 1)):
            print(*found, sep="\n", file=sys.stderr, flush=True)
            rows += found
    print(table(rows))
    return 0


if __name__ == "__main__":
    sys.exit(main())
