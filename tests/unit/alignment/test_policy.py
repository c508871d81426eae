"""Limits that depend on where jobs run."""

from __future__ import annotations

import pytest

from auto_iter.alignment.policy import Policy
from auto_iter.config.schema import Config


@pytest.mark.parametrize(
    ("system", "wanted_s", "interval_s"),
    [("htcondor", 1.0, 60.0), ("htcondor", 300.0, 300.0), ("local", 1.0, 1.0)],
)
def test_a_schedd_is_not_asked_more_often_than_the_minimum(
    system: str, wanted_s: float, interval_s: float
) -> None:
    config = Config.model_validate(
        {
            "batch": {"system": system},
            "alignment": {"polling_interval_seconds": wanted_s},
            "htcondor": {"min_poll_interval_s": 60},
        }
    )
    assert Policy.of(config).poll_interval_s == interval_s


def test_only_spooled_jobs_are_asked_for_more_often_at_the_end() -> None:
    def interval_s(system: str, *, spool: bool) -> float | None:
        batch, htcondor = {"system": system}, {"spool": spool, "min_poll_interval_s": 42}
        config = Config.model_validate({"batch": batch, "htcondor": htcondor})
        return Policy.of(config).poll_interval_at_end_s

    assert interval_s("htcondor", spool=True) == 42
    assert interval_s("htcondor", spool=False) is None
    assert interval_s("local", spool=True) is None
