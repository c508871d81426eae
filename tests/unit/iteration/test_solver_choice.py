"""One alignment has one solver: `auto` is decided once, and a change is told."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.alignment.history import IterationRecord
from auto_iter.config.schema import Config
from auto_iter.errors import InputError, UsageError
from auto_iter.iteration.solver_choice import (
    as_frozen,
    change_in_words,
    frozen,
    refuse_change_by_chance,
)


def config(solver: str = "auto", **paths: object) -> Config:
    return Config.model_validate({"millepede": {"solver": solver}, "paths": paths})


def solved_by(solver: str, by_hand: str | None = None) -> IterationRecord:
    return IterationRecord(
        tracks=1, chi2_ndf=1.0, max_shift_um=0.0, max_rotation_mrad=0.0, max_pull=0.0,
        iteration=1, started_at=0.0, finished_at=1.0, attempts=1, files=1, solver=solver,
        by_hand=by_hand,
    )  # fmt: skip


@pytest.fixture
def with_pede(tmp_path: Path) -> dict[str, str]:
    """Give an environment with a pede on its PATH."""
    program = tmp_path / "pede"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    return {"PATH": str(tmp_path)}


NO_PEDE = {"PATH": "/nowhere"}


def test_auto_means_pede_by_its_path_where_there_is_one(with_pede: dict[str, str]) -> None:
    found, told = frozen(config(), (), with_pede)
    assert found.millepede.solver == "pede"
    assert found.paths.pede_install == Path(with_pede["PATH"]) / "pede"
    assert told is not None


def test_auto_means_the_built_in_one_where_there_is_none() -> None:
    found, _ = frozen(config(), (), NO_PEDE)
    assert found.millepede.solver == "builtin"


def test_auto_means_what_the_iterations_so_far_were_solved_by(with_pede: dict[str, str]) -> None:
    found, _ = frozen(config(), [solved_by("builtin")], with_pede)
    assert found.millepede.solver == "builtin"
    with pytest.raises(InputError, match="no pede on PATH"):
        frozen(config(), [solved_by("pede")], NO_PEDE)


@pytest.mark.parametrize("solver", ["builtin", "pede"])
def test_a_solver_that_was_named_stays(solver: str, with_pede: dict[str, str]) -> None:
    asked = config(solver)
    assert frozen(asked, [solved_by("builtin")], with_pede) == (asked, None)


def test_a_change_that_somebody_asked_for_is_told(with_pede: dict[str, str]) -> None:
    before = [solved_by("builtin")]
    assert change_in_words(config("builtin"), before, with_pede) is None
    assert change_in_words(config("pede"), (), with_pede) is None
    told = change_in_words(config("pede"), before, with_pede)
    assert told == "iterations so far were solved by builtin, the next ones will be by pede"
    refuse_change_by_chance(config("pede"), before, with_pede)


def test_a_change_by_another_path_is_refused(with_pede: dict[str, str]) -> None:
    with pytest.raises(UsageError, match="solved by builtin, the next ones will be by pede"):
        refuse_change_by_chance(config(), [solved_by("builtin")], with_pede)
    with pytest.raises(UsageError, match="solved by pede, the next ones will be by builtin"):
        refuse_change_by_chance(config(), [solved_by("pede")], NO_PEDE)
    refuse_change_by_chance(config(), [solved_by("pede")], with_pede)


def test_what_a_person_solved_by_hand_does_not_count(with_pede: dict[str, str]) -> None:
    history = [solved_by("pede"), solved_by("builtin", by_hand="accepted")]
    refuse_change_by_chance(config(), history, with_pede)


def test_the_same_command_again_means_the_same_solver() -> None:
    there = config("pede", pede_install=Path("/opt/pede"))
    assert as_frozen(config(), there) == there
    other = config("builtin")
    assert as_frozen(other, there) == other
