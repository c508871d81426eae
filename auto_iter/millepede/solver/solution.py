"""One solution, from a steering to a result: set up the problem, iterate, collect."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from auto_iter.errors import InputError
from auto_iter.millepede.exit_codes import PedeAbortError, ending_of
from auto_iter.millepede.mille.records import Floats
from auto_iter.millepede.pede.result_files import ResultLine
from auto_iter.millepede.solver.data_loop import LoopRequest
from auto_iter.millepede.solver.data_source import DataSource
from auto_iter.millepede.solver.elimination import (
    Constraints,
    Elimination,
    build_constraints,
    eliminate,
)
from auto_iter.millepede.solver.global_problem import (
    Evaluator,
    Unknowns,
    build_extras,
    choose_variable,
    register_labels,
    text_values,
)
from auto_iter.millepede.solver.iteration import Descent, LoopRow
from auto_iter.millepede.solver.outcome import (
    SolverResult,
    global_correlation,
    judge,
    printed_root,
    signed_root,
)
from auto_iter.millepede.solver.spectrum import spectrum_of
from auto_iter.millepede.steering.reader import Combination, Steering

WITH_ERRORS = ("inversion", "diagonalization")
_MOST_PARAMETERS = 20000
_NOTHING = Unknowns(np.empty(0), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64))


class Solution:
    """The solution of one steering; `run` first, then `lines` and `log.log` describe it."""

    def __init__(self, steering: Steering, *, old_defects: bool) -> None:
        self.steering, self.options = steering, steering.options
        self.old_defects = old_defects
        self.warnings: list[str] = list(steering.notes)
        self.rows: list[LoopRow] = []
        self.empty: list[str] = []
        self.source = DataSource(
            steering.binaries,
            self.options.max_records,
            read_error_is_end=self.options.read_error_is_end,
        )
        register_labels(steering, self.source)
        extras = build_extras(steering.measurements, self.source)
        self.evaluator = Evaluator(
            self.source, _NOTHING, self.options, extras, old_measurements=old_defects
        )
        self.constraints: Constraints
        self.end: Descent

    def run(self, weakest_modes: int = 0) -> SolverResult:
        """Solve. Raises PedeAbortError where pede aborts, InputError for what is too large."""
        self._first_loop()
        combinations = self._constraints()
        unknowns = self.evaluator.unknowns
        position = {label: at for at, label in enumerate(self.source.table.labels.tolist())}
        self.constraints = build_constraints(
            combinations, position, unknowns.variable, len(self.source.table)
        )
        elimination = self._elimination()
        self._announce()
        self.end = Descent(self.evaluator, self.constraints, elimination, self.rows)
        self.end.run()
        return self._result(weakest_modes)

    def _first_loop(self) -> None:
        """Count the entries; where nothing depends on them, make the first data loop meanwhile."""
        options, evaluator = self.options, self.evaluator
        start, _ = text_values(self.steering.parameters, self.source)
        first = None
        if self._counting_first(start):
            entries = self.source.count_entries(per_record=options.count_records)
        else:
            chi2_cut = np.float32(options.chi2_cut)

            def request_now() -> LoopRequest:
                padded = np.pad(start, (0, len(self.source.table) - len(start)))
                return evaluator.request(padded, chi2_cut, matrix=True)

            first, entries = self.source.loop(request_now)
        if len(self.source.table) > _MOST_PARAMETERS:
            raise InputError(
                f"{len(self.source.table)} labels: the built-in solver keeps the full matrix, up "
                f"to {_MOST_PARAMETERS}; use pede"
            )
        start, presigma = text_values(self.steering.parameters, self.source)
        evaluator.unknowns = choose_variable(start, presigma, entries, self.source, options)
        if self.source.local_parameters == 0:
            raise PedeAbortError("no record has local parameters", 28)
        if first is not None:
            evaluator.remember(first, start)

    def _counting_first(self, start: Floats) -> bool:
        """Whether the start values or the variables must be known before the first data loop."""
        options = self.options
        if options.count_records or options.weighted_constraints:
            return True
        if not options.feasible_start:
            return False
        known = dict(zip(self.source.table.labels.tolist(), start.tolist(), strict=True))
        return any(
            abs(c.value - sum(factor * known[label] for label, factor in c.terms)) > 1e-13
            for c in self.steering.constraints
        )

    def _constraints(self) -> list[Combination]:
        """Constraints to be used; warn of those that have no variable parameter."""
        combinations = list(self.steering.constraints)
        unknowns, labels = self.evaluator.unknowns, self.source.table.labels
        if self.options.weighted_constraints:
            entries = dict(zip(labels.tolist(), unknowns.entries.tolist(), strict=True))
            combinations = [
                replace(c, terms=tuple((label, f * entries[label]) for label, f in c.terms))
                for c in combinations
            ]
        variable = set(labels[unknowns.variable].tolist())
        empty = [c for c in combinations if not any(label in variable for label, _ in c.terms)]
        self.empty = [f"{c.where}: the constraint has no variable parameter" for c in empty]
        self.warnings += self.empty
        if self.options.skip_empty_constraints:
            combinations = [c for c in combinations if c not in empty]
        return combinations

    def _elimination(self) -> Elimination | None:
        if not len(self.constraints) or not self.options.elimination:
            return None
        elimination = eliminate(self.constraints.factors)
        if elimination.singular:
            where = self.empty[0] if self.empty else "the constraints depend on each other"
            remedy = "remove it or say skipemptycons" if self.empty else "remove one of them"
            raise PedeAbortError(where, 27, remedy)
        return elimination

    def _announce(self) -> None:
        """Warn about what is not quite as written, or not as the newest pede does it."""
        options = self.options
        if options.method not in WITH_ERRORS:
            self.warnings.append(
                f"method {options.method} is solved exactly, by inversion; "
                "as in pede, millepede.res has no uncertainties"
            )
        bound = len(self.constraints) and options.elimination
        if self.old_defects and options.method == "diagonalization" and bound:
            self.warnings.append(
                "the uncertainties in millepede.res are those that pede before V04-12-03 prints "
                "for diagonalization with constraints; `method inversion` gives right ones"
            )
        if self.old_defects and any(len(m.terms) > 1 for m in self.steering.measurements):
            self.warnings.append(
                "Measurement of several labels is treated as by pede before V04-15-00"
            )
        self.warnings += [f"taken for the end of the file: {e}" for e in self.source.silent_ends]
        self.warnings += [f"read error: {e}" for e in self.source.read_errors]

    def _result(self, weakest_modes: int) -> SolverResult:
        end, unknowns = self.end, self.evaluator.unknowns
        code, reasons = judge(end, len(self.empty))
        labels, variable = self.source.table.labels, unknowns.variable
        order = np.argsort(labels, kind="stable")
        covariance = end.inverse.covariance
        variances = np.diag(covariance)
        uncertainty, correlation = np.full((2, len(order)), np.nan)
        uncertainty[variable] = signed_root(variances)
        correlation[variable] = global_correlation(variances, end.diagonal)
        entries = np.zeros(len(order), np.int64)
        entries[variable] = end.evaluation.all_entries
        hessian = self.evaluator.data_hessian()
        return SolverResult(
            exit_code=code,
            text=ending_of(code).words,
            warnings=(*self.warnings, *reasons),
            reasons=tuple(reasons),
            labels=labels[order],
            values=end.parameters[order],
            presigma=unknowns.presigma[order],
            difference=(end.parameters - unknowns.start)[order],
            uncertainties=uncertainty[order],
            global_correlations=correlation[order],
            entries=entries[order],
            variable=labels[variable],
            covariance=covariance,
            data_hessian=hessian,
            spectrum=spectrum_of(hessian, labels[variable], weakest_modes)
            if weakest_modes
            else None,
            chi2=end.evaluation.chi2,
            ndf=end.evaluation.sums.ndf - end.fitted,
            records=self.source.records,
            rejects=end.evaluation.sums.rejects.total,
            loops=self.evaluator.loops,
        )

    def lines(self, result: SolverResult) -> list[ResultLine]:
        """Return the lines of `millepede.res`."""
        options = self.options
        inverse = self.end.inverse
        is_old = options.method == "diagonalization" and self.old_defects
        variances = inverse.old_diagonal if is_old else np.diag(inverse.covariance)
        errors = np.full(len(result.labels), np.nan)
        errors[np.searchsorted(result.labels, result.variable)] = printed_root(variances)
        order = np.argsort(self.source.table.labels, kind="stable")
        in_files = self.evaluator.unknowns.entries[order]
        fitted = np.isin(result.labels, result.variable)
        lines = []
        for at, label in enumerate(result.labels.tolist()):
            line = ResultLine(label, float(result.values[at]), float(result.presigma[at]))
            if fitted[at]:
                line = replace(line, change=float(result.difference[at]))
            if fitted[at] and options.method in WITH_ERRORS:
                line = replace(line, sigma=float(errors[at]))
                if options.global_correlations:
                    line = replace(line, correlation=float(result.global_correlations[at]))
            if options.print_counts:
                shown = int((in_files if options.print_counts > 1 else result.entries)[at])
                # pede marks by a negative count what has too few accepted entries
                too_few = fitted[at] and result.entries[at] < options.accepted_entries
                line = replace(line, entries=-(shown + 1) if too_few else shown)
            lines.append(line)
        return lines
