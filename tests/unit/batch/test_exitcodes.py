from __future__ import annotations

import re
from importlib.resources import files

import pytest

from auto_iter.batch.exitcodes import EXIT_CODES, SAME_FOR_EVERY_FILE, describe_exit


def test_every_code_that_the_scripts_give_is_in_the_table() -> None:
    job = files("conf").joinpath("job")
    texts = [job.joinpath(name).read_text() for name in ("run_alignment.sh", "aligndb_copy.sh")]
    given = {int(code) for text in texts for code in re.findall(r"(?:give_up|exit) (\d+)", text)}
    assert given | {0} == set(EXIT_CODES)


def test_codes_that_are_the_same_for_every_file_are_codes_of_the_scripts() -> None:
    assert set(EXIT_CODES) > SAME_FOR_EVERY_FILE


@pytest.mark.parametrize(
    ("code", "signal", "said"),
    [
        (12, None, "exit code 12: the raw file cannot be read; check paths.raw_dir"),
        (0, None, "exit code 0: the output was delivered"),
        (99, None, "exit code 99, which is not one of the job script's"),
        (137, None, "exit code 137: killed by signal 9"),
        (None, 9, "killed by signal 9"),
        (None, None, "ended without an exit code"),
    ],
)
def test_an_exit_is_described(code: int | None, signal: int | None, said: str) -> None:
    assert describe_exit(code, signal).startswith(said)
