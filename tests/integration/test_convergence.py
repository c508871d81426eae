"""The simulated alignment finds the truth - and does not when a derivative has the wrong sign.

The chain runs in this process here, without jobs and daemon, so that several detectors can be
aligned in the time of one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from auto_iter.errors import PhysicsError
from auto_iter.millepede.conversion import convert_sources
from auto_iter.millepede.requests import ConvertRequest, Cuts, SolveRequest, Source
from auto_iter.millepede.strategy import load_strategy
from auto_iter.millepede.workflow import solve
from auto_iter.report.assessment import constraint_rows, known_before
from auto_iter.report.information import data_hessian
from auto_iter.report.label_space import label_values
from auto_iter.report.truth import Comparison, compare
from auto_iter.simulation.reconstruct import chi2_per_ndf, reconstruct
from auto_iter.simulation.simulate import Options, Simulated, simulate

Constants = dict[str, tuple[float, ...]]

ITERATIONS = 5
RESIDUAL_CUTS_MM = (1.0, 0.3, 0.1, 0.05, 0.05)
SEEDS = (1, 2, 3)
STRATEGY = "3st"


@dataclass(frozen=True)
class Aligned:
    """The outcome of an alignment."""

    comparison: Comparison
    chi2_ndf: tuple[float, ...]
    ideal_chi2_ndf: float

    @property
    def is_right(self) -> bool:
        """Acceptance: within 5 uncertainties of the truth, chi2/ndf within 5 % of the ideal."""
        within = np.nanmax(np.abs(self.comparison.pulls)) < 5
        return bool(within) and abs(self.chi2_ndf[-1] / self.ideal_chi2_ndf - 1) < 0.05


def read(path: Path) -> Constants:
    return {key: tuple(values) for key, values in json.loads(f"{{{path.read_text()}}}").items()}


def align(directory: Path, seed: int, *, flipped: str | None = None) -> Aligned:
    simulated = simulate(directory / "sim", Options(seed=seed))
    previous = directory / "start.txt"
    previous.write_text("")
    chi2 = []
    for iteration in range(1, ITERATIONS + 1):
        place = directory / f"iter{iteration:02d}"
        place.mkdir()
        chi2.append(_iterate(place, iteration, simulated, previous, flipped))
        previous = place / "inputforalign.txt"
    ideal = chi2_per_ndf(simulated.raw_files, simulated.constants, with_ift=False)
    return Aligned(_compared(place, simulated), tuple(chi2), ideal)


def _iterate(
    place: Path, iteration: int, simulated: Simulated, previous: Path, flipped: str | None
) -> float:
    """Reconstruct, convert, solve; return the chi2/ndf of the tracks as reconstructed."""
    sources = [
        Source(
            number=number,
            root=place / f"{number}.root",
            binary=place / f"{number}.bin",
            statistics=place / f"{number}.json",
        )
        for number in range(len(simulated.raw_files))
    ]
    for source, raw in zip(sources, simulated.raw_files, strict=True):
        reconstruct(raw, read(previous), source.root, with_ift=False, flipped=flipped)
    cuts = Cuts(max_residual_mm=RESIDUAL_CUTS_MM[iteration - 1])
    convert_sources(ConvertRequest(sources=tuple(sources), cuts=cuts))
    request = SolveRequest(
        directory=place,
        binaries=tuple(source.binary for source in sources),
        statistics=tuple(source.statistics for source in sources),
        previous=previous,
        strategy=STRATEGY,
        iteration=iteration,
        solver="builtin",
        max_shift_mm=1e9,
        max_rotation_rad=1e9,
    )
    return solve(request, {}).track_chi2_ndf


def _compared(place: Path, simulated: Simulated) -> Comparison:
    scheme = load_strategy(STRATEGY).scheme
    record = json.loads((place / "solution.json").read_text())
    presigma = {
        each["label"]: each["presigma"] for each in record["parameters"] if each["presigma"] >= 0
    }
    labels = sorted(presigma)
    truth = {key: tuple(values) for key, values in simulated.constants.items()}
    binaries: Sequence[Path] = sorted(place.glob("*.bin"))
    return compare(
        label_values(read(place / "inputforalign.txt"), labels, scheme),
        label_values(truth, labels, scheme),
        labels,
        data_hessian(binaries, labels),
        known_before([place], dict(sorted(presigma.items()))),
        scheme=scheme,
        constraints=constraint_rows([place], labels),
    )


@pytest.fixture(scope="module", params=SEEDS)
def aligned(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Aligned:
    return align(tmp_path_factory.mktemp("aligned"), request.param)


def test_every_constant_is_within_five_uncertainties_of_the_truth(aligned: Aligned) -> None:
    assert len(aligned.comparison.labels) == 261
    assert np.nanmax(np.abs(aligned.comparison.pulls)) < 5


def test_the_pulls_are_as_wide_as_the_uncertainties_say(aligned: Aligned) -> None:
    # Of independent combinations: the constants' own pulls share a few soft modes, so that their
    # width says little in a single detector.
    assert aligned.comparison.dof > 200
    assert 0.8 < aligned.comparison.width < 1.2


def test_chi2_comes_down_to_that_of_the_ideal_alignment(aligned: Aligned) -> None:
    assert aligned.chi2_ndf[0] > 10
    assert aligned.chi2_ndf[-1] == pytest.approx(aligned.ideal_chi2_ndf, rel=0.05)


def test_what_the_data_cannot_fix_is_named(aligned: Aligned) -> None:
    names = " ".join(mode.name for mode in aligned.comparison.weak)
    assert "shift of everything in y" in names
    assert "shear of y along z" in names


@pytest.mark.parametrize("flipped", ["align_local_derivation_x_x", "align_global_derivation_y_y"])
def test_with_the_sign_of_one_derivative_flipped_it_fails(tmp_path: Path, flipped: str) -> None:
    try:
        is_right = align(tmp_path, 1, flipped=flipped).is_right
    except PhysicsError:
        is_right = False  # it ran away so far that no track was left
    assert not is_right
