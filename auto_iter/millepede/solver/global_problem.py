"""The global fit's unknowns: variable labels, start values, presigmas, extra measurements.

Also the evaluation of function, gradient and matrix at given parameters, with the terms that do not
come from the binaries (presigma, regularisation, `Measurement`): loop1 and the end of loopn in
pede.f90. Arrays run over all labels by their place in the table, unless told to run over the
variable ones, which are ordered by label. Units: mm, rad.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from auto_iter.detector.labels import Parameter
from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.mille.records import Floats, Indices, Integers
from auto_iter.millepede.solver.data_loop import LoopRequest, Sums
from auto_iter.millepede.solver.data_source import DataSource
from auto_iter.millepede.steering.options import PedeOptions
from auto_iter.millepede.steering.reader import Combination, Steering


@dataclass
class Unknowns:
    """Per label of the table: start value, presigma, entries in the binaries; who is variable."""

    start: Floats
    presigma: Floats
    entries: Indices
    variable: Indices

    def weights(self, options: PedeOptions) -> Floats:
        """Weight of the presigma of each variable parameter, 1/presigma² times the factor.

        Without `regularisation` it goes to the matrix alone: it shortens steps and is no prior.
        """
        presigma = self.presigma[self.variable]
        # pede keeps the default presigma and the factor in single precision
        default = float(np.float32(options.default_presigma) ** 2)
        square = np.where(presigma > 0, presigma**2, default)
        pulls = (presigma > 0) | ((presigma == 0) & (default > 0))
        with np.errstate(divide="ignore"):  # so small a presigma ends as not-a-number, as in pede
            inverse = np.divide(1.0, square, out=np.zeros_like(square), where=pulls)
        return float(np.float32(options.regularisation)) * inverse


def register_labels(steering: Steering, source: DataSource) -> None:
    """Put the labels of the text files into the table; zero values register nothing, as in pede."""
    labels = {p.label for p in steering.parameters if p.value != 0 or p.presigma != 0}
    for combination in (*steering.constraints, *steering.measurements):
        labels.update(label for label, _ in combination.terms)
    source.table.indices(np.array(sorted(labels), np.int32))


def text_values(parameters: Sequence[Parameter], source: DataSource) -> tuple[Floats, Floats]:
    """Start values and presigmas (mm, rad), each of the table's length, by table position.

    A later zero does not undo a value (`filetx` in pede.f90).
    """
    start, presigma = np.zeros(len(source.table)), np.zeros(len(source.table))
    for parameter in parameters:
        if parameter.value == 0 and parameter.presigma == 0:
            continue
        at = int(source.table.indices(np.array([parameter.label], np.int32))[0])
        if parameter.value != 0:
            start[at] = parameter.value
        if parameter.presigma != 0:
            presigma[at] = parameter.presigma
    return start, presigma


def choose_variable(
    start: Floats, presigma: Floats, entries: Indices, source: DataSource, options: PedeOptions
) -> Unknowns:
    """Apply the entries cut (iterated on request).

    `entries`: measurements of each label in the binaries, before any reject. Raises PedeAbortError:
    21 when there is no label at all, 22 when nothing is variable.
    """
    few = (presigma >= 0) & (entries < options.entries)
    free = (presigma >= 0) & ~few
    if options.iterate_entries > options.entries and not options.count_records:
        again = source.count_without(few)
        free &= (again >= options.entries) | (entries >= options.iterate_entries)
    order = np.argsort(source.table.labels, kind="stable")
    variable = order[free[order]]
    if not len(start):
        raise PedeAbortError("neither text nor binary files define any label", 21)
    if not len(variable):
        raise PedeAbortError(
            f"no variable parameter: all are fixed or have fewer than {options.entries} entries", 22
        )
    return Unknowns(start, presigma, entries, variable)


@dataclass(frozen=True)
class Extra:
    """A `Measurement`: value, weight, table positions and factors of its labels.

    It adds weight·(value - Σ factor·parameter)² to chi2; weight is 1/σ².
    """

    value: float
    weight: float
    position: Integers
    factor: Floats

    def add_to(self, matrix: Floats) -> None:
        """Add its weight times the products of its factors, as pede does: pair by pair.

        A label that comes twice has the product of its two factors once on the diagonal, not twice.
        """
        row, column = np.tril_indices(len(self.position))
        product = self.weight * self.factor[row] * self.factor[column]
        at, other = self.position[row], self.position[column]
        np.add.at(matrix, (at, other), product)
        mirrored = at != other
        np.add.at(matrix, (other[mirrored], at[mirrored]), product[mirrored])


def build_extras(measurements: Sequence[Combination], source: DataSource) -> list[Extra]:
    """Measurements with their labels translated; sigma 0 or less gives no weight."""
    extras = []
    for m in measurements:
        labels = np.array([label for label, _ in m.terms], np.int32)
        factors = np.array([factor for _, factor in m.terms])
        with np.errstate(divide="ignore"):
            weight = float(np.float64(1.0) / np.float64(m.sigma) ** 2) if m.sigma > 0 else 0.0
        extras.append(Extra(m.value, weight, source.table.indices(labels), factors))
    return extras


@dataclass
class Evaluation:
    """Function value, descent direction (minus half the gradient) and counts at one point.

    `entries` counts accepted measurements per variable parameter; `Measurement` sections count
    only in `all_entries`, so they cannot make up for data that are too few.
    """

    chi2: float
    gradient: Floats  # variable parameters
    entries: Indices
    all_entries: Indices
    sums: Sums


@dataclass
class Evaluator:
    """Evaluates at given parameters; reads the data only where the result can differ.

    Without cuts on chi2 and without down-weighting the function is quadratic as long as no record
    crosses the huge cut. The change of a record's sqrt(chi2) is at most sqrt(dᵀCd), so when that
    stays below the slack of the last loop, the loop would only repeat what C already tells.
    (Proof: the sqrt is a norm of the residuals, and one record's part of dᵀCd is no more than all.)

    `old_measurements`: the gradient of a `Measurement` of several labels as before V04-15-00.
    """

    source: DataSource
    unknowns: Unknowns
    options: PedeOptions
    extras: list[Extra]
    old_measurements: bool
    hessian: Floats | None = None  # of the data alone, over all labels
    loops: int = 0
    read_loops: int = 0
    _known: tuple[Floats, Sums] | None = field(default=None)
    _complete: bool = False

    def request(self, parameters: Floats, chi2_cut: np.float32, *, matrix: bool) -> LoopRequest:
        """Tell what a data loop at `parameters` has to do; the first never down-weights."""
        options = self.options
        return LoopRequest(
            parameters,
            matrix,
            chi2_cut,
            np.float32(options.huge_cut),
            options.down_weighting if self.loops > 1 else 0,
            np.float32(options.down_weight_cut),
            options.scale_global,
            options.scale_local,
        )

    def evaluate(self, parameters: Floats, chi2_cut: np.float32, *, matrix: bool) -> Evaluation:
        """One of pede's data loops (loopn): function, gradient and, with `matrix`, C."""
        self.loops += 1
        sums = None
        if self.loops == 1 and self._known is not None:
            sums = self._known[1]
        elif not matrix:
            sums = self._from_hessian(parameters, chi2_cut)
        if sums is None:
            request = self.request(parameters, chi2_cut, matrix=matrix)
            sums, _ = self.source.loop(lambda: request)
            self.remember(sums, parameters)
        return self._with_extras(sums, parameters)

    def remember(self, sums: Sums, parameters: Floats) -> None:
        """Take a loop as the last one; the first is made while labels are still collected."""
        self.read_loops += 1
        self._known = (parameters.copy(), sums)
        if sums.matrix is not None:
            self.hessian = sums.matrix
            self._complete = not (sums.rejects.huge or sums.rejects.large)

    def _from_hessian(self, parameters: Floats, chi2_cut: np.float32) -> Sums | None:
        if self._known is None or self.hessian is None or not self._complete:
            return None
        before, sums = self._known
        linear = chi2_cut == 0 and self.options.down_weighting < 2
        if not linear or sums.rejects.huge or sums.rejects.large:
            return None
        step = parameters - before
        change = self.hessian @ step
        distance = float(np.sqrt(np.maximum(step @ change, 0.0)))
        # `not <` also refuses NaN; the margin is for rounding
        if not distance < 0.999 * sums.slack:
            return None
        chi2 = sums.chi2 - 2.0 * float(sums.gradient @ step) + float(step @ change)
        return replace(
            sums, chi2=chi2, gradient=sums.gradient - change, slack=sums.slack - distance
        )

    def _with_extras(self, sums: Sums, parameters: Floats) -> Evaluation:
        variable = self.unknowns.variable
        gradient, entries = sums.gradient.copy(), sums.entries.copy()
        chi2 = sums.chi2
        if self.options.regularise:
            weights = self.unknowns.weights(self.options)
            gradient[variable] -= weights * parameters[variable]
            chi2 += float(weights @ parameters[variable] ** 2)
        for extra in self.extras:
            partial = np.cumsum(extra.factor * parameters[extra.position]) - extra.value
            missing = float(partial[-1]) if len(partial) else -extra.value
            # pede before V04-15-00 takes the residual summed so far, label by label
            used = partial if self.old_measurements else missing
            np.add.at(gradient, extra.position, -extra.weight * used * extra.factor)
            np.add.at(entries, extra.position, 1)
            chi2 += extra.weight * missing**2
        return Evaluation(chi2, gradient[variable], sums.entries[variable], entries[variable], sums)

    def data_hessian(self) -> Floats:
        """Return C (n, n; 1/mm², 1/rad²) of the n variable parameters, from the data alone.

        As of the last loop with a matrix: no presigma, no `Measurement`.
        """
        return self._of_variable([])

    def matrix(self) -> Floats:
        """Return C (n, n) of the n variable parameters with presigmas and extra measurements.

        Half the second derivative of F (1/mm², 1/rad²); both add to it (`loopn` in pede.f90).
        """
        matrix = self._of_variable(self.extras)
        matrix[np.diag_indices_from(matrix)] += self.unknowns.weights(self.options)
        return matrix

    def _of_variable(self, extras: Sequence[Extra]) -> Floats:
        if self.hessian is None:
            raise RuntimeError("no data loop with matrix has been made")
        full = self.hessian.copy()
        for extra in extras:
            extra.add_to(full)
        return full[np.ix_(self.unknowns.variable, self.unknowns.variable)]
