"""What `--dry-run` says of what is ahead."""

from __future__ import annotations

from pathlib import Path

from auto_iter.alignment.model import Stage
from auto_iter.config.schema import Config
from auto_iter.iteration.forecast import MILLE_MB, OUTPUT_MB, forecast, room
from auto_iter.iteration.reconstruction import WorkspaceReconstruction
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.rawfiles import RawRange
from auto_iter.workspace.paths import Workspace

PLACE = Path("/work")


def test_a_disk_that_is_too_small_is_told() -> None:
    assert room(PLACE, 22_500, 30_000) == "22.5 GB in /work, 30.0 GB free"
    assert room(Path("/eos"), 900, 800) == "900 MB in /eos, 800 MB free: too little"


def test_a_disk_that_tells_no_size_is_not_judged() -> None:
    assert room(PLACE, 10, None) == "10 MB in /work"


def two_files(root: Path, **settings: object) -> WorkspaceReconstruction:
    config = Config.model_validate({"batch": {"system": "local"}, **settings})
    strategy, files = load_strategy("3st"), RawRange.parse("400-402")
    return WorkspaceReconstruction(Workspace(root), config, 2023, 11705, files, strategy, 3)


def test_without_an_iteration_it_is_an_estimate_and_nothing_is_made(tmp_path: Path) -> None:
    root = tmp_path / "Y2023"
    jobs, each, disk, end = forecast(two_files(root), Stage(1), 3).splitlines()
    assert jobs == "iteration 1: 2 jobs would be submitted"
    assert each == "each job: 1 CPU, 4.0 GB of memory, 8.0 GB of scratch disk"
    needed_mb = 2 * 3 * (OUTPUT_MB + MILLE_MB)
    assert disk.startswith(f"disk for 3 iterations, estimated: {needed_mb:.0f} MB in {root}, ")
    assert end == "nothing was written or submitted"
    assert not root.exists()


def test_later_it_is_as_in_the_iteration_before(tmp_path: Path) -> None:
    mine = two_files(tmp_path)
    paths = mine.workspace.iteration(1, 11705)
    for path, size in ((paths.output(400), 3_000_000), (paths.mille_binary(400), 1_000_000)):
        path.parent.mkdir(parents=True)
        path.write_bytes(bytes(size))
    now = mine.workspace.iteration(2, 11705).output(401)
    now.parent.mkdir(parents=True)
    now.touch()
    ahead = forecast(mine, Stage(2), 3)
    assert "iteration 2: 1 jobs would be submitted" in ahead
    assert f"disk for 2 iterations, as in the one before: {2 * 2 * 4} MB in {tmp_path}," in ahead


def test_outputs_that_lie_elsewhere_are_reckoned_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "eos"
    mine = two_files(tmp_path / "work/Y2023", paths={"outputs_dir": elsewhere})
    *_, here, there, _end = forecast(mine, Stage(1), 1).splitlines()
    ahead = "disk for 1 iteration, estimated: "
    assert here.startswith(f"{ahead}{2 * MILLE_MB:.0f} MB in {mine.workspace.root}, ")
    assert there.startswith(f"{ahead}{2 * OUTPUT_MB:.0f} MB in {elsewhere}/")
