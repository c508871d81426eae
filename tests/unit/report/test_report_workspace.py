"""The report of a workspace in any state: numbers, plots, and what is said where there are none."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from auto_iter.detector.constants import (
    Constants,
    accumulate,
    changes,
    format_constants,
    read_constants,
)
from auto_iter.detector.labels import Scheme, place_of
from auto_iter.errors import InputError
from auto_iter.millepede.conversion.statistics import LayerResiduals, Spread, Statistics
from auto_iter.millepede.pede.result_files import read_result
from auto_iter.millepede.results import ChangeRecord, ParameterRecord, SolutionRecord
from auto_iter.report.__main__ import main
from auto_iter.weakmodes.information import data_hessian
from auto_iter.weakmodes.truth_file import read_truth

REFERENCE = Path(__file__).parents[2] / "data/kfalignment/clean"
MILLE = REFERENCE / "mp2input.bin"
KEPT_LABELS = ("211", "212", "21001", "21011")


def solution(iteration: int, scale: float) -> tuple[SolutionRecord, Constants]:
    """Return a solution with some of the reference's parameters, and what it adds up to."""
    result = {
        label: parameter
        for label, parameter in read_result(REFERENCE / "millepede.res").items()
        if str(label) in KEPT_LABELS
    }
    moved = changes(result.values(), Scheme())
    record = SolutionRecord(
        iteration=iteration,
        strategy="3st",
        phase="3ST",
        solver="builtin",
        tracks=1000,
        records=1000,
        rejects=0,
        chi2=950.0,
        ndf=1000,
        chi2_ndf=0.95,
        track_chi2_ndf=scale,
        max_shift_um=12.0,
        max_rotation_mrad=0.5,
        max_pull=3.0,
        exit_codes=(0,),
        steps=(),
        warnings=("step 0: pede was not happy",),
        statistics=Statistics(
            layers={"20": LayerResiduals(before=Spread(hits=4, sum_mm=0, sum_mm2=scale * 1e-3))}
        ),
        parameters=tuple(
            ParameterRecord(
                label=label,
                name=place_of(label, Scheme()).name,
                value=parameter.value,
                sigma=parameter.sigma,
                presigma=0.05,
            )
            for label, parameter in result.items()
        ),
        changes=tuple(
            ChangeRecord(
                key=change.key,
                parameter=change.parameter,
                change=change.value,
                sigma=1e-3,
                free=True,
            )
            for change in moved
        ),
    )
    return record, accumulate({}, moved)


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """Return a workspace of two finished iterations and one that is under way."""
    root = tmp_path / "Y2023_R011705_F450"
    for number, scale in ((1, 9.0), (2, 1.0)):
        directory = root / f"iter{number:02d}" / "3millepede"
        (directory / "mille").mkdir(parents=True)
        record, constants = solution(number, scale)
        (directory / "solution.json").write_text(record.model_dump_json())
        (directory / "inputforalign.txt").write_text(format_constants(constants))
        shutil.copy(MILLE, directory / "mille")
    (root / "iter03" / "1reco").mkdir(parents=True)
    return root


def with_truth(root: Path, off_by_mm: float = 0.0) -> None:
    """Say that what was found is the truth, but for layer 1's y in station 1."""
    found = read_constants(root / "iter02/3millepede/inputforalign.txt")
    lines = []
    for key, values in found.items():
        numbers = list(values)
        if key == "11":
            numbers[1] += off_by_mm
        lines.append(f"  '{key}': {numbers}\n")
    (root.parent / "truth.yaml").write_text("constants:\n" + "".join(lines))
    (root / "config.yaml").write_text(f"simulation:\n  truth: {root.parent / 'truth.yaml'}\n")


def report(root: Path) -> dict[str, object]:
    document = json.loads((root / "report/report.json").read_text())
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
    assert main([str(workspace)]) == 0
    text = (workspace / "report/constants.txt").read_text()
    assert "station 1 layer 1 module 0  [110]" in text
    assert "9.0000 in iteration 1 → 1.0000 in iteration 2" in text
    assert "warning: step 0: pede was not happy" in text
    assert "truth" not in text


def test_every_kind_of_constant_gets_its_plot_and_the_same_numbers_the_same_bytes(
    workspace: Path,
) -> None:
    with_truth(workspace)
    assert main([str(workspace)]) == 0
    first = {path.name: path.read_bytes() for path in (workspace / "report").iterdir()}
    assert sorted(first) == [
        "chi2.png",
        "constants.txt",
        "convergence_layer_x.png",
        "convergence_layer_y.png",
        "convergence_module_x.png",
        "convergence_module_y.png",
        "pulls.png",
        "report.json",
        "residuals.png",
    ]
    assert main([str(workspace)]) == 0
    assert {path.name: path.read_bytes() for path in (workspace / "report").iterdir()} == first


def test_found_constants_that_are_the_truth_have_no_pulls_and_a_wrong_one_has_a_large_one(
    workspace: Path,
) -> None:
    with_truth(workspace)
    main([str(workspace)])
    pulls = report(workspace)["pulls"]
    assert isinstance(pulls, dict)
    assert pulls["largest"] < 0.01
    with_truth(workspace, off_by_mm=0.2)
    main([str(workspace)])
    pulls = report(workspace)["pulls"]
    assert isinstance(pulls, dict)
    assert pulls["largest"] > 10
    assert " !" in (workspace / "report/constants.txt").read_text()


def test_a_damaged_iteration_is_left_out_and_noted(workspace: Path) -> None:
    (workspace / "iter02/3millepede/solution.json").write_text('{"iteration": 2')
    assert main([str(workspace)]) == 0
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
    assert main([str(workspace)]) == 0
    document = report(workspace)
    assert document["weak_modes"] is None
    assert document["pulls"] is None
    assert "weak modes and pulls are not known" in (workspace / "report/constants.txt").read_text()


def test_what_is_not_read_of_many_binaries_counts_as_being_like_the_rest(tmp_path: Path) -> None:
    copies = [tmp_path / "a.bin", tmp_path / "b.bin"]
    for path in copies:
        shutil.copy(MILLE, path)
    labels = [211, 212, 20001, 20011, 47777]
    every = data_hessian(copies, labels)
    np.testing.assert_allclose(data_hessian(copies, labels, most_bytes=1), every)
    np.testing.assert_allclose(every, every.T)
    assert (np.diag(every)[:4] > 0).all()
    assert not every[4].any()


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
