"""Pede's line search (linesrch.f90): find the step along a direction where the slope has vanished.

It works on slopes, because function values suffer from rounding. The caller evaluates, hands over
the slope, and moves by what `advance` returns until that says that it is done.
"""

from __future__ import annotations

from dataclasses import dataclass, field

MAX_STEP = 10.0
MAX_CALLS = 10
_SMALL = 1e-3


@dataclass
class Point:
    """One evaluation at x + step·d: function value relative to the start, slope, predicted zero.

    Steps are in units of the direction d, slopes in those of the function (d·grad F).
    """

    step: float
    value: float
    slope: float
    zero: float = 0.0


@dataclass
class LineSearch:
    """State over the evaluations; `min_calls` evaluations at least, until |slope| has dropped.

    Formulas: ptline in linesrch.f90; of the manual's Wolfe conditions it uses the second only.
    `info` is pede's: -1 go on, 0 not descending, 1 converged, 2 too many calls, 3 largest step,
    4 step too small, 5 no improvement.
    """

    slope_ratio: float
    min_calls: int
    points: list[Point] = field(default_factory=list)
    info: int = 0
    _start: float = 0.0
    _next: float = 1.0
    _left: int = 0
    _right: int = -1

    def advance(self, value: float, slope: float) -> float:
        """Take an evaluation, return by how much (in units of the direction) x has to move.

        `value` is F = chi2/2, `slope` its derivative along the direction, negative at the start.
        """
        if not self.points:
            return self._begin(value, slope)
        tried = self._next
        self.points.append(Point(tried, value - self._start, slope))
        point = self.points[-1]
        self._bracket(slope)
        point.zero = self._predicted_zero()
        converged = abs(slope) <= abs(self.points[0].slope) * self.slope_ratio
        if len(self.points) >= self.min_calls and converged:
            return self._finish(1)
        if len(self.points) >= MAX_CALLS:
            return self._finish(2)
        move = min(point.zero, MAX_STEP) - tried
        if abs(move) < _SMALL:
            return self._finish(3 if point.zero > MAX_STEP else 4)
        self._next = tried + move
        self.info = -1
        return move

    def _begin(self, value: float, slope: float) -> float:
        self.info = 0 if slope >= 0 else -1
        if self.info == 0:
            return 0.0
        self._start = value
        self.points.append(Point(0.0, 0.0, slope))
        return self._next

    def _bracket(self, slope: float) -> None:
        last = len(self.points) - 1
        if slope <= 0 and slope >= self.points[self._left].slope:
            self._left = last
        if slope >= 0 and (self._right < 0 or slope <= self.points[self._right].slope):
            self._right = last

    def _predicted_zero(self) -> float:
        if self._right < 0:
            a, b = self.points[-2], self.points[-1]
        else:
            a, b = self.points[self._left], self.points[self._right]
        if a.slope == b.slope:  # pede's division gives infinity here, cut to the largest step
            return MAX_STEP if a.slope < 0 else b.step
        return (a.step * b.slope - b.step * a.slope) / (b.slope - a.slope)

    def _finish(self, info: int) -> float:
        """End at the evaluated point with the smallest slope."""
        best = min(range(len(self.points)), key=lambda i: abs(self.points[i].slope))
        self.info = info if best else 5
        return self.points[best].step - self.points[-1].step

    @property
    def ratio(self) -> float:
        """Last slope over first, as printed in the iteration table."""
        return max(-99.9, min(99.9, self.points[-1].slope / self.points[0].slope))
