"""Which stations, strategy and number of iterations an alignment gets from what was typed."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.alignment.arguments import Arguments
from auto_iter.cli.main import build_parser
from auto_iter.cli.run import alignment_arguments, alignment_config
from auto_iter.config.schema import Config
from auto_iter.errors import InputError
from auto_iter.iteration.chain import check_chain
from auto_iter.millepede.strategy.file import load_strategy


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def typed(*words: str) -> tuple[Config, Arguments]:
    """Return configuration and arguments of `auto-iter run … WORDS`."""
    parsed = build_parser("run").parse_args(
        ["run", "-y", "2023", "-r", "11705", "-f", "400", *words]
    )
    config = alignment_config(parsed)
    return config, alignment_arguments(parsed, config, parsed.iterations)


@pytest.mark.parametrize(
    ("words", "strategy", "stations", "iterations"),
    [
        ((), "3st", 3, 10),
        (("--threest",), "3st", 3, 10),
        (("--fourst",), "4st", 4, 10),
        (("--strategy", "3st-ift"), "3st-ift", 4, 20),
        (("--strategy", "3st-ift", "-i", "5"), "3st-ift", 4, 5),
        (("--strategy", "ift-global"), "ift-global", 4, 10),
        (("--set", "alignment.strategy=4st"), "4st", 4, 10),
        (("--set", "alignment.default_iterations=3"), "3st", 3, 3),
    ],
)
def test_what_is_not_typed_follows_from_what_is(
    words: tuple[str, ...], strategy: str, stations: int, iterations: int
) -> None:
    config, arguments = typed(*words)
    assert config.alignment.strategy == strategy
    assert (arguments.stations, arguments.iterations) == (stations, iterations)
    check_chain(arguments, load_strategy(strategy), config, {"PATH": "/nowhere"})


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--fourst", "--strategy", "3st"), "leaves out the IFT.*--strategy 4st"),
        (("--threest", "--strategy", "4st"), "aligns the IFT, which needs 4 stations.*--fourst"),
    ],
)
def test_stations_that_a_strategy_is_not_made_for_are_refused(
    words: tuple[str, ...], message: str
) -> None:
    config, arguments = typed(*words)
    strategy = load_strategy(config.alignment.strategy)
    with pytest.raises(InputError, match=message):
        check_chain(arguments, strategy, config, {"PATH": "/nowhere"})
