"""`millepede.log` of the built-in solver: what was read, how it was solved, what it came to."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.solver.chi2_cuts import chi2_limit_per_ndf
from auto_iter.millepede.solver.iteration import LoopRow
from auto_iter.millepede.solver.outcome import SolverResult, chi2_ratio
from auto_iter.millepede.solver.solution import Solution
from auto_iter.millepede.steering.reader import Steering


def log(solution: Solution, result: SolverResult) -> Iterator[str]:
    """Yield the lines of `millepede.log`."""
    end = solution.end
    sums, rejects = end.evaluation.sums, end.evaluation.sums.rejects
    source, constraints = solution.source, solution.constraints
    yield from _header(solution.steering)
    rows = (
        ("NREC", source.records, "number of records"),
        ("NEQN", source.measurements, "number of equations (measurements)"),
        ("NTGB", len(result.labels), "total number of parameters"),
        ("NPRESG", int((result.presigma > 0).sum()), "number of pre-sigmas"),
        ("NVGB", len(result.variable), "number of variable parameters"),
        ("NFGB", end.fitted, "number of fit parameters"),
        ("NCGB", len(constraints), "number of constraints"),
        ("NALCN", source.local_parameters, "max number of local parameters in a record"),
        ("NAEQN", source.most_measurements, "max number of equations in a record"),
    )
    for name, number, meaning in rows:
        yield f" {name:>8} ={number:10d} = {meaning}"
    if len(constraints):
        yield f" rank of the constraints is {constraints.rank} for {len(constraints)}"
    yield ""
    yield from _cut_table(source.most_measurements)
    feasible = "are" if end.feasible_at_start else "were made"
    yield f" start values {feasible} feasible (satisfy the constraints)"
    yield ""
    yield from _iteration_table(solution.rows)
    ratio = chi2_ratio(end)
    yield f" Sum(Chi^2)/Sum(Ndf) = {result.chi2:.17g}"
    yield f"                     / ( {sums.ndf:11d} - {end.fitted:11d} )"
    yield f"                     = {ratio:.7g}"
    yield ""
    if len(constraints):
        missing = np.abs(constraints.discrepancies(end.parameters)).max()
        yield f" constraints are satisfied to {missing:.2g}"
        yield ""
    yield " Data rejected in last iteration:"
    yield (
        f"  {rejects.singular:12d}  (rank deficit/NaN) {rejects.no_freedom:12d}  (Ndf=0) "
        f"{rejects.huge:12d}  (huge) {rejects.large:12d}  (large)"
    )
    yield ""
    yield f" {result.loops} loops, {solution.evaluator.read_loops} of them through the data"
    yield from (f" warning: {warning}" for warning in result.warnings)
    yield f" exit code {result.exit_code}: {result.text}"


def log_of_abort(solution: Solution, abort: PedeAbortError) -> Iterator[str]:
    """Yield the lines of `millepede.log` when there is no result."""
    yield from _header(solution.steering)
    yield f" NREC = {solution.source.records} = number of records"
    yield from _iteration_table(solution.rows)
    yield from (f" warning: {warning}" for warning in solution.warnings)
    yield f" exit code {abort.pede_code}: {abort.pede_text}: {abort}"


def _header(steering: Steering) -> Iterator[str]:
    """Files and settings."""
    yield "Log-file of auto-iter's built-in solver, which follows Millepede II pede"
    yield ""
    yield "Text and data files:"
    for text in steering.text_files:
        yield f"  text             {text}"
    for binary in steering.binaries:
        kind = "Fortran_binary" if binary.fortran else "C_binary"
        weight = f"   weight {binary.weight:g}" if binary.weight != 1 else ""
        yield f"  {kind:<15}  {binary.path}{weight}"
    yield ""
    yield "Options:"
    for name, value in vars(steering.options).items():
        yield f"  {name:<24} {value}"
    yield ""


def _cut_table(most_measurements: int) -> Iterator[str]:
    """Chi2 limits for the numbers of degrees of freedom that occur."""
    ndf = np.array(
        [n for n in (*range(1, 10), *range(10, 20, 2), *range(20, 101, 5)) if n < most_measurements]
    )
    yield " Chi2 that corresponds to 2 and 3 standard deviations"
    yield "    Ndf  Chi^2/Ndf(2)  Chi^2(2)     Chi^2/Ndf(3)  Chi^2(3)"
    if len(ndf):
        two, three = chi2_limit_per_ndf(2, ndf), chi2_limit_per_ndf(3, ndf)
        for n, a, b in zip(ndf.tolist(), two.tolist(), three.tolist(), strict=True):
            yield f"{n:6d}   {a:9.3f}{a * n:12.1f}      {b:9.3f}{b * n:12.1f}"
    yield ""


def _iteration_table(rows: Sequence[LoopRow]) -> Iterator[str]:
    """One line per data loop: function value, expected change, slope ratio, step, cut, rejects."""
    yield " it fc   fcn_value dfcn_exp  slpr  ls  step   cutf rejects"
    yield " -- -- ----------- -------- -----  -- -----  ----- -------"
    for row in rows:
        number = f"{row.iteration:3d}" if row.iteration >= 0 else "   "
        search = " " * 18
        if row.step is not None and row.slope_ratio is not None:
            search = f"{row.slope_ratio:6.3f} {row.info:3d} {row.step:6.3f} "
        expected = f"{row.expected:9.2e}" if row.iteration > 0 else " " * 9
        yield (
            f"{number}{row.loop:3d} {row.chi2:11.5e}{expected}{search}"
            f"{row.chi2_cut:6.1f} {row.rejects:7d}"
        )
    yield ""
    yield " it = iteration, fc = data loop, dfcn_exp = expected reduction, slpr = slope ratio,"
    yield " ls = line search info, step = fraction of the solution, cutf = chi2 cut factor (0: no)"
    yield ""
