"""Data that say too little, or nonsense: named, refused, and the same by either solver."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from auto_iter.config.cuts import TrackCuts
from auto_iter.errors import PhysicsError
from auto_iter.millepede.conversion import kfalignment as kf
from auto_iter.millepede.converting import convert_sources
from auto_iter.millepede.requests import ConvertRequest, SolveRequest, Source
from auto_iter.millepede.results import SolutionRecord
from auto_iter.millepede.workflow import solve
from tests.support.kfalignment import REFERENCE, branches, sources, with_degenerate_tracks, write

Branches = dict[str, Any]
PEDE = shutil.which("pede")
SOLVERS = [
    "builtin",
    pytest.param("pede", marks=pytest.mark.skipif(PEDE is None, reason="there is no pede on PATH")),
]
ENV = {**os.environ, "OMP_NUM_THREADS": "1"}


def without(prefix: int, digits: int) -> Callable[[Branches], Branches]:
    """Return what takes the hits on sides whose `align_id` begins with `prefix` away."""

    def change(content: Branches) -> Branches:
        kept = content[kf.ALIGN_ID] // 10**digits != prefix
        return {name: v[kept] if v.ndim > 1 else v for name, v in content.items()}

    return change


def first_tracks(count: int) -> Callable[[Branches], Branches]:
    return lambda content: {name: values[:count] for name, values in content.items()}


def degenerate(content: Branches) -> Branches:
    """Make 14 tracks of the two files degenerate."""
    chosen = np.zeros(600, dtype=bool)
    chosen[np.arange(20, 600, 84)] = True
    return with_degenerate_tracks(content, chosen)


def solved(
    directory: Path, change: Callable[[Branches], Branches], cuts: TrackCuts, **request: Any
) -> SolutionRecord:
    """Convert and solve the reference's files after a `change`, in `directory`."""
    made = []
    for number, path in enumerate(sources("clean")):
        root = write(directory / f"{number}.root", change(branches(path)))
        names = {"binary": directory / f"{number}.bin", "statistics": directory / f"{number}.json"}
        made.append(Source(number=number, root=root, **names))
    convert_sources(ConvertRequest(sources=tuple(made), cuts=cuts))
    return solve(
        SolveRequest(
            directory=directory,
            binaries=tuple(each.binary for each in made),
            statistics=tuple(each.statistics for each in made),
            previous=REFERENCE / "clean/previous.txt",
            **request,
        ),
        ENV,
    )


FEW_HITS = TrackCuts(min_hits=14)
SIDE_0, SIDE_1 = 31301, 31311
"""Labels of the side that lacks hits in one of the cases, and of the other one of its module."""
AS_THE_OTHER = "goes with the other side of its module"
LACKING: dict[str, tuple[Callable[[Branches], Branches], str]] = {
    "a layer": (without(21, 2), "station 2 layer 1: no hits; stays where it is"),
    "a module": (without(213, 1), "station 2 layer 1 module 3: no hits; stays where it is"),
    "a side": (without(2130, 0), f"station 2 layer 1 module 3 side 0: no hits; {AS_THE_OTHER}"),
    "forty tracks a file": (first_tracks(40), "short of data: 196 of 261 parameters have fewer"),
}


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("what", LACKING)
def test_what_lacks_hits_is_named_and_stays_or_goes_with_its_module(
    tmp_path: Path, solver: str, what: str
) -> None:
    change, remark = LACKING[what]
    record = solved(tmp_path, change, FEW_HITS, solver=solver)
    assert set(record.exit_codes) <= {0, 1}
    (warning,) = record.warnings
    assert warning.startswith(remark)
    values = {parameter.label: parameter.value for parameter in record.parameters}
    assert (values[SIDE_0] == values[SIDE_1] != 0.0) == (what == "a side")
    for parameter in record.parameters:
        assert (parameter.presigma < 0) == (parameter.sigma is None)
        if parameter.sigma is None and what != "a side":
            assert parameter.value == 0.0


@pytest.mark.skipif(PEDE is None, reason="there is no pede on PATH")
@pytest.mark.parametrize("what", [*LACKING, "degenerate tracks"])
def test_both_solvers_end_alike(tmp_path: Path, what: str) -> None:
    change = LACKING[what][0] if what in LACKING else degenerate
    records = []
    for solver in ("builtin", "pede"):
        (tmp_path / solver).mkdir()
        records.append(solved(tmp_path / solver, change, FEW_HITS, solver=solver))
    ours, theirs = records
    assert ours.exit_codes == theirs.exit_codes
    assert ours.warnings == theirs.warnings
    for one, other in zip(ours.parameters, theirs.parameters, strict=True):
        assert one.label == other.label
        assert one.value == pytest.approx(other.value, rel=1e-4, abs=1e-9)
        assert one.sigma == (None if other.sigma is None else pytest.approx(other.sigma, rel=1e-4))


@pytest.mark.parametrize("solver", SOLVERS)
def test_too_few_tracks_for_anything_are_refused(tmp_path: Path, solver: str) -> None:
    with pytest.raises(PhysicsError, match="at most 12 for a parameter, and 25 hits on 10"):
        solved(tmp_path, first_tracks(3), FEW_HITS, solver=solver)


@pytest.mark.skipif(PEDE is None, reason="there is no pede on PATH")
def test_negative_uncertainties_of_pede_are_refused_unless_allowed(tmp_path: Path) -> None:
    """What degenerate tracks do to pede where nothing cuts them."""
    uncut = TrackCuts(min_hits=14, min_independence=0.0)
    with pytest.raises(PhysicsError, match="fitted parameters have no uncertainty, or a negative"):
        solved(tmp_path, degenerate, uncut, solver="pede")
    record = solved(tmp_path, degenerate, uncut, solver="pede", accept_bad_matrix=True)
    assert any(each.presigma >= 0 and each.sigma is None for each in record.parameters)


def fake_pede(directory: Path, code: int, result: str = "", output: str = "") -> Path:
    """Return a pede that ends with `code`, and with the reference's result where none is given."""
    directory.mkdir()
    program = directory / "pede"
    reference = (REFERENCE / "clean/millepede.res").read_text()
    (directory / "res").write_text(result or reference)
    (directory / "out").write_text(output)
    program.write_text(
        f"#!{sys.executable}\nimport shutil\nshutil.copy('{directory}/res', 'millepede.res')\n"
        f"shutil.copy('{REFERENCE}/clean/millepede.log', 'millepede.log')\n"
        f"print(open('{directory}/out').read())\n"
        f"open('millepede.end', 'w').write('   {code}   words')\n"
    )
    program.chmod(0o755)
    return program


BANNER = "       WarningWarningWarningWarning\n       arningWarningWarningWarningW\n"
BAD_MATRIX = (
    f"{BANNER}\n         Rank defect =           2   for global matrix, should be 0\n"
    f"         => please provide correct mille data\n\n{BANNER}"
)


def test_exit_code_3_is_refused_with_pede_s_reason_unless_allowed(tmp_path: Path) -> None:
    pede = fake_pede(tmp_path / "pede", 3, output=BAD_MATRIX)
    setting: dict[str, Any] = {"solver": "pede", "pede_install": pede}
    with pytest.raises(PhysicsError) as refused:
        solved(tmp_path, first_tracks(600), TrackCuts(), **setting)
    assert "exit code 3, ended with severe warnings (bad global matrix): Rank defect = 2 for" in (
        str(refused.value)
    )
    assert not (tmp_path / "solution.json").exists()
    record = solved(tmp_path, first_tracks(600), TrackCuts(), **setting, accept_bad_matrix=True)
    assert record.exit_codes == (3,)
    assert "bad global matrix" in record.warnings[0]


@pytest.mark.parametrize(
    ("counts", "limit_mm", "advice"),
    [
        ((900, 0, 0), 0.001, "too few hits left for a fit: millepede.cuts.max_residual_mm (0.001"),
        ((0, 900, 0), 5.0, "millepede.cuts.max_residual_mm (5 mm); tighten that, or look at the"),
    ],
)
def test_too_many_rejects_name_the_setting_that_is_the_cause_once(
    tmp_path: Path, counts: tuple[int, int, int], limit_mm: float, advice: str
) -> None:
    no_freedom, huge, large = counts
    output = (
        " Data rejected in previous loop:   \n"
        f"               0  (rank deficit/NaN)  {no_freedom:5d}  (Ndf=0)  {huge:5d}  (huge)  "
        f"{large:5d}  (large)\n Too many rejects (>33.3%) - stop\n"
    )
    pede = fake_pede(tmp_path / "pede", 26, output=output)
    cuts = TrackCuts(max_residual_mm=limit_mm, min_independence=0.0)
    with pytest.raises(PhysicsError) as refused:
        solved(tmp_path, first_tracks(600), cuts, solver="pede", pede_install=pede)
    message = str(refused.value)
    assert advice in message
    assert message.count("too many rejects") == message.count("max_residual_mm") == 1
