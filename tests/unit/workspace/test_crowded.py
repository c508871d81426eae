"""More files than an AFS directory takes entries are refused, there and nowhere else."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.errors import InputError
from auto_iter.workspace.crowded import MOST_FILES, refuse_crowded


@pytest.mark.parametrize("place", ["/afs/cern.ch/work/u/user/Y2023", "/eos/user/u/user/Y2023"])
def test_so_many_files_fit_everywhere(place: str) -> None:
    refuse_crowded(Path(place), MOST_FILES)


def test_one_more_fits_elsewhere_only() -> None:
    refuse_crowded(Path("/eos/user/u/user/Y2023"), MOST_FILES + 1)
    with pytest.raises(InputError, match="a directory on AFS takes 16000 entries"):
        refuse_crowded(Path("/afs/cern.ch/work/u/user/Y2023"), MOST_FILES + 1)
