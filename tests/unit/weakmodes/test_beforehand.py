"""What was known besides the tracks, read off the steps of an iteration."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from auto_iter.millepede.pede.input import SURVEY
from auto_iter.millepede.steering.reader import Combination
from auto_iter.millepede.steering.writer import format_combinations
from auto_iter.weakmodes.beforehand import information, survey_of


def test_a_measurement_counts_once_whatever_each_step_moves_of_it(tmp_path: Path) -> None:
    """What a step moves stands last in its line."""
    twice = [Combination(0.0, 0.02, ((201, 1.0), (211, -1.0)))] * 2
    turned = [Combination(0.0, 0.02, ((211, -1.0), (201, 1.0)))] * 2
    for step, lines in enumerate((twice, turned)):
        (tmp_path / f"step{step}").mkdir()
        text = format_combinations("Measurement", lines)
        (tmp_path / f"step{step}" / SURVEY).write_text(text)
    found = survey_of([tmp_path])
    assert len(found) == 2  # it was measured twice
    known = information(found, [201, 211])
    assert known == pytest.approx(2 / 0.02**2 * np.array([[1, -1], [-1, 1]]))
