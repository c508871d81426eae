"""More files than an AFS directory takes entries are refused, there and nowhere else.

What comes near to it while an alignment runs is told before.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.errors import InputError
from auto_iter.workspace import crowded
from auto_iter.workspace.crowded import (
    MOST_FILES,
    NEARLY_FULL,
    SLOTS,
    nearly_full,
    refuse_crowded,
    slots_of,
)


@pytest.mark.parametrize("place", ["/afs/cern.ch/work/u/user/Y2023", "/eos/user/u/user/Y2023"])
def test_so_many_files_fit_everywhere(place: str) -> None:
    refuse_crowded(Path(place), MOST_FILES)


def test_one_more_fits_elsewhere_only() -> None:
    refuse_crowded(Path("/eos/user/u/user/Y2023"), MOST_FILES + 1)
    with pytest.raises(InputError, match="a directory on AFS takes 16000 entries"):
        refuse_crowded(Path("/afs/cern.ch/work/u/user/Y2023"), MOST_FILES + 1)


@pytest.mark.parametrize(
    ("name", "slots"),
    [("reco_00400.log", 1), ("a" * 15, 1), ("a" * 16, 2), ("a" * 47, 2), ("a" * 48, 3)],
)
def test_a_long_name_takes_more_than_one_slot(name: str, slots: int) -> None:
    assert slots_of(name) == slots


@pytest.fixture
def afs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give a directory for which tmp_path is AFS, and of which ten short names are too many."""
    monkeypatch.setattr(crowded, "AFS", tmp_path)
    monkeypatch.setattr(crowded, "SLOTS", 10)
    return tmp_path


def test_names_that_are_there_and_names_to_come_count_once(afs: Path) -> None:
    for number in range(7):
        (afs / f"reco_0040{number}.log").touch()
    assert nearly_full({afs: ["reco_00400.log", "reco_00401.log"]}) == ""
    told = nearly_full({afs: ["reco_00406.log", "reco_00407.log"], afs / "not there": ["a"]})
    assert told.startswith(f"{afs}: 8 entries there or to come soon take 8 of the 10 places")


def test_long_names_fill_it_sooner(afs: Path) -> None:
    names = [f"kfalignment_011705_0040{n}.root" for n in range(4)]
    assert "take 8 of the 10" in nearly_full({afs: names})
    assert nearly_full({afs: names[:3]}) == ""


def test_elsewhere_nothing_is_told(tmp_path: Path) -> None:
    names = map(str, range(100_000, 100_000 + int(NEARLY_FULL * SLOTS)))
    assert nearly_full({tmp_path: names}) == ""
