"""The report of a workspace in any state: numbers, plots, and what is said where there are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from auto_iter.errors import InputError
from auto_iter.report.__main__ import main
from auto_iter.report.assessment import assess
from auto_iter.report.constants_text import constants_text
from auto_iter.report.document import report_json
from auto_iter.report.history import read_history
from auto_iter.weakmodes.information import data_hessian
from auto_iter.weakmodes.truth_file import read_truth
from tests.support.finished import MILLE, two_iterations, with_jobs, with_truth


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a workspace of two finished iterations and one that is under way."""
    return two_iterations(tmp_path / "Y2023_R011705_F450")


def constants(root: Path) -> str:
    history = read_history(root)
    return constants_text(history, assess(history))


def report(root: Path) -> dict[str, object]:
    history = read_history(root)
    document = json.loads(report_json(history, assess(history), []))
    assert isinstance(document, dict)
    return document


def test_a_directory_that_is_not_there_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path / "nowhere")]) == 1
    assert capsys.readouterr().err.count("\n") == 1


def test_a_workspace_without_a_finished_iteration_says_so(tmp_path: Path) -> None:
    (tmp_path / "iter01/1reco").mkdir(parents=True)
    assert main([str(tmp_path)]) == 0
    assert "no iteration is finished yet" in (tmp_path / "report/constants.txt").read_text()
    assert report(tmp_path)["iterations"] == []


def test_constants_txt_has_a_row_for_each_constant_and_a_summary(workspace: Path) -> None:
    text = constants(workspace)
    assert "station 1 layer 1 module 0  [110]" in text
    assert "9.0000 in iteration 1 → 1.0000 in iteration 2" in text
    assert "warning: step 0: pede was not happy" in text
    assert "held out (2 files, 500 tracks), iteration 1 -> 2: chi2/ndf 9.25 -> 1.25; " in text
    assert "truth" not in text


def test_every_figure_is_beside_the_page_at_the_end_and_only_the_page_meanwhile(
    workspace: Path,
) -> None:
    with_truth(workspace)
    with_jobs(workspace)
    assert main([str(workspace)]) == 0
    first = {path.name: path.read_bytes() for path in (workspace / "report").iterdir()}
    assert sorted(first) == [
        "chi2.png",
        "constants.txt",
        "convergence_layer_x.png",
        "convergence_layer_y.png",
        "convergence_module_x.png",
        "convergence_module_y.png",
        "correlations.png",
        "distributions.png",
        "jobs.png",
        "movement.png",
        "pulls.png",
        "report.html",
        "report.json",
        "residual_maps.png",
        "residuals.png",
        "spectrum.png",
    ]
    for path in (workspace / "report").glob("*.png"):
        path.unlink()
    assert main([str(workspace), "--page-only"]) == 0  # as after each iteration
    again = {path.name: path.read_bytes() for path in (workspace / "report").iterdir()}
    assert sorted(again) == ["constants.txt", "report.html", "report.json"]


def test_found_constants_that_are_the_truth_have_no_pulls_and_a_wrong_one_has_a_large_one(
    workspace: Path,
) -> None:
    with_truth(workspace)
    pulls = report(workspace)["pulls"]
    assert isinstance(pulls, dict)
    assert pulls["largest"] < 0.01
    with_truth(workspace, off_by_mm=0.2)
    pulls = report(workspace)["pulls"]
    assert isinstance(pulls, dict)
    assert pulls["largest"] > 10
    assert " !" in constants(workspace)


def test_a_damaged_iteration_is_left_out_and_noted(workspace: Path) -> None:
    (workspace / "iter02/3millepede/solution.json").write_text('{"iteration": 2')
    document = report(workspace)
    iterations, notes = document["iterations"], document["notes"]
    assert isinstance(iterations, list)
    assert isinstance(notes, list)
    assert [each["iteration"] for each in iterations] == [1]
    assert any("iter02 is left out" in note for note in notes)


def test_without_mille_binaries_weak_modes_are_unknown_and_the_rest_is_there(
    workspace: Path,
) -> None:
    with_truth(workspace)
    for path in workspace.glob("iter*/3millepede/mille/*"):
        path.unlink()
    document = report(workspace)
    assert document["weak_modes"] is None
    assert document["pulls"] is None
    assert "weak modes and pulls are not known" in constants(workspace)


def test_what_is_not_read_of_many_binaries_counts_as_being_like_the_rest(tmp_path: Path) -> None:
    copies = [tmp_path / "a.bin", tmp_path / "b.bin"]
    for path in copies:
        shutil.copy(MILLE, path)
    labels = [211, 212, 20001, 20011, 47777]
    every = data_hessian(copies, labels, {})
    np.testing.assert_allclose(data_hessian(copies, labels, {}, most_bytes=1), every)
    np.testing.assert_allclose(every, every.T)
    assert (np.diag(every)[:4] > 0).all()
    assert not every[4].any()
    for most_bytes in (1, 10**9):
        weighted = data_hessian(copies, labels, {"b.bin": 0.5}, most_bytes)
        np.testing.assert_allclose(weighted, 0.75 * every)


@pytest.mark.parametrize(
    "text", ["", "constants: [1, 2]", "constants:\n  '10': [1, 2]", "'10': [1, 2, 3, 4, 5, x]", "}"]
)
def test_a_truth_that_is_none_is_refused_with_the_name_of_its_file(
    tmp_path: Path, text: str
) -> None:
    path = tmp_path / "truth.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=r"truth\.yaml"):
        read_truth(path)
