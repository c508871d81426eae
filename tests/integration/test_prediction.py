"""What an iteration predicts is seen in the next one's tracks exactly as far as it got there."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from auto_iter.alignment.judges.arrival import Look, Reading, Response, find
from auto_iter.config.cuts import TrackCuts
from auto_iter.millepede.converting import convert_sources
from auto_iter.millepede.requests import ConvertRequest, SolveRequest, Source
from auto_iter.millepede.results import Prediction, read_solution
from auto_iter.millepede.workflow import solve
from auto_iter.simulation.generation import Beam
from auto_iter.simulation.reconstruct import reconstruct
from auto_iter.simulation.simulate import Options, Simulated, simulate

Constants = dict[str, tuple[float, ...]]

FILES = (400, 401)


@dataclass(frozen=True)
class SolvedStation:
    """A first iteration on the spectrometer of a detector with four stations."""

    simulated: Simulated
    directory: Path

    @property
    def constants(self) -> Constants:
        text = (self.directory / "inputforalign.txt").read_text()
        return {key: tuple(values) for key, values in json.loads(f"{{{text}}}").items()}

    @property
    def prediction(self) -> Prediction:
        prediction = read_solution(self.directory / "solution.json").prediction
        assert prediction is not None
        return prediction


def sources(directory: Path) -> tuple[Source, ...]:
    return tuple(
        Source(
            number=number,
            root=directory / f"{number}.root",
            binary=directory / f"{number}.bin",
            statistics=directory / f"{number}.json",
        )
        for number in FILES
    )


@pytest.fixture(scope="module")
def solved(tmp_path_factory: pytest.TempPathFactory) -> SolvedStation:
    directory = tmp_path_factory.mktemp("predicted")
    options = Options(files=FILES, seed=5, beam=Beam(stations=4, events=300))
    simulated = simulate(directory / "sim", options)
    converted = sources(directory)
    for source, raw in zip(converted, simulated.raw_files, strict=True):
        reconstruct(raw, {}, source.root, with_ift=False)
    convert_sources(ConvertRequest(sources=converted, cuts=TrackCuts(max_residual_mm=1.0)))
    (directory / "start.txt").write_text("")
    solve(
        SolveRequest(
            directory=directory,
            binaries=tuple(source.binary for source in converted),
            statistics=tuple(source.statistics for source in converted),
            previous=directory / "start.txt",
            solver="builtin",
        ),
        {},
    )
    return SolvedStation(simulated, directory)


def look_at(
    solved: SolvedStation, directory: Path, constants: Constants, *, with_ift: bool = False
) -> dict[int, Response]:
    """Reconstruct with `constants` and convert, under a narrower cut than was predicted with."""
    again = sources(directory)
    for source, raw in zip(again, solved.simulated.raw_files, strict=True):
        reconstruct(raw, constants, source.root, with_ift=with_ift)
    records = convert_sources(
        ConvertRequest(
            sources=again,
            cuts=TrackCuts(max_residual_mm=0.1),
            prediction=solved.directory / "solution.json",
        )
    )
    prediction = solved.prediction
    assert {record.predicted_by for record in records} == {prediction.key}
    return {
        record.number: Response(prediction.files[record.number], record.look or Look())
        for record in records
    }


def scaled(constants: Constants, factor: float) -> Constants:
    return {key: tuple(factor * value for value in values) for key, values in constants.items()}


def test_before_it_is_applied_the_residuals_contain_the_change_once(solved: SolvedStation) -> None:
    for look in solved.prediction.files.values():
        assert look.amplitude == pytest.approx(1.0, abs=0.1)
        assert look.curvature > 10_000
        assert look.tracks > 100


@pytest.mark.parametrize(
    ("change", "fraction", "finding"),
    [
        (lambda constants: constants, pytest.approx(1.0, abs=0.05), Reading.ARRIVED),
        (lambda _: {}, pytest.approx(0.0, abs=1e-9), Reading.ABSENT),
        (lambda constants: scaled(constants, -1), pytest.approx(-1.0, abs=0.1), Reading.WRONG),
        (lambda constants: scaled(constants, 0.2), pytest.approx(0.2, abs=0.05), Reading.WRONG),
    ],
    ids=["arrived", "stale", "minus", "a fifth"],
)
def test_the_seen_fraction(
    solved: SolvedStation,
    tmp_path: Path,
    change: Callable[[Constants], Constants],
    fraction: object,
    finding: Reading,
) -> None:
    responses = look_at(solved, tmp_path, change(solved.constants))
    assert {number: each.fraction for number, each in responses.items()} == dict.fromkeys(
        FILES, fraction
    )
    assert {find(each) for each in responses.values()} == {finding}


@pytest.mark.parametrize(
    ("arrives", "fraction"), [(True, 1.0), (False, 0.0)], ids=["arrived", "stale"]
)
def test_hits_of_a_station_that_joins_are_left_out(
    solved: SolvedStation, tmp_path: Path, arrives: bool, fraction: float
) -> None:
    """The interface tracker is not aligned: with it, tracks bend, and residuals are far off."""
    constants = solved.constants if arrives else {}
    for response in look_at(solved, tmp_path, constants, with_ift=True).values():
        assert response.fraction == pytest.approx(fraction, abs=0.05)
        assert response.after.tracks > 0.8 * response.before.tracks


def test_nothing_is_said_when_a_station_is_not_there_any_more(
    solved: SolvedStation, tmp_path: Path
) -> None:
    text = (solved.directory / "solution.json").read_text()
    solution = json.loads(text)
    solution["prediction"]["stations"] = [0, 1, 2, 3]
    (tmp_path / "solution.json").write_text(json.dumps(solution))
    response = look_at(SolvedStation(solved.simulated, tmp_path), tmp_path, {})[FILES[0]]
    assert response.after == Look()
    assert find(response) is Reading.UNTOLD
