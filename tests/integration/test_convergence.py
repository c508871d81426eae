"""The simulated alignment finds the truth - and does not when a derivative has the wrong sign.

The short form of `make closure`: fewer tracks, one detector for each strategy.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auto_iter.errors import PhysicsError
from auto_iter.simulation.misalignment import Sizes
from auto_iter.weakmodes.modes import name_weak_modes
from tests.closure import strategies, versus, walking
from tests.closure.harness import Aligned, Case, align, shipped_case
from tests.closure.judging import judge

EVENTS = 400


@pytest.fixture(scope="module")
def spectrometer(tmp_path_factory: pytest.TempPathFactory) -> Aligned:
    """Return three stations, aligned from nothing by the default strategy."""
    return align(tmp_path_factory.mktemp("3st"), shipped_case("3st", 1, events=EVENTS))


def test_the_default_strategy_finds_the_truth(spectrometer: Aligned) -> None:
    found_the_truth(spectrometer)


@pytest.mark.long
@pytest.mark.parametrize("name", sorted({*strategies.of_ours()} - {"3st"}))
def test_a_strategy_finds_the_truth(name: str, tmp_path: Path) -> None:
    found_the_truth(align(tmp_path, shipped_case(name, 1, events=EVENTS)))


def found_the_truth(aligned: Aligned) -> None:
    """Check every phase of an alignment against the truth."""
    assert strategies.problems([strategies.rows_of(aligned)]) == []
    assert {end.phase for end in aligned.ends_of_phases} == {
        phase.name for phase in aligned.strategy.phases
    }
    assert aligned.iterations[0].record.track_chi2_ndf > 2


def test_the_spectrometer_is_aligned_but_for_what_the_data_cannot_fix(
    spectrometer: Aligned,
) -> None:
    comparison = judge(spectrometer, spectrometer.last).comparison
    assert len(comparison.labels) == 261
    assert comparison.dof > 200
    assert np.nanmax(np.abs(comparison.pulls)) < 5
    scheme = spectrometer.strategy.labels
    names = " ".join(mode.name for mode in name_weak_modes(comparison.modes, scheme))
    assert "shift of everything in y" in names
    assert "shear of y along z" in names


@pytest.mark.long
def test_constants_do_not_walk_while_iterations_go_on() -> None:
    assert walking.problems([walking.walk("3st", 1, events=EVENTS, early=5, late=8)]) == []


@pytest.mark.long
def test_the_default_strategy_closes_better_than_the_collaborations() -> None:
    ours, theirs = versus.compare(1, events=300, iterations=3)
    assert (ours.strategy, theirs.strategy) == versus.STRATEGIES
    for chi2, combinations in (theirs.own, theirs.shared):
        assert chi2 > 3 * combinations > 2 * ours.own[0]


@pytest.mark.long
def test_a_grossly_misaligned_detector_is_never_called_converged_while_it_is_wrong(
    tmp_path: Path,
) -> None:
    loose = {"max_residual_mm": [10.0, 3.0, 1.0, 0.3, 0.1, 0.05], "max_chi2": 1e9}
    case = Case(
        seed=3,
        events=EVENTS,
        sizes=Sizes(layer_shift_mm=1.0, layer_rotation_rad=0.01),
        iterations=8,
        settings=tuple(f"millepede.cuts.{name}={value}" for name, value in loose.items()),
    )
    aligned = align(tmp_path, case)
    assert aligned.iterations[0].record.track_chi2_ndf > 1000
    for record, solved in zip(aligned.snapshot.history, aligned.iterations, strict=True):
        assert not record.converged or strategies.outside(strategies.row(aligned, solved)) == ()


@pytest.mark.parametrize(
    "flipped",
    [
        pytest.param("align_local_derivation_x_x", marks=pytest.mark.long),
        "align_global_derivation_y_y",
    ],
)
def test_with_the_sign_of_one_derivative_flipped_it_fails(tmp_path: Path, flipped: str) -> None:
    try:
        aligned = align(tmp_path, Case(events=EVENTS, iterations=5, flipped=flipped))
    except PhysicsError:
        return  # it ran away so far that no track was left, or further than is credible
    assert strategies.outside(strategies.rows_of(aligned)[-1])
