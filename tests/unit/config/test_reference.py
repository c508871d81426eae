"""The page of settings is the model's, and no setting is without a meaning for long."""

from __future__ import annotations

from pathlib import Path

from auto_iter.config.reference import page

PAGE = Path(__file__).parents[3] / "docs/configuration.md"


def test_the_page_is_what_the_model_says_today() -> None:
    assert PAGE.read_text() == page(), "make configuration"


def test_a_setting_has_its_kind_limits_default_and_meaning() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `reco.max_attempts`")]
    assert rows == [
        "| `reco.max_attempts` | whole number > 0 | `3` | tries of one raw file in one iteration |"
    ]
