"""Differences of fits whose truth is known: their covariance is right whatever the samples are.

Each toy is a linear fit with a prior about where it began, made here by formulas of its own: a
truth within the prior, the noise of its tracks, the minimum of both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auto_iter.detector.labels import Scheme, place_of, places
from auto_iter.errors import InputError
from auto_iter.ledger.difference import difference
from auto_iter.ledger.sample import Sample
from auto_iter.millepede.pede.input import PRIOR
from auto_iter.millepede.results import ParameterRecord, SolutionRecord
from auto_iter.millepede.steering.reader import Combination
from auto_iter.millepede.steering.writer import format_combinations
from auto_iter.weakmodes.label_space import Floats, label_values

SCHEME = Scheme()
LABELS = [label for label in places([2], SCHEME) if label < 10_000]
PRIOR_MM = 0.3
TRIALS = 15
ZERO = np.zeros(len(LABELS))


@dataclass(frozen=True)
class Toy(Sample):
    """A sample of which the Hessian is known."""

    matrix: Floats = field(kw_only=True)

    @cached_property
    def hessian(self) -> Floats:
        return self.matrix


@dataclass(frozen=True)
class LinearFit:
    """A fit of `free` labels that knows `information` (labels, labels) and began at `start`."""

    information: Floats
    start: Floats
    free: tuple[int, ...] = tuple(LABELS)

    def found(self, truth: Floats, random: np.random.Generator) -> Floats:
        """Return the minimum of data and prior, with noise; what is not free stays."""
        at = [LABELS.index(label) for label in self.free]
        hessian = self.information[np.ix_(at, at)]
        noise = random.multivariate_normal(ZERO, self.information)
        pull = (self.information @ (truth - self.start) + noise)[at]
        found = self.start.copy()
        found[at] += np.linalg.solve(hessian + np.eye(len(at)) / PRIOR_MM**2, pull)
        return found

    def sample(self, directory: Path, values: Floats) -> Toy:
        """Return it as an alignment that found `values` in `directory`."""
        (directory / "step0").mkdir(parents=True, exist_ok=True)
        prior = [Combination(0.0, PRIOR_MM, ((label, 1.0),)) for label in self.free]
        (directory / "step0" / PRIOR).write_text(format_combinations("Measurement", prior))
        at = [LABELS.index(label) for label in self.free]
        return Toy(
            name=directory.name,
            directory=directory,
            constants=constants(values),
            solution=solution(self.free),
            scheme=SCHEME,
            files=frozenset({directory.name}),
            start=constants(self.start),
            matrix=self.information[np.ix_(at, at)],
        )


def constants(values: Floats) -> dict[str, tuple[float, ...]]:
    found: dict[str, list[float]] = {}
    for label, value in zip(LABELS, values, strict=True):
        where = place_of(label, SCHEME)
        six = found.setdefault(where.component.key, [0.0] * 6)
        six[("x", "y", "z", "rx", "ry", "rz").index(where.parameter)] = float(value)
    return {key: tuple(six) for key, six in found.items()}


def solution(free: tuple[int, ...]) -> SolutionRecord:
    parameters = tuple(
        ParameterRecord(label=label, name=str(label), value=0.0, sigma=1.0, presigma=0.0)
        for label in free
    )
    told: dict[str, Any] = {
        "parameters": parameters,
        "track_chi2_ndf": 1.0,
        "chi2_ndf": 1.0,
        "weights": {},
    }
    return SolutionRecord.model_construct(**told)


def information(seed: int, strength: float) -> Floats:
    """Return what tracks know: of combinations at least `strength` times the prior, up to twice."""
    random = np.random.default_rng(seed)
    basis, _ = np.linalg.qr(random.normal(size=(len(LABELS), len(LABELS))))
    eigenvalues = strength * np.geomspace(1, 2, len(LABELS)) / PRIOR_MM**2
    return np.asarray((basis * eigenvalues) @ basis.T)


def chi2_ndf(one: LinearFit, other: LinearFit, place: Path) -> float:
    """Return χ²/ndf of the difference, over many detectors that stayed."""
    return float(np.mean(list(_chi2_ndf(one, other, place))))


def _chi2_ndf(one: LinearFit, other: LinearFit, place: Path) -> Iterator[float]:
    random = np.random.default_rng(11)
    for _ in range(TRIALS):
        truth = one.start + random.normal(scale=PRIOR_MM, size=len(LABELS))
        samples = [
            fit.sample(place / name, fit.found(truth, random))
            for name, fit in (("one", one), ("other", other))
        ]
        found = difference(*samples)
        assert found.dof > 5
        yield found.chi2 / found.dof


def test_the_toys_are_what_they_are_said_to_be() -> None:
    values = np.linspace(1.0, 2.0, len(LABELS))
    assert label_values(constants(values), LABELS, SCHEME) == pytest.approx(values)


def test_samples_of_one_size_agree(tmp_path: Path) -> None:
    fit = LinearFit(information(1, 4.0), ZERO)
    assert 0.8 < chi2_ndf(fit, fit, tmp_path) < 1.2


def test_a_small_sample_agrees_with_a_large_one_although_its_prior_pulls_more(
    tmp_path: Path,
) -> None:
    small, large = LinearFit(information(1, 2.5), ZERO), LinearFit(information(1, 250.0), ZERO)
    assert 0.8 < chi2_ndf(small, large, tmp_path) < 1.2


def test_alignments_that_began_elsewhere_agree(tmp_path: Path) -> None:
    start = np.random.default_rng(2).normal(scale=2 * PRIOR_MM, size=len(LABELS))
    one, other = LinearFit(information(1, 4.0), ZERO), LinearFit(information(1, 4.0), start)
    assert 0.8 < chi2_ndf(one, other, tmp_path) < 1.2


def test_what_only_one_of_them_had_free_costs_it_knowledge(tmp_path: Path) -> None:
    # the other one's stay where they truly are: nothing is wrong with its constants
    fewer = tuple(LABELS[3:])
    one, other = LinearFit(information(3, 10.0), ZERO), LinearFit(information(3, 10.0), ZERO, fewer)
    random = np.random.default_rng(11)
    found = []
    for _ in range(TRIALS):
        truth = random.normal(scale=PRIOR_MM, size=len(LABELS))
        truth[:3] = 0.0
        samples = [
            fit.sample(tmp_path / name, fit.found(truth, random))
            for name, fit in (("one", one), ("other", other))
        ]
        compared = difference(*samples)
        assert compared.alone == 3
        found.append(compared.chi2 / compared.dof)
    assert 0.8 < np.mean(found) < 1.2


def test_where_the_data_determine_nothing_nothing_is_compared(tmp_path: Path) -> None:
    fit = LinearFit(information(1, 1e-9), ZERO)
    samples = [fit.sample(tmp_path / name, ZERO) for name in ("one", "other")]
    with pytest.raises(InputError, match="determine nothing"):
        difference(*samples)
