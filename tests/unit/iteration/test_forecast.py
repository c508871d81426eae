"""What `--dry-run` says of what is ahead."""

from __future__ import annotations

from pathlib import Path

from auto_iter.alignment.model import Stage
from auto_iter.config.schema import Config, Reco
from auto_iter.iteration.forecast import MILLE_MB, OUTPUT_MB, Forecast, Room
from auto_iter.iteration.forecast import forecast as foreseen
from auto_iter.iteration.reconstruction import WorkspaceReconstruction
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.rawfiles import RawRange
from auto_iter.workspace.paths import Workspace

PLACE = Path("/work")


def forecast(*rooms: Room) -> Forecast:
    return Forecast(
        iteration=2, left=9, jobs=50, reco=Reco(), cpus=2, rooms=rooms, is_measured=False
    )


def test_jobs_and_their_requests_are_told() -> None:
    text = forecast().as_text()
    assert "iteration 2: 50 jobs would be submitted" in text
    assert "each job: 2 CPU, 4.0 GB of memory, 8.0 GB of scratch disk" in text
    assert "nothing was written" in text


def test_a_disk_that_is_too_small_is_told() -> None:
    text = forecast(Room(PLACE, 22_500, 30_000), Room(Path("/eos"), 900, 800)).as_text()
    assert "disk for 9 iterations, estimated: 22.5 GB in /work, 30.0 GB free\n" in text
    assert "900 MB in /eos, 800 MB free: too little" in text


def test_a_disk_that_tells_no_size_is_not_judged() -> None:
    assert Room(PLACE, 10, None).in_words == "10 MB in /work"


def two_files(root: Path, **settings: object) -> WorkspaceReconstruction:
    config = Config.model_validate({"batch": {"system": "local"}, **settings})
    strategy, files = load_strategy("3st"), RawRange.parse("400-402")
    return WorkspaceReconstruction(Workspace(root), config, 2023, 11705, files, strategy, 3)


def test_without_an_iteration_it_is_an_estimate_and_nothing_is_made(tmp_path: Path) -> None:
    root = tmp_path / "Y2023"
    ahead = foreseen(two_files(root), Stage(1), 3)
    assert (ahead.jobs, ahead.left, ahead.is_measured) == (2, 3, False)
    assert [room.needed_mb for room in ahead.rooms] == [2 * 3 * (OUTPUT_MB + MILLE_MB)]
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
    ahead = foreseen(mine, Stage(2), 3)
    assert (ahead.jobs, ahead.left, ahead.is_measured) == (1, 2, True)
    assert [room.needed_mb for room in ahead.rooms] == [2 * 2 * 4.0]


def test_outputs_that_lie_elsewhere_are_reckoned_there(tmp_path: Path) -> None:
    elsewhere = tmp_path / "eos"
    mine = two_files(tmp_path / "work/Y2023", paths={"outputs_dir": elsewhere})
    first, other = foreseen(mine, Stage(1), 1).rooms
    assert (first.place, first.needed_mb) == (mine.workspace.root, 2 * MILLE_MB)
    assert other.place.is_relative_to(elsewhere)
    assert other.needed_mb == 2 * OUTPUT_MB
