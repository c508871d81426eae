"""What the data determine of a change: weak modes drop out, groups are told apart."""

from __future__ import annotations

import numpy as np
import pytest

from auto_iter.detector.labels import Scheme, places
from auto_iter.weakmodes.modes import Eigenmodes, eigenmodes, of_sigmas
from auto_iter.weakmodes.movement import group_changes

SCHEME = Scheme("off", True, False, False)
LABELS = [label for label, place in places((1,), SCHEME).items() if place.parameter in {"x", "rz"}]
"""x and rz of three layers, in this order: x, rz, x, rz, x, rz."""
SIGMA = 0.01


def modes_without_a_common_shift() -> Eigenmodes:
    """Return modes of data that determine all but a common shift in x, each to 10 µm or mrad."""
    shift = np.array([1.0, 0.0, 1.0, 0.0, 1.0, 0.0]) / np.sqrt(3)
    hessian = (np.eye(6) - np.outer(shift, shift)) / SIGMA**2
    return eigenmodes(LABELS, hessian, of_sigmas(np.full(6, 1.0)))


def test_a_walk_along_a_weak_mode_is_no_change_but_is_seen_as_applied() -> None:
    walk = np.array([0.05, 0.0, 0.05, 0.0, 0.05, 0.0])
    found = {
        each.name: each
        for each in group_changes(modes_without_a_common_shift(), walk, None, SCHEME)
    }
    assert set(found) == {"layer x", "layer rz"}
    assert found["layer x"].largest == pytest.approx(0, abs=1e-6)
    assert found["layer x"].largest_pull == pytest.approx(0, abs=1e-6)
    assert found["layer x"].raw_largest == pytest.approx(50)
    assert found["layer x"].cosine is None


def test_what_the_data_determine_is_told_in_units_and_uncertainties() -> None:
    change = np.array([0.05 + 0.02, 0.0, 0.05 - 0.02, 0.003, 0.05, 0.0])
    x, rz = sorted(
        group_changes(modes_without_a_common_shift(), change, -change, SCHEME),
        key=lambda each: not each.is_shift,
    )
    assert (x.name, x.unit, x.parameters) == ("layer x", "µm", 3)
    assert x.largest == pytest.approx(20)
    assert x.rms == pytest.approx(20 * np.sqrt(2 / 3), rel=1e-3)
    # of three values whose mean is unknown, each is determined to σ √(2/3)
    assert x.largest_pull == pytest.approx(2 / np.sqrt(2 / 3), rel=1e-3)
    assert x.cosine == pytest.approx(-1)
    assert rz.unit == "mrad"
    assert rz.largest == pytest.approx(3)
    assert rz.largest_pull == pytest.approx(0.3)
    assert rz.worst == "station 1 layer 1 rz"
