"""A workspace's directory: who may write to it, and what its keys begin with."""

from __future__ import annotations

import shutil
from pathlib import Path

from auto_iter.workspace.paths import Workspace, openness


def test_a_workspace_that_everybody_may_write_to_is_told(tmp_path: Path) -> None:
    tmp_path.chmod(0o775)
    assert openness(tmp_path) is None
    tmp_path.chmod(0o777)
    assert "everybody may write there; chmod o-w" in str(openness(tmp_path))


def test_a_copy_has_keys_of_its_own_and_a_link_has_not(tmp_path: Path) -> None:
    one, other, link = (tmp_path / name for name in ("one", "other", "link"))
    one.mkdir()
    shutil.copytree(one, other)
    link.symlink_to(one)
    keys = [Workspace(root).key_prefix("0123abcd") for root in (one, other, link)]
    assert keys[0] != keys[1]
    assert keys[0] == keys[2]
    assert keys[0].startswith("0123abcd")
