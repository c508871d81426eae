"""A survey is read, refused in one line, and stands in pede's input as value minus constants."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from auto_iter.detector.constants import Constants, combinations
from auto_iter.errors import InputError
from auto_iter.millepede.pede.input import (
    SURVEY,
    Knowledge,
    format_survey,
    step_parameters,
)
from auto_iter.millepede.steering.reader import read_text
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.millepede.survey import checked_survey, parse_survey
from auto_iter.weakmodes.beforehand import information, known_before, survey_of
from auto_iter.weakmodes.with_survey import with_survey

STRATEGY = load_strategy("3st")
CURRENT: Constants = {"20": (0.0, 0.03, 0.0, 0.0, 0.0, 0.0), "203": (0.1, 0.2, 0.0, 0.0, 0.0, 0.0)}


def written(text: str, directory: Path) -> str:
    """Return what pede is given of a survey, and leave it in a step's directory."""
    parameters = step_parameters(STRATEGY, STRATEGY.phases[0].steps[0], {})
    knowledge = Knowledge({}, CURRENT, parse_survey(text, "s.yaml", STRATEGY))
    (directory / "step0").mkdir(exist_ok=True)
    content = format_survey(STRATEGY, parameters, knowledge)
    (directory / "step0" / SURVEY).write_text(content)
    return content


def test_a_measurement_is_value_minus_constant(tmp_path: Path) -> None:
    (found,) = read_text(_step(tmp_path, "20.y: 0.05 ± 0.02")).measurements
    assert found.value == pytest.approx(0.02)
    assert found.sigma == 0.02
    assert dict(found.terms) == {302: 1.0}


def test_a_combination_has_a_factor_for_each_label(tmp_path: Path) -> None:
    (found,) = read_text(
        _step(tmp_path, '"2*20.y - 10.y + 10.y - 0.5 * 11.x": -1e-2 +- .02')
    ).measurements
    assert found.value == pytest.approx(-0.01 - 2 * 0.03)
    assert dict(found.terms) == {302: 2.0, 211: -0.5}


def test_a_modules_y_is_a_difference_of_its_sides(tmp_path: Path) -> None:
    (found,) = read_text(_step(tmp_path, "203.y: 0.5 +/- 0.1")).measurements
    known = combinations(STRATEGY.places.values(), STRATEGY.labels)["203", "y"]
    assert found.value == pytest.approx(0.3)
    assert sorted(weight for _, weight in found.terms) == sorted(known.values())
    assert len(found.terms) == 2


def test_one_combination_may_be_measured_twice_and_in_several_steps(tmp_path: Path) -> None:
    text = '20.y: 0 ± 0.1\n"1*20.y": 0 ± 0.1'
    written(text, tmp_path)
    (tmp_path / "step1").mkdir()
    (tmp_path / "step1" / SURVEY).write_text((tmp_path / "step0" / SURVEY).read_text())
    assert information(survey_of([tmp_path]), [302])[0, 0] == pytest.approx(2 / 0.1**2)


def _step(directory: Path, text: str) -> Path:
    written(text, directory)
    return directory / "step0" / SURVEY


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "s.yaml: no measurements"),
        ("- 20.y", "s.yaml: no measurements"),
        ("20.y: 0.05", "line 1: 20.y: needs a value and its uncertainty"),
        ("20.y: [1, 2]", "line 1: 20.y: needs a value and its uncertainty"),
        ("20.x: 0 ± 1\n20.y: 0.05 ± 0", "line 2: 20.y: 0.05 ± 0: .*σ > 0"),
        ("20.y: 1e999 ± 1", "line 1: 20.y: .*finite"),
        ("20.q: 0 ± 1", "line 1: 20.q: no parameter 'q'"),
        ("29.y: 0 ± 1", "line 1: 29.y: there is no component 29"),
        ("2031.x: 0 ± 1", "line 1: 2031.x: '2031' is no station, layer or module"),
        ('"20.y 10.y": 0 ± 1', "line 1: 20.y 10.y: not understood from '10.y' on"),
        ('"20.y -": 0 ± 1', "line 1: 20.y -: not understood from '-' on"),
        ('"": 0 ± 1', "line 1: : not understood"),
        ('"20.y - 20.y": 0 ± 1', "nothing is left"),
        ("20.y: 0 ± 1\n20.y: 0 ± 2", "line 2: 20.y is there twice, first in line 1"),
        ("20.z: 0 ± 1", "line 1: 20.z: strategy 3st does not align 20.z"),
        ("00.y: 0 ± 1", "line 1: 00.y: strategy 3st does not align 00.y"),
        ("20.y: [", "s.yaml: line 2: "),
    ],
)
def test_a_wrong_line_is_refused_with_file_line_and_key(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as raised:
        parse_survey(text, "s.yaml", STRATEGY)
    assert "\n" not in str(raised.value)
    assert re.match("survey s.yaml", str(raised.value))


def test_a_survey_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml: no such file"):
        checked_survey(tmp_path / "none.yaml")
    assert checked_survey(None) == ""


def test_the_table_has_the_uncertainties_of_prior_and_survey_together(tmp_path: Path) -> None:
    survey = read_text(_step(tmp_path, "20.y: 0 ± 0.03")).measurements
    known = known_before((), {302: 0.04, 301: 0.04})
    blind = np.zeros((2, 2))
    outcome = with_survey(survey, [302, 301], blind, known, np.empty((0, 2)), STRATEGY.labels)
    ((before, after),) = outcome.sigmas
    assert before == pytest.approx(0.04)
    assert after == pytest.approx((0.04**-2 + 0.03**-2) ** -0.5)
    assert outcome.weak == (2, 1)
