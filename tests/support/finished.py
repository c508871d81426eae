"""A workspace with finished iterations, made of the reference's numbers in no time."""

from __future__ import annotations

import shutil
from pathlib import Path

from auto_iter.alignment.judges.hold_out import HoldOut
from auto_iter.alignment.solution import GroupChange
from auto_iter.detector.constants import (
    Constants,
    accumulate,
    changes,
    format_constants,
    read_constants,
)
from auto_iter.detector.labels import Scheme, place_of
from auto_iter.millepede.conversion.statistics import LayerResiduals, Spread, Statistics
from auto_iter.millepede.pede.result_files import read_result
from auto_iter.millepede.results import ChangeRecord, ParameterRecord, SolutionRecord

REFERENCE = Path(__file__).parents[1] / "data/kfalignment/clean"
MILLE = REFERENCE / "mp2input.bin"
KEPT_LABELS = ("211", "212", "21001", "21011")


def statistics(scale: float) -> Statistics:
    """Return residuals of a layer and of one of its modules, the larger the `scale`."""
    spread = Spread(hits=4, sum_mm=0.001, sum_mm2=scale * 1e-3)
    bins = [0] * (len(Statistics.EDGES_UM) - 1)
    bins[len(bins) // 2] = 4
    return Statistics(
        layers={"20": LayerResiduals(before=spread, after=spread)},
        modules={"203": spread},
        histograms={"20": bins},
    )


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
        within=iteration,
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
        pulls={"layer x": 3.0, "side x": 2.0},
        groups=(
            GroupChange(
                name="layer x",
                parameters=2,
                largest=12.0,
                rms=8.0,
                largest_pull=3.0,
                rms_pull=2.0,
                raw_largest=12.0,
                raw_rms=8.0,
            ),
        ),
        exit_codes=(0,),
        steps=(),
        warnings=("step 0: pede was not happy",),
        statistics=statistics(scale),
        held_out=statistics(2 * scale),
        hold_out=HoldOut(
            files=2,
            tracks=500,
            chi2_ndf=scale + 0.25,
            ndf=6500,
            largest_mean_um=-200 * scale,
            worst_module="station 1 layer 0 module 3",
            rms_width_um=30 * scale,
            qop_bias_per_tev=-0.125,
            qop_bias_error_per_tev=0.0625,
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


def two_iterations(root: Path) -> Path:
    """Make a workspace of two finished iterations and one that is under way; return it."""
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


def with_jobs(root: Path) -> None:
    """Give the first iteration a job's log: it waited, failed, and ran again."""
    logs = root / "iter01/1reco/logs"
    logs.mkdir(parents=True)
    (logs / "reco_00450.log").write_text(
        "2026-11-25 01:00:00 submitted as 1.450\n"
        "2026-11-25 01:01:00 executing on vm, starter 7\n"
        "2026-11-25 01:03:00 ended: exit code 40\n"
        "2026-11-25 01:04:00 submitted as 2.450\n"
        "2026-11-25 01:05:00 executing on vm, starter 8\n"
        "2026-11-25 01:09:00 ended: exit code 0 (240 s, at most 113 MB)\n"
    )
