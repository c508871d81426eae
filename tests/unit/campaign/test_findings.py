"""What a campaign found, as words, document and page."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from auto_iter.campaign.findings import Findings, IntervalTest, find
from auto_iter.campaign.movements import Explained, Movement
from auto_iter.campaign.over_time import ConstantCourse
from auto_iter.campaign.plan import Campaign, read_campaign
from auto_iter.campaign.standing import standing
from auto_iter.campaign.text import as_document, finding_lines
from auto_iter.campaign.writing import page, write_campaign
from auto_iter.detector.labels import Scheme
from auto_iter.ledger.difference import Difference
from auto_iter.weakmodes.modes import Eigenmodes

MOVEMENT = Movement("20", "y", 0.0196, 0.0007, (("20", "rx"),))


@pytest.fixture
def campaign(tmp_path: Path) -> Campaign:
    path = tmp_path / "campaign.yaml"
    rows = "".join(f"  - {{run: {n}, files: 4, name: <r{n}>}}\n" for n in (1, 2, 3))
    path.write_text(f"year: 2023\nintervals:\n{rows}")
    return read_campaign(path)


def between() -> Difference:
    """Return the difference of two samples with pulls of 1 and 19.2 the other way."""
    modes = Eigenmodes((201, 202), np.eye(2), np.array([2.0, 3.0]), np.eye(2))
    amplitudes = np.array([1.0, -19.2])
    return Difference(modes, Scheme(), amplitudes, np.eye(2), np.eye(2), shared=0)


@pytest.fixture
def findings(campaign: Campaign) -> Findings:
    """Return those of three intervals of which the second moved, and was moved back."""
    back = Movement("20", "y", -0.02, 0.0007)
    return Findings(
        tuple(map(standing, campaign.intervals)),
        (),
        (
            IntervalTest("<r1>", "<r2>", between(), True, Explained((MOVEMENT,), 1.0, 1)),
            IntervalTest("<r2>", "<r3>", between(), True, Explained((back,), 1.0, 1)),
        ),
        threshold=5e-4,
        false_alarm=1e-3,
        matrix={("<r1>", "<r3>"): 0.4},
        courses=(ConstantCourse("20", "y", (0.0, 0.013, 0.0), (1e-3, 1e-3, 1e-3)),),
    )


def test_the_terminal_is_told_where_what_and_by_how_much(findings: Findings) -> None:
    lines = list(finding_lines(findings))
    assert lines[0] == "The detector moved: <r1> → <r2>, <r2> → <r3>"
    assert "MOVED" in lines[1]
    assert "largest 19.2 σ" in lines[1]
    assert lines[2] == "  station 2 layer 0 y: +19.60 ± 0.70 µm"


def test_the_document_has_the_numbers_in_mm(findings: Findings) -> None:
    told = json.loads(json.dumps(as_document(findings), allow_nan=False))
    (movement,) = told["tests"][0]["movements"]
    assert (movement["value"], movement["sigma"]) == (0.0196, 0.0007)
    assert movement["or_else"] == ["station 2 layer 0 rx"]
    assert told["p_values"] == [{"one": "<r1>", "other": "<r3>", "p_value": 0.4}]


def test_the_page_names_what_else_it_could_be_and_escapes_names(findings: Findings) -> None:
    text = page("shaken", findings)
    assert "station 2 layer 0 rx" in text
    assert "+19.60 ± 0.70 µm" in text
    assert "&lt;r2&gt;" in text
    assert "<r2>" not in text


def test_of_a_campaign_that_has_not_begun_there_is_a_page_that_says_so(campaign: Campaign) -> None:
    findings = find(campaign, [standing(each) for each in campaign.intervals])
    assert [*finding_lines(findings)] == [
        "Nothing can be compared yet: two intervals have to be done",
        "not done, and not part of this: <r1>, <r2>, <r3>",
    ]
    for path in write_campaign(campaign, findings):
        assert path.is_file()
