"""What DAGMan is told where a Millepede node could not take its turn."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.batch.htcondor.dagman.text import FAILED
from auto_iter.dag import node
from auto_iter.errors import (
    TRANSIENT_EXIT_CODE,
    AutoIterError,
    FencedError,
    LockedError,
    TransientError,
    UsageError,
)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (LockedError("held by a command"), TRANSIENT_EXIT_CODE),
        (TransientError("the disk is full"), TRANSIENT_EXIT_CODE),
        (FencedError("taken over"), TRANSIENT_EXIT_CODE),
        (UsageError("a daemon has taken it over"), FAILED),
    ],
)
def test_what_passes_is_tried_again_by_dagman_and_only_that(
    error: AutoIterError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(_root: Path, _iteration: int) -> int:
        raise error

    monkeypatch.setattr(node, "run_node", refused)
    assert node.take_turn(Path(), 1) == code
