"""Pede's iteration (xloopn in pede.f90): data loop, solution, line search, until it has converged.

With presigmas but no regularisation the steps do not end at the minimum at once, so the result
depends on the path; it is followed exactly, single-precision comparisons included.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import numpy as np

from auto_iter.millepede.exit_codes import PedeAbortError, TooManyRejectsError
from auto_iter.millepede.mille.records import Floats
from auto_iter.millepede.solver.elimination import Constraints, Elimination
from auto_iter.millepede.solver.global_matrix import Inverse, invert
from auto_iter.millepede.solver.global_problem import Evaluation, Evaluator
from auto_iter.millepede.solver.line_search import LineSearch

_START_LIMIT = 1e-12  # rms of constraint discrepancies that is corrected, at the start and later
_LATER_LIMIT = 1e-6
_LOOSE = ("inversion", "diagonalization", "decomposition", "fullLAPACK", "unpackedLAPACK")


class Turn(Enum):
    """What a turn does: data loop with matrix and solution, data loop alone, solution alone."""

    MATRIX = 1
    FUNCTION = 0
    SOLUTION = -1


@dataclass(frozen=True)
class LoopRow:
    """One line of the iteration table: a loop's `chi2`, and what its step is `expected` to gain."""

    iteration: int
    loop: int
    chi2: float
    expected: float
    chi2_cut: float
    rejects: int
    step: float | None = None
    slope_ratio: float | None = None
    info: int = 0


class Descent:
    """State of one solution, and after `run` where it ended and what it met on the way.

    `parameters` over all labels (mm, rad), `diagonal` of the matrix over the variable ones (1/mm²,
    1/rad²), for global correlations. `low_entries` adds up over loops, as in pede: only whether it
    is 0 counts. `run` raises PedeAbortError (25, 26).
    """

    def __init__(
        self,
        evaluator: Evaluator,
        constraints: Constraints,
        elimination: Elimination | None,
        rows: list[LoopRow],
    ) -> None:
        options = evaluator.options
        self.evaluator, self.constraints, self.elimination = evaluator, constraints, elimination
        self.options, self.rows = options, rows
        self.variable = evaluator.unknowns.variable
        self.parameters = evaluator.unknowns.start.copy()
        self.chi2_cut = np.float32(options.chi2_cut)
        self.limit = _START_LIMIT
        self.subito = options.subito or (constraints.rank < len(constraints) and not options.force)
        self.iteration, self.again = -1, 0
        self.loops = self.loop_of_solution = 0
        self.last_evaluated, self.last_logged = -1, 0
        self.low_entries = self.defect = 0
        self.expected = np.float32(0)
        self.search: LineSearch | None = None
        self.loose = options.method in _LOOSE
        # evaluations that pede's line search makes at least; more after the first solution
        self.min_calls = 1 if options.method == "inversion" else 2 if self.loose else 3
        self.feasible_at_start = True
        self.evaluation: Evaluation
        self.inverse: Inverse
        self.diagonal: Floats
        self.step: Floats

    def run(self) -> None:
        """Iterate to the end."""
        self._start_feasible()
        mode: Turn | None = Turn.MATRIX
        while mode is not None:
            mode = self._turn(mode)

    @property
    def fitted(self) -> int:
        """How many parameters the fit has: multipliers come on top, eliminated ones are none."""
        bound = len(self.constraints)
        return len(self.variable) + (bound if self.elimination is None else -bound)

    @property
    def not_decreasing(self) -> bool:
        """Whether the function did not fall along the solution."""
        return self.again != 0

    def _turn(self, mode: Turn) -> Turn | None:
        """Make one turn of pede's loop (blocks 1 to 5 of xloopn) and say which is next; or None."""
        if mode is not Turn.SOLUTION:
            self._evaluate(matrix=mode is Turn.MATRIX)
        if mode is not Turn.FUNCTION:
            self._solve(renew=mode is Turn.MATRIX)
            decreasing = self._decreasing()
            if decreasing is not True:
                return None if decreasing is False else Turn.MATRIX
        is_new = self.loops == self.loop_of_solution
        info = self._move(new=is_new)
        if not is_new:
            self._log_row(fresh=self.iteration != self.last_logged, info=info)
            self.last_logged = self.iteration
        elif self.subito:
            self._log_row()
        if self.subito:
            return None
        if info < 0 or is_new:
            return Turn.FUNCTION
        if self._ended():
            return None
        matrix_loops = min(self.options.matrix_iterations, self.options.iterations)
        return Turn.MATRIX if self.iteration < matrix_loops else Turn.SOLUTION

    def _start_feasible(self) -> None:
        if not self.options.feasible_start:
            return
        if self.constraints.violated(self.parameters, _START_LIMIT):
            self.feasible_at_start = False
            self.parameters = self.constraints.correct(self.parameters, self.variable)
        self.limit = _LATER_LIMIT

    def _evaluate(self, *, matrix: bool) -> None:
        if self.iteration == 0:
            self._log_row()
            self.iteration = 1
        self.loops += 1
        if self.iteration != self.last_evaluated and self.loops > 1:
            self._tighten_cut()
        self.last_evaluated = self.iteration
        self.evaluation = self.evaluator.evaluate(self.parameters, self.chi2_cut, matrix=matrix)
        entries = self.evaluation.entries
        self.low_entries += int((entries < self.options.accepted_entries).sum())
        if matrix and (entries == 0).any():
            self.defect = int((entries == 0).sum())
            self.subito = self.subito or not self.options.force
        sums, records = self.evaluation.sums, self.evaluator.source.records
        if 3 * sums.rejects.total > records:
            raise TooManyRejectsError(sums.rejects, records)

    def _tighten_cut(self) -> None:
        if self.iteration == 1:
            self.chi2_cut = np.float32(self.options.chi2_cut_second)
        elif self.iteration >= 1:
            self.chi2_cut = np.sqrt(self.chi2_cut)
            small = self.chi2_cut < 1.5 or self.evaluation.sums.rejects.total == 0
            if self.chi2_cut != 0 and small:
                self.chi2_cut = np.float32(1)

    def _solve(self, *, renew: bool) -> None:
        self.iteration += 1
        self.loop_of_solution = self.loops
        if renew:
            self._invert()
        missing = self.constraints.discrepancies(self.parameters)
        step = self.inverse.solve(self.evaluation.gradient, missing)
        target = self.parameters.copy()
        target[self.variable] += step
        if self.constraints.violated(target, self.limit):
            target = self.constraints.correct(target, self.variable)
        self.limit = _LATER_LIMIT
        self.step = target[self.variable] - self.parameters[self.variable]

    def _invert(self) -> None:
        matrix = self.evaluator.matrix()
        self.diagonal = np.diag(matrix).copy()
        self.inverse = invert(
            matrix, self.constraints, self.elimination, method=self.options.method
        )
        if self.inverse.defect and not self.options.force:
            self.subito = True
        self.defect = max(self.defect, self.inverse.defect)

    def _decreasing(self) -> bool | None:
        """Prepare the line search. False: stop here; None: once more with a new matrix."""
        gradient = self.evaluation.gradient
        change = float(self.step @ gradient)
        norm = float(np.sqrt(max(self.step @ self.step, gradient @ gradient)))
        significant = 16.0 * norm * float(np.finfo(np.float64).eps)
        # an increase of the size of rounding errors of chi2 is none (pede stops for it, too)
        noise = 1e-13 * max(self.evaluation.chi2, 1.0)
        self.expected = np.float32(change)
        options = self.options
        # below 2.25 the root of the cut becomes 1 and stays: the function is the same from then on
        wanted = options.line_search > 2 or (
            self.chi2_cut < 2.25
            and (
                options.line_search == 2
                or (
                    options.line_search == 1
                    and (self._small() or self.iteration >= options.iterations)
                )
            )
        )
        self.search = None
        if wanted and change > significant:
            self.search = LineSearch(0.5 if self.loose else 0.1, self.min_calls)
            self.min_calls = 3 if self.loose else 4
        if change <= -max(significant, noise):
            if change > -1e-3:
                self.again += 1
                return None if self.again <= 1 else False
            self.again = -1
            return False
        self.again = 0
        return True

    def _small(self) -> bool:
        return bool(self.expected <= np.float32(self.options.convergence))

    def _move(self, *, new: bool) -> int:
        """Go one step of the line search (or the whole way); return pede's info."""
        if self.search is None:
            info = 10
            if new:
                self._shift(1.0)
        else:
            slope = -float(self.evaluation.gradient @ self.step)
            self._shift(self.search.advance(0.5 * self.evaluation.chi2, slope))
            info = self.search.info
        if not np.isfinite(self.parameters).all():
            raise PedeAbortError("the result holds values that are not a number", 25)
        return info

    def _shift(self, by: float) -> None:
        if by:
            self.parameters = self.parameters.copy()
            self.parameters[self.variable] += by * self.step

    def _ended(self) -> bool:
        corrected = self.constraints.violated(self.parameters, self.limit)
        if corrected:
            self.parameters = self.constraints.correct(self.parameters, self.variable)
        if corrected or self.chi2_cut > 1:
            return False
        return self._small() or self.iteration >= self.options.iterations

    def _log_row(self, *, fresh: bool = True, info: int = 10) -> None:
        search = self.search if self.iteration > 0 else None
        self.rows.append(
            LoopRow(
                self.iteration if fresh else -1,
                self.evaluator.loops,
                self.evaluation.chi2,
                float(self.expected),
                float(self.chi2_cut),
                self.evaluation.sums.rejects.total,
                search.points[-1].step if search else None,
                search.ratio if search else None,
                info,
            )
        )
