"""The built-in solver against real pede: its own test detector and the kfalignment chain.

Sources: Millepede II built from its public source; each folder holds what pede made of it.
"""

from __future__ import annotations

import contextlib
import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from auto_iter.millepede.exit_codes import PedeAbortError
from auto_iter.millepede.mille.file import Flavour, read_blocks
from auto_iter.millepede.pede.result_files import read_result
from auto_iter.millepede.solver.builtin import SolverResult, solve
from tests.support.mille_writer import encode_records

DATA = Path(__file__).parents[2] / "data"
PEDE_SETS = (
    "inversion",
    "diagonalization",
    "parameters",
    "measurements",
    "presigma",
    "entries",
    "chisqcut",
    "downweight",
    "too_many_rejects",
)


@pytest.fixture(scope="module")
def detector(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pede's test detector with its binary in both flavours."""
    base = tmp_path_factory.mktemp("pede")
    shutil.copytree(DATA / "pede", base, dirs_exist_ok=True)
    fortran = base / "mp2tst.bin"
    fortran.write_bytes(gzip.decompress((base / "mp2tst.bin.gz").read_bytes()))
    convert(fortran, base / "mp2tst_c.bin", Flavour())
    return base


def convert(fortran: Path, target: Path, flavour: Flavour) -> None:
    parts = (block.measurements(fortran) for block in read_blocks(fortran, fortran=True))
    target.write_bytes(b"".join(encode_records(part, flavour) for part in parts))


def solve_in(directory: Path, *, old_defects: bool = False) -> SolverResult:
    for name in ("millepede.res", "millepede.end"):
        (directory / name).unlink(missing_ok=True)
    return solve(Path("steer.txt"), directory=directory, old_defects=old_defects)


@pytest.mark.parametrize("name", [*PEDE_SETS, "inversion_c"])
def test_result_and_end_equal_pede_s_byte_for_byte(detector: Path, name: str) -> None:
    with contextlib.nullcontext() if name != "too_many_rejects" else pytest.raises(PedeAbortError):
        solve_in(detector / name, old_defects=True)  # of a pede before V04-12-03
    for file in ("millepede.res", "millepede.end"):
        expected = DATA / "pede" / name / file
        written = detector / name / file
        assert written.exists() == expected.exists()
        if expected.exists():
            assert written.read_text() == expected.read_text()


@pytest.mark.parametrize("name", ["clean", "dirty"])
def test_the_chain_s_alignment_equals_pede_s_byte_for_byte(tmp_path: Path, name: str) -> None:
    original = DATA / "kfalignment" / name
    for file in ("steer.txt", "mp2con.txt", "mp2par.txt", "mp2input.bin"):
        shutil.copy(original / file, tmp_path)
    solve_in(tmp_path)
    for file in ("millepede.res", "millepede.end"):
        assert (tmp_path / file).read_text() == (original / file).read_text()


def test_the_chain_s_alignment_with_measurements_equals_pede_s_byte_for_byte(
    tmp_path: Path,
) -> None:
    shutil.copytree(DATA / "kfalignment/clean", tmp_path, dirs_exist_ok=True)
    directory = tmp_path / "measurements"
    solve_in(directory)
    for file in ("millepede.res", "millepede.end"):
        expected = DATA / "kfalignment/clean/measurements" / file
        assert (directory / file).read_text() == expected.read_text()


@pytest.mark.parametrize("compress", [False, True])
def test_doubles_and_gzip_give_the_same_result(detector: Path, compress: bool) -> None:
    directory = detector / f"double{compress}"
    shutil.copytree(detector / "inversion_c", directory)
    convert(detector / "mp2tst.bin", directory / "mp.bin", Flavour(double=True))
    if compress:
        (directory / "mp.bin").write_bytes(gzip.compress((directory / "mp.bin").read_bytes(), 1))
    steering = (directory / "steer.txt").read_text().replace("../mp2tst_c.bin", "mp.bin")
    (directory / "steer.txt").write_text(steering)
    solve_in(directory)
    expected = (DATA / "pede" / "inversion" / "millepede.res").read_text()
    assert (directory / "millepede.res").read_text() == expected


def test_a_diagonalisation_s_uncertainties_are_right_in_the_result(detector: Path) -> None:
    by_inversion = solve_in(detector / "inversion")
    by_diagonalisation = solve_in(detector / "diagonalization", old_defects=True)
    np.testing.assert_allclose(
        by_diagonalisation.uncertainties, by_inversion.uncertainties, rtol=1e-9
    )
    assert any("before V04-12-03" in warning for warning in by_diagonalisation.warnings)


def test_old_defects_are_on_request_only(detector: Path) -> None:
    by_inversion = solve_in(detector / "inversion")
    by_diagonalisation = solve_in(detector / "diagonalization")
    printed = read_result(detector / "diagonalization/millepede.res").values()
    told = [each.sigma or 0.0 for each in printed if each.is_free]
    fitted = np.isfinite(by_inversion.uncertainties)
    np.testing.assert_allclose(told, by_inversion.uncertainties[fitted], rtol=2e-5)
    assert not any("before V04" in warning for warning in by_diagonalisation.warnings)


def test_other_methods_find_the_same_values(detector: Path) -> None:
    values = solve_in(detector / "inversion").values
    for method in ("fullMINRES", "sparseMINRES-QLP", "decomposition"):
        directory = detector / method
        shutil.copytree(detector / "inversion", directory)
        steering = (directory / "steer.txt").read_text().replace("inversion", method)
        (directory / "steer.txt").write_text(steering)
        result = solve_in(directory)
        np.testing.assert_allclose(result.values, values, atol=1e-9)
        assert len((directory / "millepede.res").read_text().splitlines()[1].split()) == 4
        assert any("solved exactly" in warning for warning in result.warnings)


def test_multipliers_and_elimination_agree(detector: Path) -> None:
    directory = detector / "multipliers"
    shutil.copytree(detector / "parameters", directory)
    steering = (directory / "steer.txt").read_text()
    (directory / "steer.txt").write_text(steering.replace("method", "withmultipliers\nmethod"))
    result, expected = solve_in(directory), solve_in(detector / "parameters")
    np.testing.assert_allclose(result.values, expected.values, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(result.uncertainties, expected.uncertainties, rtol=1e-9)
