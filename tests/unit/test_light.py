"""What waits for days, and what answers in a blink, loads neither numerics nor bindings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import Snapshot

HEAVY = {"numpy", "scipy", "uproot", "awkward", "matplotlib", "htcondor2", "classad2"}
SLOW = HEAVY | {
    "pydantic", "structlog", "logging", "rich", "psutil", "transitions", "asyncio", "statistics",
    "subprocess", "auto_iter.config.schema", "auto_iter.alignment.snapshot", "states.wait_reco",
    "auto_iter.cli.run", "auto_iter.daemon.lifecycle",
}  # fmt: skip
"""Each of these costs a tenth of bare Python's start, or much more."""


def loaded_by(program: str, *arguments: str) -> set[str]:
    listing = f"{program}; import sys; print('loaded:', *sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", listing, *arguments], capture_output=True, text=True, check=True
    )
    return set(done.stdout.partition("loaded:")[2].split())


@pytest.mark.parametrize(
    "program",
    [
        "import auto_iter.daemon.session, auto_iter.daemon.compose, auto_iter.daemon.visits.links",
        "from auto_iter.cli.main import build_parser; build_parser()",
        "import auto_iter.daemon.lifecycle, auto_iter.daemon.status",
        "import auto_iter.millepede.requests",
    ],
)
def test_nothing_heavy_is_loaded(program: str) -> None:
    loaded = loaded_by(program)
    assert "auto_iter" in loaded
    assert not loaded & HEAVY


def test_solving_loads_nothing_that_only_reads_root_files() -> None:
    loaded = loaded_by("import auto_iter.millepede.workflow, auto_iter.weakmodes.review")
    assert "numpy" in loaded
    assert not loaded & {"uproot", "awkward", "matplotlib"}


@pytest.mark.parametrize("option", ["--exit-code", "--json"])
@pytest.mark.parametrize("state", ["done", "stopped", "pede"])
def test_status_loads_only_what_it_shows(tmp_path: Path, state: str, option: str) -> None:
    arguments = Arguments(year=2023, run=11705, files="400-404", iterations=3)
    snapshot = Snapshot(
        workspace_id="w", arguments=arguments, state=state, iteration_started_at=0.0
    )
    checkpoint.save(tmp_path / "state.yaml", snapshot)
    program = "import sys, auto_iter.cli; auto_iter.cli.main(sys.argv[1:])"
    loaded = loaded_by(program, "status", str(tmp_path), option)
    assert "auto_iter.daemon.status" in loaded
    assert not loaded & SLOW


def test_the_supervisor_of_local_jobs_starts_at_once() -> None:
    loaded = loaded_by("import auto_iter.batch.local.supervisor")
    assert "auto_iter.batch.holds" in loaded
    assert not loaded & (HEAVY | {"pydantic", "structlog", "rich", "transitions", "asyncio"})
