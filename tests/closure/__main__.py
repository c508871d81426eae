"""`python -m tests.closure`: every strategy of ours against the truth; `make closure` calls it.

Detectors are aligned in processes of their own. Exit code 1 when anything is outside its limits.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from pathlib import Path
from typing import TypeVar

from auto_iter.files import write_atomically
from tests.closure import strategies, walking

Outcome = TypeVar("Outcome")
BEGIN, END = "<!-- made by `make closure`: begin -->", "<!-- end -->"


def main(words: Sequence[str] | None = None) -> int:
    """Align, print the tables, write them into a page when asked to; return the exit code."""
    options = _parser().parse_args(words)
    texts: list[str] = []
    problems: list[str] = []
    with ProcessPoolExecutor(options.jobs) as pool:
        for part in (_strategies, _walking):
            text, found = part(pool, options)
            texts += [text] if text else []
            problems += found
    print("\n\n".join(texts))
    if options.page is not None:
        _write(options.page, "\n\n".join(texts))
    for problem in problems:
        print(f"outside the limits: {problem}", file=sys.stderr)
    return 1 if problems else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.closure", description=__doc__)
    parser.add_argument(
        "strategy",
        nargs="*",
        default=strategies.of_ours(),
        help="default: all of ours; those of the collaboration are shown without limits",
    )
    parser.add_argument("--seeds", type=int, default=3, help="detectors for each strategy")
    parser.add_argument("--walks", type=int, default=10, help="detectors that are aligned for long")
    parser.add_argument("--events", type=int, default=1000, help="in each of four raw files")
    parser.add_argument("--walk-events", type=int, default=500, help="the same for --walks")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="at a time")
    parser.add_argument("--page", type=Path, help="write the tables between the markers there")
    return parser


def _strategies(pool: ProcessPoolExecutor, options: argparse.Namespace) -> tuple[str, list[str]]:
    wanted = list(product(options.strategy, _seeds(options.seeds)))
    if not wanted:
        return "", []
    close = partial(strategies.close, events=options.events)
    outcomes = _told(pool.map(close, *zip(*wanted, strict=True)), len(wanted))
    rows = [row for outcome in outcomes if isinstance(outcome, list) for row in outcome]
    return strategies.table(rows), strategies.problems(outcomes)


def _walking(pool: ProcessPoolExecutor, options: argparse.Namespace) -> tuple[str, list[str]]:
    wanted = list(product(walking.STRATEGIES, _seeds(options.walks)))
    if not wanted:
        return "", []
    walk = partial(walking.walk, events=options.walk_events)
    rows = _told(pool.map(walk, *zip(*wanted, strict=True)), len(wanted))
    return walking.table(rows), walking.problems(rows)


def _told(outcomes: Iterable[Outcome], of: int) -> list[Outcome]:
    """Return the outcomes as they come in, and say so: all of them take an hour."""
    done: list[Outcome] = []
    for outcome in outcomes:
        done.append(outcome)
        print(f"{len(done)} of {of}: {outcome}", file=sys.stderr, flush=True)
    return done


def _seeds(count: int) -> range:
    return range(1, count + 1)


def _write(page: Path, text: str) -> None:
    """Replace what is between the markers of a page."""
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    write_atomically(page, f"{before}{BEGIN}\n{text}\n{END}{after}")


if __name__ == "__main__":
    sys.exit(main())
