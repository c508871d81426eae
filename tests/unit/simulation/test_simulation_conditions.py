"""Constants go through the stand-in's database as in production, or fail with one line."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from auto_iter.detector.constants import Constants
from auto_iter.errors import InputError, UsageError
from auto_iter.simulation import conditions
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.simulate import Options, simulate

CONSTANTS: Constants = {
    "10": (0.1, 0.0, 0.0, 0.001, 0.0, 0.0),
    "213": (0.0, 0.2, 0.0, 0.0, 0.0, 0.003),
}
SMALL = Options(files=(400,), beam=Beam(events=5))


def connection(path: Path) -> str:
    return f"sqlite://;schema={path};dbname=CONDBR3"


def job_directory(root: Path, geometry: str = "04", *, copies_pool: bool = True) -> Path:
    """Do what the job script does, up to the reconstruction; return ATLAS_POOLCOND_PATH."""
    data = root / "data"
    (data / "sqlite200").mkdir(parents=True)
    (data / "poolcond").mkdir()
    database = data / "sqlite200/ALLP200.db"
    conditions.write_release(database)
    conditions.write_alignment(root, geometry, CONSTANTS)
    written = root / f"FASER-{geometry}_ALLP200.db"
    conditions.copy_tag(connection(written), connection(database), f"TRACKER-ALIGN-{geometry}")
    if copies_pool:
        shutil.copy(root / f"FASER-{geometry}_Align.pool.root", data / "poolcond")
    shutil.copy(root / "PoolFileCatalog.xml", data / "poolcond/PoolCat_oflcond.xml")
    return data


@pytest.mark.parametrize("geometry", conditions.GEOMETRIES)
def test_constants_come_back_from_the_database(tmp_path: Path, geometry: str) -> None:
    data = job_directory(tmp_path, geometry)
    assert conditions.read_alignment(data, f"OFLCOND-FASER-{geometry}") == CONSTANTS


def test_constants_under_another_tag_than_is_read_are_ignored_without_a_word(
    tmp_path: Path,
) -> None:
    assert conditions.read_alignment(job_directory(tmp_path, "04"), "OFLCOND-FASER-05") == {}


def test_a_pool_file_that_was_not_copied_is_missed(tmp_path: Path) -> None:
    data = job_directory(tmp_path, copies_pool=False)
    with pytest.raises(InputError, match=r"FASER-04_Align\.pool\.root"):
        conditions.read_alignment(data, "OFLCOND-FASER-04")


def test_a_global_tag_that_no_release_has_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "sqlite200").mkdir()
    conditions.write_release(tmp_path / "sqlite200/ALLP200.db")
    with pytest.raises(InputError, match="OFLCOND-FASER-99"):
        conditions.read_alignment(tmp_path, "OFLCOND-FASER-99")


@pytest.mark.parametrize(
    "text",
    ["nonsense", '{"10": [1, 2]}', '{"10": [NaN, 0, 0, 0, 0, 0]}', '{"99": [0, 0, 0, 0, 0, 0]}'],
)
def test_malformed_constants_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"[Cc]onstants"):
        conditions.parse_property(conditions.PROPERTY + text)


def test_a_simulation_may_grow_but_not_change_its_detector(tmp_path: Path) -> None:
    first = simulate(tmp_path, SMALL).raw_files[0].read_bytes()
    grown = simulate(tmp_path, Options(files=(400, 401), beam=SMALL.beam))
    assert [path.exists() for path in grown.raw_files] == [True, True]
    assert grown.raw_files[0].read_bytes() == first
    with pytest.raises(UsageError, match="another simulation"):
        simulate(tmp_path, Options(files=(400,), beam=SMALL.beam, seed=2))


def test_the_truth_file_holds_the_constants_that_were_drawn(tmp_path: Path) -> None:
    simulated = simulate(tmp_path, SMALL)
    assert yaml.safe_load(simulated.truth.read_text())["constants"] == simulated.constants
