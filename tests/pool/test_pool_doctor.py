"""The doctor on a pool: a schedd that we may write to, one that hangs, one that knows us not."""

from __future__ import annotations

import os

from auto_iter.config.schema import Config
from auto_iter.doctor.checks import Health, examine
from tests.pool.conftest import ScheddDaemon


def verdicts(timeout_s: float = 30, schedd: str | None = None) -> dict[str, Health]:
    htcondor = {"call_timeout_s": timeout_s, "schedd": schedd}
    config = Config.model_validate({"batch": {"system": "htcondor"}, "htcondor": htcondor})
    return {each.subject: each.health for each in examine(config, os.environ)}


def test_a_schedd_that_is_ours_passes_every_check() -> None:
    found = verdicts()
    names = ("htcondor configuration", "htcondor bindings", "schedd", "queue", "authentication")
    assert [found[name] for name in names] == [Health.OK] * len(names)


def test_a_hung_schedd_is_found_within_the_time_limit(schedd_daemon: ScheddDaemon) -> None:
    schedd_daemon.stop()
    found = verdicts(timeout_s=5)
    assert found["queue"] is Health.BAD
    assert "authentication" not in found


def test_a_schedd_that_is_not_there_is_found() -> None:
    assert verdicts(schedd="nobody@nowhere")["schedd"] is Health.BAD
