"""DAGMan's job: whose it is, where one workspace is a copy of another."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from auto_iter.batch.htcondor.ads import Ad
from auto_iter.batch.htcondor.dagman.manager import DagManager
from auto_iter.batch.htcondor.schedd.protocol import DagSchedd
from auto_iter.errors import UsageError

KEY = "56c6507c9534-dag-01@schedd"


class DagQueue:
    """A schedd's side of one DAGMan job; the rest of the protocol is not asked for."""

    def __init__(self, *found: Ad) -> None:
        self.found = found

    def query(self, _constraint: str, _attributes: Sequence[str]) -> list[Ad]:
        return list(self.found)


def dagman(place: Path, key: str | None = KEY, arguments: str = "alignment.dag") -> Ad:
    ad: dict[str, Any] = {
        "ClusterId": 7,
        "JobStatus": 2,
        "QDate": 1,
        "GlobalJobId": "schedd#7.0#1",
        "Iwd": str(place),
        "Arguments": f"-p 0 -f -l . -Dag {arguments} -Suppress_notification",
    }
    return ad if key is None else ad | {"AutoIterKey": key}


def workspace(root: Path) -> Path:
    root.mkdir()
    (root / "alignment.dag").touch()
    return root


def manager(root: Path, ad: Ad) -> DagManager:
    return DagManager(root, cast("DagSchedd", DagQueue(ad)))


def test_a_dag_that_was_submitted_from_elsewhere_is_known_by_its_file(tmp_path: Path) -> None:
    root = workspace(tmp_path / "Y2023")
    by_hand = dagman(tmp_path, key=None, arguments="Y2023/alignment.dag")
    job = manager(root, by_hand).live("")
    assert job is not None
    assert job.place == Path(os.path.realpath(root))
    manager(root, by_hand).refuse_elsewhere(job)


def test_a_copy_of_a_workspace_may_not_touch_the_dag_of_the_first(tmp_path: Path) -> None:
    first, copy = workspace(tmp_path / "first"), workspace(tmp_path / "copy")
    of_copy = manager(copy, dagman(first))
    job = of_copy.live(KEY)
    assert job is not None
    with pytest.raises(UsageError, match=f"is a copy of {first}, where DAGMan runs"):
        of_copy.refuse_elsewhere(job)


def test_a_workspace_that_was_moved_still_has_its_dag(tmp_path: Path) -> None:
    moved = workspace(tmp_path / "moved")
    of_moved = manager(moved, dagman(tmp_path / "before"))
    job = of_moved.live(KEY)
    assert job is not None
    of_moved.refuse_elsewhere(job)
