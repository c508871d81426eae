"""What all unit tests have in common."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

settings.register_profile("no hurry", deadline=None)
settings.load_profile("no hurry")  # on a machine that others use, time says nothing of a test


@pytest.fixture(autouse=True)
def nobody_reads_the_log(request: pytest.FixtureRequest) -> Iterator[None]:
    """Let log lines go nowhere, but where a test reads them: printing takes longer than the rest.

    A test that kills a daemon at each of its actions in turn writes thousands of them.
    """
    if "capsys" in request.fixturenames:
        yield
        return
    structlog.configure(
        processors=[],
        logger_factory=lambda *_: structlog.ReturnLogger(),
        cache_logger_on_first_use=False,
    )
    yield
    structlog.reset_defaults()
