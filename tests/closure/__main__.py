"""`python -m tests.closure`: every strategy of ours against the truth; `make closure` calls it.

Detectors are aligned in processes of their own. Exit code 1 when anything is outside its limits.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path

from auto_iter.files import write_atomically
from auto_iter.millepede.strategy import strategy_names
from tests.closure import strategies, walking

BEGIN, END = "<!-- made by `make closure`: begin -->", "<!-- end -->"


def main(words: Sequence[str] | None = None) -> int:
    """Align, print the tables, write them into a page when asked to; return the exit code."""
    options = _parser().parse_args(words)
    with ProcessPoolExecutor(options.jobs) as pool:
        text, problems = _strategies(pool, options)
        if options.walks:
            walked, walking_problems = _walking(pool, options)
            text, problems = f"{text}\n\n{walked}", problems + walking_problems
    print(text)
    if options.page is not None:
        _write(options.page, text)
    for problem in problems:
        print(f"outside the limits: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.closure", description=__doc__)
    parser.add_argument(
        "strategy", nargs="*", default=strategy_names(), help="default: all of ours"
    )
    parser.add_argument("--seeds", type=int, default=3, help="detectors for each strategy")
    parser.add_argument("--walks", type=int, default=10, help="detectors that are aligned for long")
    parser.add_argument("--events", type=int, default=1000, help="in each of four raw files")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time")
    parser.add_argument("--page", type=Path, help="write the tables between the markers there")
    return parser


def _strategies(pool: ProcessPoolExecutor, options: argparse.Namespace) -> tuple[str, list[str]]:
    names, seeds = zip(*product(options.strategy, _seeds(options.seeds)), strict=True)
    close = partial(strategies.close, events=options.events)
    outcomes = []
    for outcome in pool.map(close, names, seeds):
        outcomes.append(outcome)
        _progress(len(outcomes), len(names))
    rows = [row for outcome in outcomes if isinstance(outcome, list) for row in outcome]
    return strategies.table(rows), strategies.problems(outcomes)


def _walking(pool: ProcessPoolExecutor, options: argparse.Namespace) -> tuple[str, list[str]]:
    names, seeds = zip(*product(walking.STRATEGIES, _seeds(options.walks)), strict=True)
    walk = partial(walking.walk, events=options.events)
    rows = []
    for row in pool.map(walk, names, seeds):
        rows.append(row)
        _progress(len(rows), len(names))
    return walking.table(rows), walking.problems(rows)


def _seeds(count: int) -> range:
    return range(1, count + 1)


def _progress(done: int, of: int) -> None:
    print(f"{done} of {of} detectors", file=sys.stderr, flush=True)


def _write(page: Path, text: str) -> None:
    """Replace what is between the markers of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    write_atomically(page, f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
