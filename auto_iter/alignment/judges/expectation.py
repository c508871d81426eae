"""When an alignment ends, judged by how long its own iterations took."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from auto_iter.times import moment, roughly

_SIGMA_OF_MAD = 1.4826
"""Of a normal distribution: standard deviation / median absolute deviation."""
_ERROR_OF_MEDIAN = 1.2533
"""Likewise: standard error of the median of n values / (standard deviation / √n)."""


@dataclass(frozen=True)
class Expectation:
    """The end of an alignment that takes all its iterations; it ends earlier once converged.

    `at`: seconds since the epoch. `spread_s`: one standard deviation; None where fewer than two
    finished iterations say nothing of it.
    """

    at: float
    spread_s: float | None = None

    def in_words(self, now: float) -> str:
        """Return e.g. `Tue 14:00 ± 3 h`."""
        spread = "" if self.spread_s is None else f" ± {roughly(self.spread_s)}"
        return f"{moment(self.at, now)}{spread}"


def end_of(record: Mapping[str, Any], now: float, jobs_end: float | None) -> Expectation | None:
    """Return the end of an alignment whose snapshot is `record`, as plain values."""
    return expected_end(
        now,
        lengths=[each["finished_at"] - each["started_at"] for each in record["history"]],
        started_at=record["iteration_started_at"],
        jobs_end=jobs_end,
        to_come=record["arguments"]["iterations"] - record["iteration"],
    )


def expected_end(
    now: float,
    *,
    lengths: Sequence[float],
    started_at: float,
    jobs_end: float | None,
    to_come: int,
) -> Expectation | None:
    """Return when the last of all iterations ends; None while nothing tells how long one takes.

    `lengths` [s]: of the finished iterations. `started_at`, `jobs_end`: the current one's start,
    and when its jobs are expected to be through. `to_come`: iterations after it. Each takes the
    median of `lengths`, so that a weekend without a daemon counts once; the spread is that of
    independent iterations (from the median absolute deviation), with the median's own error.
    """
    from statistics import median  # loads half of the mathematics there is; `status` may do without

    jobs_left = 0.0 if jobs_end is None else max(jobs_end - now, 0.0)
    if not lengths:
        if jobs_end is None:
            return None
        return Expectation(now + jobs_left + to_come * max(jobs_end - started_at, 0.0))
    typical = median(lengths)
    left = max(typical - (now - started_at), jobs_left, 0.0)
    at = now + left + to_come * typical
    if len(lengths) < 2:
        return Expectation(at)
    sigma = _SIGMA_OF_MAD * median(abs(each - typical) for each in lengths)
    ahead = to_come + (min(left / typical, 1.0) if typical else 0.0)
    common = _ERROR_OF_MEDIAN * ahead / math.sqrt(len(lengths))
    return Expectation(at, sigma * math.sqrt(ahead + common**2))
