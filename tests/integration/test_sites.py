"""The same program on the collaboration's set-ups of today and of before, and on a mixture."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot

from tests.integration.commands import call, call_here, checkpoint, command
from tests.support.sites import WRITER, Site, site_of_march_2026, site_until_2025

NAME = "Y2023_R011705_F400"
SITES: dict[str, Callable[[Path, Path], Site]] = {
    "march 2026": lambda directory, made: site_of_march_2026(directory, made=made),
    "until 2025": site_until_2025,
}


def run(site: Site, *more: str, iterations: int = 2) -> list[str]:
    settings = ("alignment.polling_interval_seconds=1", *site.settings, *more)
    return command(
        "run", "-y", "2023", "-r", "11705", "-f", "400", "-i", str(iterations),
        "--config", str(site.config), *(word for each in settings for word in ("--set", each)),
    )  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Path:
    directory = tmp_path / "here"
    directory.mkdir()
    return directory


@pytest.mark.parametrize("name", ["march 2026", pytest.param("until 2025", marks=pytest.mark.long)])
def test_the_right_preset_aligns(name: str, here: Path, reconstructed: Path) -> None:
    done = call(run(SITES[name](here.parent / "site", reconstructed)), here)
    assert checkpoint(here / NAME)["state"] == "done", done.stderr
    first, second = (typical_chi2(here / NAME, n) for n in (1, 2))
    # The constants were used: had they been ignored, both would be the same.
    assert second < 0.2 * first


def typical_chi2(workspace: Path, iteration: int) -> float:
    output = workspace / f"iter{iteration:02d}/2kfalignment/kfalignment_011705_00400.root"
    with uproot.open(output) as tracks:
        return float(np.median(tracks["tree"]["fitParam_chi2"].array(library="np")))


WRONG: dict[str, tuple[str, tuple[str, ...], int, str]] = {
    "today's scripts, old preset": (
        "march 2026", ("reco.preset=2024",), 31,
        f"reco.writer and reco.sqlite_schema disagree: {WRITER} left FASER-05_ALLP200.db, not",
    ),
    "old scripts, today's preset": (
        "until 2025", ("reco.preset=2025",), 31,
        f"reco.writer and reco.sqlite_schema disagree: {WRITER} left FASER-04_ALLP200.db, not",
    ),
    "pool file": (
        "march 2026", ("reco.pool_file=FASER-04_Align.pool.root",), 33,
        f"reco.writer and reco.pool_file disagree: {WRITER} left FASER-05_Align.pool.root, not",
    ),
    "output tag": (
        "march 2026", ("reco.output_tag=TRACKER-ALIGN-04",), 34,
        "reco.output_tag is TRACKER-ALIGN-04, but the reconstruction reads OFLCOND-FASER-05",
    ),
    "global tag": (
        "until 2025", ("reco.global_tag=OFLCOND-FASER-05",), 34,
        "reco.output_tag is TRACKER-ALIGN-04, but the reconstruction reads OFLCOND-FASER-05",
    ),
    "no writer": (
        "march 2026", ("reco.writer=null",), 20,
        f"the writer {WRITER} is not on PATH",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_the_failure_says_which_settings_disagree(
    name: str, here: Path, reconstructed: Path
) -> None:
    site, settings, code, said = WRONG[name]
    command_line = run(SITES[site](here.parent / "site", reconstructed), *settings, iterations=1)
    done = call(command_line, here)
    assert done.returncode == 1
    workspace = here / NAME
    snapshot = checkpoint(workspace)
    reason = snapshot["failure"]["reason"]
    assert len(snapshot["attempts"]) == 1
    if code == 20:
        assert "the same for every raw file" in reason
    else:
        assert "settings that do not fit together" in reason
    assert f"exit code {code}" in reason
    assert said in reason
    if name == "today's scripts, old preset":
        resume = command("resume", str(workspace), "--set", "reco.preset=2025")
        call(resume, here)
        assert checkpoint(workspace)["state"] == "done"


def test_the_collaborations_configuration_is_taken_over(here: Path) -> None:
    command_line = taken_over(here, here.parent / "site", None)
    shown = call_here(command(*command_line, "--dry-run"), here)
    assert "iteration 1: 3 jobs would be submitted" in shown.stdout, shown.stderr


@pytest.mark.long
def test_the_collaborations_configuration_is_taken_over_and_aligns(
    here: Path, reconstructed: Path
) -> None:
    site = here.parent / "site"
    done = call(command(*taken_over(here, site, reconstructed)), here)
    workspace = site / "data/Y2023_R011705_F400-403"
    assert checkpoint(workspace)["state"] == "done", done.stderr
    assert len(checkpoint(workspace)["history"]) == 3
    constants = (workspace / "iter01/1reco/inputforalign.txt").read_text()
    assert constants == ' "00": [0.001, 0, 0, 0, 0, 0]'
    assert typical_chi2(workspace, 3) < 0.2 * typical_chi2(workspace, 1)


def taken_over(here: Path, site: Path, reconstructed: Path | None) -> list[str]:
    """Import the collaboration's configuration of a site; return the words that align there."""
    site_of_march_2026(site, stations=4, files=(400, 401, 402), made=reconstructed)
    (site / "scripts/templates/align_2022_3ST.txt").write_text(' "00": [0.001, 0, 0, 0, 0, 0]')
    example = Path(__file__).parents[1] / "data/dag_config/config.json"
    old = here / "config.json"
    old.write_text(example.read_text().replace("@HERE@", str(site)))
    imported = call_here(command("config", "import", "config.json", "auto_iter.yaml"), here)
    assert imported.returncode == 0, imported.stderr
    (command_line,) = re.findall(r"align with: auto-iter (.*)", imported.stdout)
    settings = (
        f"paths.raw_dir={site / 'raw'}", "batch.system=local", "millepede.solver=builtin",
        "alignment.polling_interval_seconds=1", "reco.memory_mb=1000", "reco.disk_mb=500",
        "alignment.report=never",
        "millepede.cuts.max_residual_mm=[1.0, 0.3, 0.1]",
    )  # fmt: skip
    return [*command_line.split(), *(word for each in settings for word in ("--set", each))]
