"""Constants that the reconstruction does not see as they are end the alignment in iteration 2.

Real processes, a simulated detector, and the stand-in for Calypso with one program replaced.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from auto_iter.errors import NOT_CONVERGED_EXIT_CODE
from tests.integration.commands import (
    SimulatedDetector,
    call,
    call_here,
    checkpoint,
    command,
    run_command,
)
from tests.support.wrapped import in_one_line

WRITER = "WriteAlignmentConfig_Faser04.py"
RECONSTRUCTION = "faser_reco_alignment.py"

NOTHING_WRITTEN = """\
sys.argv[1] = "AlignDbTool.AlignmentConstants={}"
"""
SIGNS_FLIPPED = """\
name, constants = sys.argv[1].split("=", 1)
flipped = {key: [-each for each in six] for key, six in json.loads(constants).items()}
sys.argv[1] = f"{name}={json.dumps(flipped)}"
"""
ONE_FILE_STALE = """\
from auto_iter.simulation import conditions
if any("00401" in each for each in sys.argv):
    conditions.read_alignment = lambda *_: {}
"""


@dataclass(frozen=True)
class Sabotage:
    """A few lines that one program of the stand-in Calypso begins with."""

    program: str
    text: str

    def install(self, simulated: SimulatedDetector, place: Path) -> Path:
        """Return a copy of the stand-in that has it."""
        install = place / "install"
        shutil.copytree(simulated.directory / "install", install)
        program = install / "bin" / self.program
        head = "#!/usr/bin/env python\nimport json, sys\n"
        program.write_text(head + self.text + program.read_text())
        return install


ONE_FILE = Sabotage(RECONSTRUCTION, ONE_FILE_STALE)


def align(
    simulated: SimulatedDetector, place: Path, sabotage: Sabotage
) -> tuple[subprocess.CompletedProcess[str], Path]:
    install = sabotage.install(simulated, place)
    done = call(
        run_command(
            simulated, "--calypso_path", str(install),
            "--env_script", str(place / "env.sh"), iterations=2,
        ),
        place,
    )  # fmt: skip
    return done, place / f"Y2023_R011705_F{simulated.files}"


@pytest.mark.parametrize(
    ("sabotage", "sentence"),
    [
        pytest.param(
            Sabotage(WRITER, NOTHING_WRITTEN),
            "did not arrive in iteration 2",
            marks=pytest.mark.long,
        ),
        (Sabotage(WRITER, SIGNS_FLIPPED), "arrived with the wrong sign or scale in iteration 2"),
    ],
    ids=["nothing written", "signs flipped"],
)
def test_the_alignment_fails_in_its_second_iteration_and_says_why(
    one_file: SimulatedDetector, tmp_path: Path, sabotage: Sabotage, sentence: str
) -> None:
    refused(*align(one_file, tmp_path, sabotage), sentence, {400})


def refused(
    done: subprocess.CompletedProcess[str], workspace: Path, sentence: str, bad: set[int]
) -> None:
    """Check that the alignment ended in its second iteration, and names the files concerned."""
    snapshot = checkpoint(workspace)
    assert done.returncode == 1
    assert sentence in in_one_line(done.stdout + done.stderr)
    assert (snapshot["state"], snapshot["iteration"]) == ("failed", 2)
    assert [record["iteration"] for record in snapshot["history"]] == [1]
    remedy = snapshot["failure"]["remedy"]
    assert remedy.endswith("the last good constants are iter01/1reco/inputforalign.txt")
    outputs = workspace / "iter02" / "2kfalignment"
    assert {path.name for path in outputs.glob("*.bad")} == {
        f"kfalignment_011705_00{number}.root.bad" for number in bad
    }
    said = call_here(command("status", str(workspace)), workspace.parent)
    assert sentence in in_one_line(said.stdout)


def test_one_stale_file_is_named_and_once_mended_it_goes_on_with_it(
    simulated: SimulatedDetector, tmp_path: Path
) -> None:
    done, workspace = align(simulated, tmp_path, ONE_FILE)
    refused(done, workspace, "arrived only in some files of iteration 2", {401})
    outputs = workspace / "iter02" / "2kfalignment"
    kept = {path.name: path.stat().st_mtime_ns for path in outputs.glob("*.root")}
    programs = Path("install") / "bin"
    shutil.copy(
        simulated.directory / programs / RECONSTRUCTION, tmp_path / programs / RECONSTRUCTION
    )
    done = call(command("resume", workspace.name), tmp_path)
    assert done.returncode in {0, NOT_CONVERGED_EXIT_CODE}, done.stderr
    snapshot = checkpoint(workspace)
    assert (snapshot["state"], snapshot["iteration"]) == ("done", 2)
    assert len(kept) == 1
    assert {name: (outputs / name).stat().st_mtime_ns for name in kept} == kept
