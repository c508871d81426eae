"""The table of ranges: what each range's own tracks say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.config.cuts import TrackCuts
from auto_iter.millepede.conversion.statistics import LayerResiduals, Spread, Statistics
from auto_iter.millepede.results import NO_FILE, ConversionRecord
from auto_iter.report.__main__ import main
from auto_iter.several_runs import SeveralRuns
from tests.support.finished import two_iterations

RANGES = "011705:450,011710:3@0.5"


def spread(mean_um: float, width_um: float = 20.0, hits: int = 100) -> Spread:
    mean, width = mean_um / 1e3, width_um / 1e3
    return Spread(hits=hits, sum_mm=hits * mean, sum_mm2=hits * (width**2 + mean**2))


def statistics(mean_um: float) -> Statistics:
    layers = {"21": spread(mean_um), "22": spread(mean_um / 2), "23": spread(99.0, hits=3)}
    return Statistics(
        layers={number: LayerResiduals(after=each) for number, each in layers.items()},
        tracks_kept=50, chi2_kept=120.0, ndf_kept=100,
    )  # fmt: skip


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a workspace of two iterations whose last fit has a file of each of two runs."""
    root = two_iterations(tmp_path / "several")
    mille = root / "iter02/3millepede/mille"
    mille.mkdir(exist_ok=True)
    solution = root / "iter02/3millepede/solution.json"
    solved = json.loads(solution.read_text())
    names = []
    for number, mean_um in ((1170500450, 8.0), (1171000003, -8.0)):
        run, file = divmod(number, 100000)
        path = mille / f"mp2input_{run:06d}_{file:05d}.json"
        names.append(path.with_suffix(".bin").name)
        record = ConversionRecord(
            number=number, root="", source=NO_FILE, cuts=TrackCuts(), statistics=statistics(mean_um)
        )
        path.write_text(record.model_dump_json())
    solved["binaries"] = names
    solution.write_text(json.dumps(solved))
    asked = Arguments(year=2023, run=None, files=SeveralRuns.parse(RANGES), iterations=2)
    snapshot = Snapshot(workspace_id="abc", arguments=asked, iteration_started_at=0.0)
    checkpoint.save(root / "state.yaml", snapshot)
    return root


def test_a_detector_that_moved_between_two_ranges_is_seen(workspace: Path) -> None:
    assert main([str(workspace), "--page-only"]) == 0
    one, other = json.loads((workspace / "report/report.json").read_text())["ranges"]
    assert (one["range"], one["weight"], one["files"], one["tracks"]) == ("011705:450", 1.0, 1, 50)
    assert (other["range"], other["weight"], other["chi2_ndf"]) == ("011710:3", 0.5, 1.2)
    for each, sign in ((one, 1), (other, -1)):
        assert each["mean_um"] == pytest.approx(sign * 8.0)
        assert each["error_um"] == pytest.approx(2.0)
        assert each["place"] == one["place"] != ""
    page = (workspace / "report/report.html").read_text()
    assert "+8.00 ± 2.00" in page
    assert "-8.00 ± 2.00" in page


def test_with_one_run_there_is_no_such_table(tmp_path: Path) -> None:
    root = two_iterations(tmp_path / "one")
    assert main([str(root), "--page-only"]) == 0
    assert json.loads((root / "report/report.json").read_text())["ranges"] == []
    assert "Each range by itself" not in (root / "report/report.html").read_text()
