"""The built-in solver: what pede does with a steering file, in this process.

Reads what pede reads and leaves `millepede.res`, `millepede.end` and `millepede.log`. The path to
the result, cuts and exit codes are those of pede V04 (see `iteration`, `data_loop`). Algorithm,
formulas and their sources, step by step: docs/solver.md.
"""

from __future__ import annotations

import io
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from auto_iter.errors import InputError
from auto_iter.files import write_atomically
from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.pede.result_files import set_aside, write_end, write_result
from auto_iter.millepede.solver.log import log, log_of_abort
from auto_iter.millepede.solver.outcome import SolverResult
from auto_iter.millepede.solver.solution import Solution
from auto_iter.millepede.steering.reader import read_steering

__all__ = ["SolverResult", "solve"]


def solve(
    steering_path: Path,
    *,
    directory: Path | None = None,
    save_matrix: bool = False,
    weakest_modes: int = 0,
    old_defects: bool = False,
) -> SolverResult:
    """Solve as `pede STEERING` does when run in `directory` (default: the current one).

    `save_matrix` writes `matrix.npz` (labels (n), data-only Hessian and covariance (n, n), for the
    n fitted labels; units as in `SolverResult`); `weakest_modes` asks for the eigenvalue spectrum
    and that many of the least determined combinations. `old_defects` reproduces two defects of pede
    before V04-12-03 and V04-15-00: the printed uncertainties of `method diagonalization` with
    constraints, and the gradient of `Measurement` of several labels.

    Raises PedeAbortError where pede aborts, InputError, with file and line, for what the solver
    refuses; `millepede.end` says so.
    """
    where = directory or Path()
    for name in ("millepede.res", "millepede.log", "millepede.end"):
        set_aside(where, name)
    write_end(where, -1)
    solution = None
    try:
        solution = Solution(read_steering(steering_path, where), old_defects=old_defects)
        # what is not a number is found by pede's own checks, and told in its own words
        with np.errstate(all="ignore"):
            result = solution.run(weakest_modes)
    except PedeAbortError as abort:
        _write_log(where, [str(abort)] if solution is None else log_of_abort(solution, abort))
        write_end(where, abort.pede_code, abort.pede_text)
        raise
    except InputError:
        write_end(where, 40)
        raise
    write_result(where, solution.lines(result))
    if save_matrix:
        _save_matrix(where / "matrix.npz", result)
    _write_log(where, log(solution, result))
    write_end(where, result.exit_code)
    return result


def _write_log(where: Path, lines: Iterable[str]) -> None:
    write_atomically(where / "millepede.log", "\n".join(lines) + "\n")


def _save_matrix(path: Path, result: SolverResult) -> None:
    content = io.BytesIO()
    np.savez_compressed(
        content,
        labels=result.variable,
        hessian=result.data_hessian,
        covariance=result.covariance,
    )
    write_atomically(path, content.getvalue())
