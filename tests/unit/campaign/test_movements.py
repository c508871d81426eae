"""Which constants moved: found with their sizes where they did, none where none did."""

from __future__ import annotations

import numpy as np
import pytest

from auto_iter.campaign.movements import movements
from auto_iter.detector.labels import Scheme, places
from auto_iter.ledger.difference import Difference
from auto_iter.weakmodes.label_space import Floats, label_values
from auto_iter.weakmodes.modes import eigenmodes, of_sigmas

SCHEME = Scheme()
LABELS = list(places([2], SCHEME))
SIGMA = 1e-3
FALSE_ALARM = 1e-3


def difference(movement: dict[str, list[float]], seed: int, shrink: float = 1.0) -> Difference:
    """Return what independent measurements of all labels see of a movement, with their noise."""
    modes = eigenmodes(LABELS, of_sigmas(np.full(len(LABELS), SIGMA)), np.eye(len(LABELS)))
    response = shrink * np.asarray(modes.vectors.T)
    covariance = np.diag(np.full(len(LABELS), (shrink * SIGMA) ** 2))
    noise = shrink * SIGMA * np.random.default_rng(seed).normal(size=len(LABELS))
    moved: Floats = label_values({k: tuple(v) for k, v in movement.items()}, LABELS, SCHEME)
    return Difference(modes, SCHEME, response @ moved + noise, covariance, response, 0)


@pytest.mark.parametrize("shrink", [1.0, 0.5])
def test_what_moved_is_named_with_its_size_whatever_the_prior_does(shrink: float) -> None:
    movement = {"20": [0, 0.02, 0, 0, 0, 0], "215": [0.01, 0, 0, 0, 0, 0]}
    found = movements(difference(movement, seed=1, shrink=shrink), FALSE_ALARM).movements
    assert [(each.key, each.parameter) for each in found] == [("20", "y"), ("215", "x")]
    for each, true in zip(found, (0.02, 0.01), strict=True):
        assert abs(each.value - true) < 3 * each.sigma
    # of the module two sides tell, of the layer one label
    assert found[0].sigma == pytest.approx(SIGMA)
    assert found[1].sigma == pytest.approx(SIGMA / np.sqrt(2))


def test_nothing_is_named_where_nothing_moved() -> None:
    false = [movements(difference({}, seed), FALSE_ALARM).movements for seed in range(20)]
    assert sum(map(bool, false)) <= 1


def test_what_is_left_has_fewer_degrees_of_freedom() -> None:
    explained = movements(difference({"20": [0, 0.02, 0, 0, 0, 0]}, seed=3), FALSE_ALARM)
    assert explained.dof == len(LABELS) - 1
    assert 0.7 < explained.chi2 / explained.dof < 1.3
