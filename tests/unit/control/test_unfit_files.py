"""Which raw files a person may leave out: never all that the fit is made of."""

from __future__ import annotations

import pytest

from auto_iter.control.raw_files import RawFile, refuse_unfit
from auto_iter.errors import UsageError

FILES = (
    RawFile(400, "reconstructed"),
    RawFile(401, "reconstructed", held_out=True),
    RawFile(402, "left out"),
)


def test_a_held_out_file_may_go_and_says_what_it_is() -> None:
    refuse_unfit(FILES, (401,), skip=True)
    assert FILES[1].words == "00401  reconstructed   held out of the fit"


def test_the_last_one_of_the_fit_stays() -> None:
    with pytest.raises(UsageError, match="no raw file of the fit would be left"):
        refuse_unfit(FILES, (400,), skip=True)
