"""A survey of one layer's y removes the mode that it should, in the table and against the truth.

Tracks do not see y of everything: without a survey it stays where the alignment began. Simulated
detectors, solved once without a survey and then with many: the true value plus a draw of 50 µm.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from auto_iter.detector.constants import read_constants
from auto_iter.detector.labels import Place, component_of_key, label_of
from auto_iter.millepede.requests import SolveRequest
from auto_iter.millepede.results import read_solution
from auto_iter.millepede.steering.reader import Combination
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.millepede.workflow import solve
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate
from auto_iter.weakmodes.beforehand import constraint_rows, known_before, prior_of
from auto_iter.weakmodes.information import data_hessian
from auto_iter.weakmodes.with_survey import WithSurvey, with_survey
from tests.support.in_process import Setting, align

SEEDS = range(1, 5)
DRAWS = 12
SIGMA_MM = 0.05
LAYER = "21"
"""In the middle of the spectrometer."""
SHIFT_MM = 0.15
"""How far all of the detector lies from where the alignment begins, in y."""


@dataclass(frozen=True)
class LayerFit:
    """y of the layer: found − true, and its uncertainty (mm). `place`: the iteration's."""

    place: Path
    missed: float
    sigma: float


@dataclass(frozen=True)
class SurveyedDetector:
    """A detector's fits without a survey and with several."""

    without: LayerFit
    surveyed: tuple[LayerFit, ...]


def fit_in(place: Path, truth_mm: float) -> LayerFit:
    changes = read_solution(place / "solution.json").changes
    (change,) = [each for each in changes if (each.key, each.parameter) == (LAYER, "y")]
    assert change.sigma is not None
    found = read_constants(place / "inputforalign.txt")[LAYER][1]
    return LayerFit(place, found - truth_mm, change.sigma)


def detector(directory: Path, seed: int) -> SurveyedDetector:
    """Align a detector for two iterations, and solve the second again with each survey."""
    options = Options(seed=seed, files=range(400, 402), beam=Beam(events=300))
    simulated = simulate(directory / "sim", options)
    # Constants that are off by the same y in all layers: what tracks do not see.
    start = {
        key: (x, y + SHIFT_MM if len(key) == 2 else y, *rest)
        for key, (x, y, *rest) in simulated.constants.items()
    }
    setting = Setting(iterations=(2,), start=start)
    *_, last = align(directory, simulated, setting)
    place = directory / f"iter{last.number:02d}"
    true = simulated.constants[LAYER][1]
    random = np.random.default_rng([seed, 7])
    surveyed = []
    for draw in range(DRAWS):
        survey = directory / f"survey{draw}.yaml"
        value = float(true + random.normal(0.0, SIGMA_MM))
        survey.write_text(f"{LAYER}.y: {value:.6f} ± {SIGMA_MM}\n", encoding="utf-8")
        again = directory / f"with{draw}"
        again.mkdir()
        solve(
            SolveRequest(
                directory=again,
                binaries=tuple(sorted(place.glob("*.bin"))),
                statistics=tuple(place / f"{number}.json" for number in range(2)),
                previous=directory / "iter01" / "inputforalign.txt",
                centre=directory / "start.txt",
                survey=survey,
                iteration=2,
                within=2,
                solver="builtin",
            ),
            {},
        )
        surveyed.append(fit_in(again, true))
    return SurveyedDetector(fit_in(place, true), tuple(surveyed))


@pytest.fixture(scope="module")
def detectors(tmp_path_factory: pytest.TempPathFactory) -> list[SurveyedDetector]:
    """Return one for each seed."""
    return [detector(tmp_path_factory.mktemp(f"seed{seed}"), seed) for seed in SEEDS]


def table(place: Path) -> WithSurvey:
    """Return what `auto-iter survey` would have told of an alignment without one."""
    scheme = load_strategy("3st").labels
    parameters = read_solution(place / "solution.json").parameters
    free = {each.label: each.presigma for each in parameters if each.presigma >= 0}
    label = label_of(Place(component_of_key(LAYER), "y"), scheme)
    return with_survey(
        [Combination(0.0, SIGMA_MM, ((label, 1.0),))],
        list(free),
        data_hessian(sorted(place.glob("*.bin")), list(free), {}),
        known_before(prior_of([place]), free),
        constraint_rows([place], list(free)),
        scheme,
    )


def test_the_table_promises_what_the_fit_keeps(detectors: list[SurveyedDetector]) -> None:
    for each in detectors:
        promised = table(each.without.place)
        assert promised.weak[1] == promised.weak[0] - 1
        counts = {gain.name: gain.counts for gain in promised.gains}
        assert counts["shift of everything in y"] == (1, 0)
        assert counts["shift of everything in x"] == (1, 1)
        ((before, after),) = promised.sigmas
        assert before == pytest.approx(each.without.sigma, rel=0.03)
        assert after == pytest.approx(each.surveyed[0].sigma, rel=0.03)
        assert after < SIGMA_MM < before


def test_the_residual_against_the_truth_falls_to_the_size_of_the_survey(
    detectors: list[SurveyedDetector],
) -> None:
    without = np.array([each.without.missed for each in detectors])
    surveyed = np.array([fit.missed for each in detectors for fit in each.surveyed])
    assert np.sqrt(np.mean(without**2)) > 2 * SIGMA_MM
    assert np.sqrt(np.mean(surveyed**2)) < 1.3 * SIGMA_MM


def test_pulls_of_what_was_surveyed_have_width_1(detectors: list[SurveyedDetector]) -> None:
    pulls = [fit.missed / fit.sigma for each in detectors for fit in each.surveyed]
    # 48 draws: their width is known to 10 %
    assert 0.8 < np.sqrt(np.mean(np.square(pulls))) < 1.2
