"""The collaboration's own chain, number for number: its tools around real pede made the files."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from auto_iter.detector.constants import (
    accumulate,
    changes,
    format_constants,
    parse_constants,
    read_constants,
)
from auto_iter.millepede.conversion.statistics import LayerResiduals, Statistics
from auto_iter.millepede.evidence.hits import Evidence
from auto_iter.millepede.pede.input import Knowledge
from auto_iter.millepede.pede.program import RunLimits
from auto_iter.millepede.solving import Engine
from auto_iter.millepede.steering.reader import Binary
from auto_iter.millepede.steps import run_steps
from auto_iter.millepede.strategy.file import load_strategy

DATA = Path(__file__).parents[2] / "data"
PRODUCTION = DATA / "production"


def constants_after(  # noqa: PLR0917
    work: Path,
    binary: Path,
    previous: Path,
    strategy_name: str,
    stations: tuple[int, ...],
    phase: int = 0,
) -> str:
    """Return the text of the constants that one iteration of a strategy's phase leads to."""
    strategy = load_strategy(strategy_name)
    engine = Engine(None, {}, RunLimits(60.0, 1e6))
    before = read_constants(previous)
    layers = {f"{station + 1}0": LayerResiduals() for station in stations}
    evidence = Evidence(Statistics(layers=layers))
    steps = run_steps(
        work,
        [Binary(binary, fortran=False)],
        strategy,
        strategy.phases[phase],
        evidence,
        Knowledge({}, before),
        engine,
    )
    moved = changes(steps.merged.values(), strategy.labels, steps.covariance)
    return format_constants(accumulate(before, moved))


def assert_same_result(ours: Path, theirs: Path) -> None:
    """Compare every printed digit; a line of both is shown where they differ."""
    assert ours.read_text().splitlines() == theirs.read_text().splitlines()


@pytest.mark.parametrize("tracks", ["clean", "dirty"])
def test_the_spectrometer_comes_out_as_the_collaborations_chain_has_it(
    tmp_path: Path, tracks: str
) -> None:
    source = DATA / "kfalignment" / tracks
    text = constants_after(
        tmp_path, source / "mp2input.bin", source / "previous.txt", "3st-production", (1, 2, 3)
    )
    assert text == (PRODUCTION / tracks / "inputforalign.txt").read_text()
    for step in ("step0", "step1"):
        expected = PRODUCTION / tracks / f"{step}.res"
        assert_same_result(tmp_path / step / "millepede.res", expected)


@pytest.mark.parametrize(("moving", "phase"), [("global", 1), ("local", 2)])
def test_the_interface_tracker_comes_out_as_the_collaborations_chain_has_it(
    tmp_path: Path, moving: str, phase: int
) -> None:
    source = PRODUCTION / "ift"
    binary = tmp_path / "mp2input.bin"
    binary.write_bytes(gzip.decompress((source / "mp2input.bin.gz").read_bytes()))
    text = constants_after(
        tmp_path, binary, source / "previous.txt", "programme-2025", (0, 1, 2, 3), phase
    )
    assert text == (source / f"{moving}.txt").read_text()
    assert_same_result(tmp_path / "step0" / "millepede.res", source / f"{moving}.res")


def test_the_whole_programme_begins_with_the_spectrometer(tmp_path: Path) -> None:
    source = DATA / "kfalignment/clean"
    text = constants_after(
        tmp_path, source / "mp2input.bin", source / "previous.txt", "programme-2025", (1, 2, 3)
    )
    parts = (parse_constants(text), read_constants(PRODUCTION / "clean/inputforalign.txt"))
    # The programme's files name the IFT, too: its constants are there, and 0.
    moved, expected = ({key: c for key, c in part.items() if any(c)} for part in parts)
    assert moved == expected
    assert [phase.reco_stations for phase in load_strategy("programme-2025").phases] == [3, 4, 4]
    assert load_strategy("programme-2025").iterations == 45
