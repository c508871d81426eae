"""What a manifest says of who made it."""

from __future__ import annotations

import shutil
from pathlib import Path

import auto_iter
from auto_iter.iteration.sealing import hash_of_source, made_here


def test_another_source_of_the_same_version_is_told_by_its_hash(tmp_path: Path) -> None:
    own = Path(auto_iter.__file__).parent
    copy, other = tmp_path / "copy", tmp_path / "other"
    for place in (copy, other):
        shutil.copytree(own / "ledger", place, ignore=shutil.ignore_patterns("__pycache__"))
    module = other / "fit.py"
    module.write_text(module.read_text().replace("1e-12", "1e-11"))
    assert hash_of_source(copy) == hash_of_source(own / "ledger") != hash_of_source(other)
    assert made_here()["auto-iter's source"] == hash_of_source(own)
