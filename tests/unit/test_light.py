"""What waits for days, and what answers in a blink, loads neither numerics nor bindings."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "scipy", "uproot", "awkward", "matplotlib", "htcondor2", "classad2"}


@pytest.mark.parametrize(
    "program",
    [
        "import auto_iter.daemon.session, auto_iter.daemon.compose, auto_iter.daemon.links",
        "from auto_iter.cli.main import build_parser; build_parser()",
        "import auto_iter.daemon.lifecycle, auto_iter.daemon.status",
        "import auto_iter.millepede.requests",
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
