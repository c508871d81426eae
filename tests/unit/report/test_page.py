"""The page: the verdict first, everything in it, and gaps that say so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from auto_iter.alignment import checkpoint
from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.judges.verdict import Verdict
from auto_iter.alignment.judges.word import Word
from auto_iter.alignment.snapshot import Failure, Snapshot
from auto_iter.cli import main as command_line
from auto_iter.rawfiles import RawRange
from auto_iter.report.__main__ import main
from auto_iter.workspace.paths import Workspace
from tests.support.finished import two_iterations, with_jobs, with_truth

FIGURES = {
    "chi2",
    "convergence_layer_x",
    "convergence_layer_y",
    "convergence_module_x",
    "convergence_module_y",
    "correlations",
    "distributions",
    "jobs",
    "movement",
    "pulls",
    "residual_maps",
    "residuals",
    "spectrum",
}


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a workspace of two finished iterations, with truth and jobs."""
    root = two_iterations(tmp_path / "Y2023_R011705_F450")
    with_truth(root)
    with_jobs(root)
    return root


@pytest.fixture
def begun(tmp_path: Path) -> Path:
    """Return a workspace in which nothing is finished."""
    (tmp_path / "iter01/1reco").mkdir(parents=True)
    return tmp_path


def page(root: Path) -> str:
    assert main([str(root), "--page-only"]) == 0
    return (root / "report/report.html").read_text()


def figures(html: str) -> set[str]:
    return set(re.findall(r'<figure id="figure-(\w+)"', html))


def with_snapshot(root: Path, **changes: object) -> None:
    files = RawRange.parse("450")
    snapshot = Snapshot(
        workspace_id="abc",
        arguments=Arguments(year=2023, run=11705, files=files, iterations=2),
        iteration_started_at=0.0,
    ).but(**changes)
    checkpoint.save(root / "state.yaml", snapshot)


def test_every_figure_is_in_it_and_nothing_outside_is_asked_for(workspace: Path) -> None:
    html = page(workspace)
    assert figures(html) == FIGURES
    assert len(html) < 3_000_000
    assert not re.findall(r'(?:src|href)="(?!#|data:)', html)
    assert not re.findall(r"url\((?!#)", html)
    # a colour of the palette that is written out would not follow the page's scheme
    svg = html[html.index("<svg") : html.rindex("</svg>")]
    assert "#1b1c1d" not in svg
    assert "station 1, layer 0 x" not in svg
    assert "<title>station 1 layer 1 x</title>" in svg
    held_out = html[html.index('id="holdout"') : html.index('id="modes"')]
    assert "<td>2</td>" in held_out
    assert '<td class="n">1.2500</td><td class="n">1.0000</td>' in held_out  # and the fit's
    assert "−0.1250 ± 0.0625" in held_out
    assert "IFT" not in held_out
    # a module's mean and width before and after: Σr 1 µm and Σr² 0.018, 0.002 mm², of 4 hits
    cells = "".join(f'<td class="n">{each}</td>' for each in ("+0.2", "67.1", "+0.2", "22.4"))
    assert f"<td>station 1 layer 0 module 3</td>{cells}" in held_out


def test_the_verdict_comes_first(begun: Path) -> None:
    verdict = Verdict(word=Word.PLATEAU, sentence="plateau: it moves by 2 σ", found_by=2)
    with_snapshot(begun, state="done", verdict=verdict)
    html = page(begun)
    first = html[html.index("<h1>") : html.index("</header>")]
    assert first.startswith("<h1>Plateau</h1>\n<p>it moves by 2 σ</p>")
    assert "found by iteration 2" in first


def test_a_failure_says_what_to_do_and_what_is_in_a_log_harms_no_page(begun: Path) -> None:
    failure = Failure(
        state="wait_reco", reason="boom <script>x</script>\nsecond", remedy="mend it", at=1.0
    )
    with_snapshot(begun, state="failed", failure=failure)
    Workspace(begun).log.write_text(
        '{"event": "job <b>failed", "level": "warning", "iteration": 1}\nnot JSON\n[1]\n'
    )
    html = page(begun)
    assert "<h1>Failed</h1>" in html
    assert "mend it" in html
    assert "<script>x" not in html
    assert "job &lt;b&gt;failed" in html


def test_what_is_missing_leaves_gaps_that_say_so_and_costs_nothing_else(
    workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Logs that are none, records of before, a figure that cannot be drawn."""

    def bad(*_: object) -> None:
        raise ZeroDivisionError("nothing to divide by")

    (workspace / "iter01/1reco/logs/reco_00450.log").write_bytes(b"\xff\0 nothing")
    for path in workspace.glob("iter*/3millepede/solution.json"):
        record = json.loads(path.read_text())
        record["statistics"] |= {"modules": {}, "histograms": {}}
        path.write_text(json.dumps(record))
    monkeypatch.setattr("auto_iter.report.figures.pulls_figure", bad)
    html = page(workspace)
    assert figures(html) == FIGURES - {"jobs", "residual_maps", "distributions", "pulls"}
    assert "the jobs over time: not known" in html
    assert "residuals by module: not known" in html
    assert "cannot be drawn (ZeroDivisionError: nothing to divide by)" in html


def test_without_mille_binaries_and_truth_the_rest_is_there(tmp_path: Path) -> None:
    root = two_iterations(tmp_path / "Y2023_R011705_F450")
    for path in root.glob("iter*/3millepede/mille/*"):
        path.unlink()
    html = page(root)
    assert figures(html) == FIGURES - {"jobs", "pulls", "correlations", "spectrum"}
    assert "weak modes and pulls are not known" in html
    assert "The truth is not known here" in html


def test_without_any_iteration_there_is_a_page_that_says_so(begun: Path) -> None:
    assert command_line(["report", str(begun)]) == 0
    html = (begun / "report/report.html").read_text()
    assert "No iteration is finished yet" in html
    assert figures(html) == set()
