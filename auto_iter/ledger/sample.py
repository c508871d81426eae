"""An iteration's constants with what its tracks, and what was known besides, say of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from auto_iter.detector.constants import Constants, read_constants
from auto_iter.detector.labels import Scheme
from auto_iter.millepede.results import SolutionRecord, read_record, read_solution
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.weakmodes.beforehand import (
    constraint_rows,
    information,
    known_before,
    prior_of,
    survey_of,
)
from auto_iter.weakmodes.information import data_hessian
from auto_iter.weakmodes.label_space import Floats
from auto_iter.workspace.paths import Workspace


@dataclass(frozen=True)
class Sample:
    """An iteration's constants, and what its data say of them.

    `directory`: its `3millepede`; `files`: the names of the ROOT files that it was solved with;
    `start`: the constants that the alignment began with, to which its prior pulls.
    """

    name: str
    directory: Path
    constants: Constants
    solution: SolutionRecord
    scheme: Scheme
    files: frozenset[str]
    start: Constants = field(default_factory=dict)

    @property
    def free(self) -> dict[int, float]:
        """Free labels and their presigmas (mm, rad)."""
        return {p.label: p.presigma for p in self.solution.parameters if p.presigma >= 0}

    @cached_property
    def hessian(self) -> Floats:
        """The data-only Hessian (1/mm², 1/rad²) of all free labels, in their order."""
        return data_hessian(self.binaries, list(self.free), self.solution.weights)

    @cached_property
    def noise(self) -> Floats:
        """The covariance of the gradient: the Hessian, with weights of tracks squared."""
        weights = self.solution.weights
        if not weights:
            return self.hessian
        squared = {name: weight**2 for name, weight in weights.items()}
        return data_hessian(self.binaries, list(self.free), squared)

    def hessian_of(self, labels: Sequence[int]) -> Floats:
        """Return what the data say of some of the free labels, in their order (1/mm², 1/rad²).

        The other ones are free all the same, and are fitted with them: H_cc − H_co (H_oo + K_oo)⁺
        H_oc, with what is known of them.
        """
        order = list(self.free)
        at = [order.index(label) for label in labels]
        others = [place for place, label in enumerate(order) if label not in set(labels)]
        own = self.hessian[np.ix_(at, at)]
        if not others:
            return np.asarray(own)
        shared = self.hessian[np.ix_(at, others)]
        inner = self.hessian[np.ix_(others, others)] + self.known[np.ix_(others, others)]
        rest = own - shared @ np.linalg.pinv(inner, hermitian=True) @ shared.T
        return np.asarray(0.5 * (rest + rest.T))

    @cached_property
    def prior(self) -> Floats | None:
        """What the prior on the total says of all free labels (1/mm², 1/rad²); None: there is none.

        Shape (labels, labels), in their order.
        """
        prior = prior_of([self.directory])
        return known_before(prior, self.free) if prior else None

    @cached_property
    def known(self) -> Floats:
        """What holds the total besides the data, prior and survey, likewise."""
        surveyed = information(survey_of([self.directory]), list(self.free))
        return surveyed if self.prior is None else surveyed + self.prior

    @cached_property
    def constraints(self) -> Floats:
        """The constraints of the fit: rows of factors over all free labels."""
        return constraint_rows([self.directory], list(self.free))

    @property
    def binaries(self) -> list[Path]:
        """Its Mille binaries."""
        return [self.directory / "mille" / name for name in self.solution.binaries]

    @property
    def scale(self) -> float:
        """By how much its covariance is too small: χ²/ndf of its tracks, 1 at least."""
        return max(1.0, self.solution.chi2_ndf_of_tracks)


def sample(name: str, directory: Path, strategy: Path) -> Sample:
    """Return the sample in an iteration's `3millepede`. Raises InputError."""
    solution = read_solution(directory / "solution.json")
    used = {Path(binary).with_suffix(".json").name for binary in solution.binaries}
    records = [read_record(directory / "mille" / name) for name in sorted(used)]
    start = Workspace(directory.parents[1]).iteration(1, 0).constants
    return Sample(
        name,
        directory,
        read_constants(directory / "inputforalign.txt"),
        solution,
        load_strategy(str(strategy)).labels,
        frozenset(each.root for each in records),
        read_constants(start) if start.is_file() else {},
    )
