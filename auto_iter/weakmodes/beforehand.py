"""What was known of an alignment besides its tracks: constraints, prior, survey."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from auto_iter.millepede.pede.input import CONSTRAINTS, PRIOR, SURVEY
from auto_iter.millepede.steering.reader import Combination, read_text
from auto_iter.weakmodes.label_space import Floats
from auto_iter.weakmodes.modes import Eigenmodes, eigenmodes, of_sigmas

UNKNOWN = 100.0
"""σ (mm, rad) of what nobody knows anything about: larger than the detector."""


def modes_of(free: Mapping[int, float], hessian: Floats, places: Sequence[Path]) -> Eigenmodes:
    """Return the modes of a fit of free labels (label → presigma; mm, rad) in their order.

    `hessian`: of the data alone; what a survey says counts with it. `places`: the `3millepede`
    directories with all that was known besides. Raises InputError like `eigenmodes`.
    """
    labels = list(free)
    return eigenmodes(
        labels,
        hessian + information(survey_of(places), labels),
        known_before(prior_of(places), free),
        constraints=constraint_rows(places, labels),
    )


def constraint_rows(places: Sequence[Path], labels: list[int]) -> Floats:
    """Return the constraints of all steps in `3millepede` directories.

    Rows of factors over `labels`; none: no rows. A step's constraint file lacks what the step
    fixes, and another phase fixes other things, so those of all steps are read.
    """
    rows: dict[tuple[int, ...], Floats] = {}
    for path in _step_files(places, CONSTRAINTS):
        for constraint in read_text(path).constraints:
            row = factors_over(labels, constraint)
            if row.any():
                rows[tuple(row)] = row
    return np.array(list(rows.values())).reshape(len(rows), len(labels))


def _step_files(places: Sequence[Path], name: str) -> list[Path]:
    return [path for place in places for path in sorted(place.glob(f"step*/{name}"))]


def known_before(prior: Sequence[Combination], free: Mapping[int, float]) -> Floats:
    """Return what was known of free labels before the data, as information (1/mm², 1/rad²).

    That is the `prior` which acts on the total; where there is none, the presigmas, `free`: label →
    presigma (mm, rad), 0: none. Shape (labels, labels), in the order of `free`.
    """
    labels = list(free)
    known = information(prior, labels)
    if known.any():
        return known + of_sigmas(np.full(len(labels), UNKNOWN))
    return of_sigmas(np.array([presigma or UNKNOWN for presigma in free.values()]))


def information(measurements: Sequence[Combination], labels: Sequence[int]) -> Floats:
    """Return what measurements say of `labels` (1/mm², 1/rad²): Σ of a aᵀ/σ², a their factors.

    Shape (labels, labels); all others are taken to be where they are.
    """
    known = np.zeros((len(labels), len(labels)))
    for measured in measurements:
        row = factors_over(labels, measured)
        known += np.outer(row, row) / measured.sigma**2
    return known


def factors_over(labels: Sequence[int], of: Combination) -> Floats:
    """Return the factors (labels) of a combination; of labels that it does not hold 0."""
    factors = dict(of.terms)
    return np.array([factors.get(label, 0.0) for label in labels], dtype=float)


def prior_of(places: Sequence[Path]) -> list[Combination]:
    """Return the prior of all steps in `3millepede` directories, each constant's once: the latest.

    Empty where the strategy has none. Values in mm and rad.
    """
    return _latest(places, PRIOR)


def survey_of(places: Sequence[Path]) -> list[Combination]:
    """Return the survey of all steps in `3millepede` directories, each line once: the latest.

    Empty where there was none. Unlike the prior it counts with the data: what only a survey
    determines is not weak. Values in mm and rad.
    """
    return _latest(places, SURVEY)


def _latest(places: Sequence[Path], name: str) -> list[Combination]:
    # The same combination may have been measured twice; what moves is its end, in each step.
    found: dict[tuple[frozenset[tuple[int, float]], int], Combination] = {}
    for path in _step_files(places, name):
        times: Counter[frozenset[tuple[int, float]]] = Counter()
        for each in read_text(path).measurements:
            terms = frozenset(each.terms)
            found[terms, times[terms]] = each
            times[terms] += 1
    return list(found.values())
