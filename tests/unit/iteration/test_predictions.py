"""What a workspace's solutions predict, and which conversions were looked at for it."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path

import pytest

from auto_iter.alignment.arguments import Arguments
from auto_iter.alignment.judges.arrival import Look, Response
from auto_iter.alignment.model import Stage
from auto_iter.config.schema import Config
from auto_iter.files import digest
from auto_iter.iteration.chain import Chain
from auto_iter.iteration.workers import Workers
from auto_iter.millepede.strategy.file import load_strategy
from auto_iter.workspace.paths import Iteration, Workspace

RUN = 11705
SECOND = Stage(2, 0, 2)
CONSTANTS = '"10": [0.1, 0, 0, 0, 0, 0]'
BEFORE, AFTER = Look(100.0, 100.0, tracks=50), Look(1.0, 101.0, tracks=50)


def iteration(root: Path, number: int) -> Iteration:
    return Workspace(root).iteration(number, RUN)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Return a workspace: iteration 1 solved, file 400 of iteration 2 reconstructed."""
    for number in (1, 2):
        paths = iteration(tmp_path, number)
        for directory in (paths.reco, paths.kfalignment, paths.mille):
            directory.mkdir(parents=True)
    prediction = {
        "key": "k1",
        "constants": digest(CONSTANTS.encode()),
        "files": {"400": asdict(BEFORE)},
    }
    iteration(tmp_path, 1).solution.write_text(json.dumps({"prediction": prediction}))
    second = iteration(tmp_path, 2)
    second.constants.write_text(CONSTANTS)
    second.output(400).write_bytes(b"tracks")
    return tmp_path


def converted(root: Path, **changes: object) -> None:
    paths = iteration(root, 2)
    paths.mille_binary(400).write_bytes(b"records")
    status = paths.output(400).stat()
    cuts = Config().millepede.cuts.model_dump(mode="json") | {"max_residual_mm": 0.05}
    record = {
        "number": 400,
        "source": {"size": status.st_size, "mtime_ns": status.st_mtime_ns},
        "error": None,
        "cuts": cuts,
        "labels": asdict(load_strategy("3st").labels),
        "predicted_by": "k1",
        "look": asdict(AFTER),
    }
    paths.mille_statistics(400).write_text(json.dumps(record | changes))


def chain(root: Path) -> Chain:
    arguments = Arguments(year=2023, run=RUN, files="400-403", iterations=2)
    workers = Workers(Workspace(root), os.environ)
    return Chain(Workspace(root), arguments, load_strategy("3st"), Config(), workers)


def is_taken_as_converted(root: Path) -> bool:
    asked = chain(root)
    done = asked.convert(SECOND, [400]).converted == {400}
    asked.stop()
    return done


def test_the_response_is_what_was_seen_before_and_after(root: Path) -> None:
    converted(root)
    assert chain(root).responses(SECOND, [400, 401]) == {400: Response(BEFORE, AFTER)}
    assert is_taken_as_converted(root)


@pytest.mark.parametrize("changes", [{"predicted_by": ""}, {"predicted_by": "k0"}])
def test_a_conversion_that_looked_for_something_else_is_made_again(
    root: Path, changes: dict[str, object]
) -> None:
    converted(root, **changes)
    assert not is_taken_as_converted(root)
    assert chain(root).responses(SECOND, [400]) == {}


@pytest.mark.parametrize("left", [{}, {"prediction": None}])
def test_a_solution_that_predicts_nothing_asks_for_nothing(
    root: Path, left: dict[str, object]
) -> None:
    iteration(root, 1).solution.write_text(json.dumps(left))
    converted(root, predicted_by="", look=None)
    assert is_taken_as_converted(root)
    assert chain(root).responses(SECOND, [400]) == {}


def test_the_first_iteration_has_nothing_to_show(root: Path) -> None:
    assert chain(root).responses(Stage(1), [400]) == {}


def test_constants_that_a_person_changed_are_not_those_of_the_solution(root: Path) -> None:
    converted(root)
    iteration(root, 2).constants.write_text(CONSTANTS.replace("0.1", "0.2"))
    assert chain(root).responses(SECOND, [400]) == {}


def test_a_solution_that_is_made_anew_is_read_anew(root: Path) -> None:
    converted(root)
    asked = chain(root)
    assert asked.responses(SECOND, [400])
    solution = iteration(root, 1).solution
    solution.write_text(solution.read_text().replace('"k1"', '"k2 and longer"'))
    assert asked.responses(SECOND, [400]) == {}
