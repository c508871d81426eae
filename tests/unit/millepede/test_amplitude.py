"""The amplitude of a change in residuals, against track after track by brute force."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from auto_iter.millepede.conversion.statistics import Statistics
from auto_iter.millepede.evidence.amplitude import look_at, shifts
from auto_iter.millepede.mille.records import Measurements
from tests.support.tracks import tracks

CHANGE = {1: 0.02, 3: -0.05, 8: 0.01, 12: 0.03, 18: -0.02, 99: 1.0}


def brute_force(m: Measurements, change: dict[int, float]) -> tuple[float, float]:
    gradient = curvature = 0.0
    for record in range(m.records):
        rows = range(int(m.record_first[record]), int(m.record_first[record + 1]))
        local = np.array([m.local_value[m.local_first[r] : m.local_first[r + 1]] for r in rows])
        shift = np.array(
            [
                sum(
                    m.global_value[k] * change.get(int(m.global_label[k]), 0.0)
                    for k in range(int(m.global_first[r]), int(m.global_first[r + 1]))
                )
                for r in rows
            ]
        )
        weight = np.diag(m.sigma[list(rows)] ** -2.0)
        gain = np.linalg.inv(local.T @ weight @ local)
        projected = weight - weight @ local @ gain @ local.T @ weight
        gradient += shift @ projected @ m.value[list(rows)]
        curvature += shift @ projected @ shift
    return gradient, curvature


def test_it_is_that_of_every_track_after_its_own_fit() -> None:
    m = tracks(40, seed=3)
    look = look_at([m], CHANGE, Statistics())
    assert (look.gradient, look.curvature) == pytest.approx(brute_force(m, CHANGE))
    assert look.curvature > 100


def test_applied_once_it_is_one_less() -> None:
    m = tracks(40, seed=3)
    before = look_at([m], CHANGE, Statistics())
    applied = replace(m, value=m.value - shifts(m, CHANGE))
    after = look_at([applied], CHANGE, Statistics())
    assert before.amplitude - after.amplitude == pytest.approx(1.0)


def test_blocks_add_up() -> None:
    one, other = tracks(20, seed=3), tracks(30, seed=4)
    both = look_at([one, other], CHANGE, Statistics())
    parts = [look_at([each], CHANGE, Statistics()) for each in (one, other)]
    assert both.gradient == pytest.approx(parts[0].gradient + parts[1].gradient)
    assert both.curvature == pytest.approx(parts[0].curvature + parts[1].curvature)


@pytest.mark.parametrize("change", [{}, {99: 1.0}, {1: 0.0}])
def test_a_change_of_nothing_that_is_measured_cannot_be_seen(change: dict[int, float]) -> None:
    look = look_at([tracks(5, seed=1)], change, Statistics())
    assert (look.gradient, look.curvature, look.amplitude) == (0, 0, 0)
