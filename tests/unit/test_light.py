"""What waits for days, and what answers in a blink, loads neither numerics nor bindings."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "uproot", "awkward", "matplotlib", "htcondor2", "classad2"}


@pytest.mark.parametrize(
    "program",
    [
        "import auto_iter.session, auto_iter.compose, auto_iter.links",
        "from auto_iter.cli.main import build_parser; build_parser()",
        "import auto_iter.app, auto_iter.status",
    ],
)
def test_nothing_heavy_is_loaded(program: str) -> None:
    listing = f"{program}; import sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", listing], capture_output=True, text=True, check=True
    )
    loaded = set(done.stdout.split())
    assert "auto_iter" in loaded
    assert not loaded & HEAVY
