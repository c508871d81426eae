"""An iteration's jobs from raw file to output: adapter, local batch system and job script."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from auto_iter.alignment.model import Stage, Trouble
from auto_iter.config.schema import Config
from auto_iter.iteration.reconstruction import WorkspaceReconstruction
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.rawfiles import RawRange, raw_path
from auto_iter.simulation import conditions
from auto_iter.workspace.paths import Workspace
from tests.integration.test_job_script import CONSOLE, COPY, WRITER, root_file
from tests.integration.test_local_batch import open_batch, settled

RECO = """#!/bin/bash
grep -q broken "$1" && { echo "cannot decode $1" >&2; exit 9; }
cp "$SPY/good.root" "$(basename "$1" .raw)-kfalignment.root"
"""


@pytest.fixture
def reconstruction(tmp_path: Path) -> WorkspaceReconstruction:
    install, spy = tmp_path / "calypso", tmp_path / "spy"
    (install / "ATLASLocalRootBase/user").mkdir(parents=True)
    (install / "bin").mkdir()
    (install / "release/sqlite200").mkdir(parents=True)
    conditions.write_release(install / "release/sqlite200/ALLP200.db")
    (install / "ATLASLocalRootBase/user/atlasLocalSetup.sh").write_text(
        f"asetup() {{ [ $# = 2 ] && export PATH={install}/bin:$PATH; }}\n"
    )
    (install / "setup.sh").write_text(f"export FASER_DBRELEASE={install}/release SPY={spy}\n")
    (install / "asetup.faser").touch()
    programs = {
        "python": f'#!/bin/bash\nexec {sys.executable} "$@"\n',
        "faser_reco_alignment.py": RECO,
        "WriteAlignmentConfig_Faser04.py": WRITER,
        "AtlCoolConsole.py": CONSOLE,
        "AtlCoolCopy": COPY,
    }
    for name, text in programs.items():
        (install / "bin" / name).write_text(text)
        (install / "bin" / name).chmod(0o755)
    spy.mkdir()
    (spy / "good.root").write_bytes(root_file())
    for number in range(400, 404):
        raw = raw_path(tmp_path / "raw", 2023, 11705, number)
        raw.parent.mkdir(parents=True, exist_ok=True)
        raw.write_text("broken" if number == 402 else "fine")
    paths = {
        "raw_dir": tmp_path / "raw",
        "calypso_install": install,
        "env_script": tmp_path / "reco_condor_env.sh",
    }
    workspace = Workspace(tmp_path / "Y2023_R011705_F400-404")
    workspace.root.mkdir()
    return WorkspaceReconstruction(
        workspace, Config.model_validate({"paths": paths, "batch": {"system": "local"}}),
        2023, 11705, RawRange.parse("400-404"), strategy=load_strategy("3st"), stations=3,
    )  # fmt: skip


def test_outputs_are_delivered_and_a_failure_leaves_evidence(
    reconstruction: WorkspaceReconstruction,
) -> None:
    system = open_batch(reconstruction.workspace.root)
    reconstruction.check_inputs()
    reconstruction.prepare(Stage(1))
    batch = reconstruction.batch(Stage(1), system.new_key(1, 1), reconstruction.wanted(), {}, ())
    tally = settled(system, system.submit(batch), lambda tally: tally.is_over)
    system.close()
    assert reconstruction.delivered(1) == {400, 401, 403}
    (problem,) = tally.problems
    assert (problem.number, problem.trouble, problem.exit_code) == (402, Trouble.FAILED, 40)
    evidence = reconstruction.evidence(1, problem)
    assert "exit code 40: the reconstruction failed" in evidence
    assert "  cannot decode " in evidence
    sandboxes = [batch.directory / job.directory for job in batch.jobs]
    assert [list(sandbox.iterdir()) for sandbox in sandboxes] == [[]] * 4
