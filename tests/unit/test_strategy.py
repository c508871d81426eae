from __future__ import annotations

import re
from pathlib import Path

import pytest

from auto_iter.errors import InputError
from auto_iter.millepede.strategy import load_strategy, parse_strategy, strategy_names

MINIMAL = "name: mine\nphases: [{name: one, steps: [{fix: [21, 41]}]}]\n"


def fixed(name: str, phase: int = 0, step: int = 0) -> set[int]:
    strategy = load_strategy(name)
    chosen = strategy.phases[phase].steps[step]
    return {label for label, place in strategy.places.items() if chosen.fixes(place)}


@pytest.mark.parametrize("name", strategy_names())
def test_every_embedded_strategy_is_valid_and_named_as_its_file(name: str) -> None:
    assert load_strategy(name).name == name


def test_the_default_strategy_fixes_reference_layers_then_the_others() -> None:
    first, second = fixed("3st"), fixed("3st", step=1)
    layers = {label for label in load_strategy("3st").places if label < 1000}
    assert first == {211, 212, 213, 214, 215, 411, 412, 413, 414, 415}
    assert second == layers - first


def test_ift_global_moves_the_layers_of_the_ift_alone() -> None:
    free = set(load_strategy("ift-global").places) - fixed("ift-global")
    assert {label // 10 for label in free} == {10, 11, 12}


def test_ift_local_moves_the_modules_of_the_ift_alone() -> None:
    free = set(load_strategy("ift-local").places) - fixed("ift-local")
    assert {label // 10000 for label in free} == {1}
    assert len(free) == 3 * 8 * 3


@pytest.mark.parametrize(
    ("iteration", "phase"),
    [(1, "3ST"), (10, "3ST"), (11, "IFT global"), (20, "IFT global"), (21, "IFT local")],
)
def test_phases_follow_one_another(iteration: int, phase: str) -> None:
    assert load_strategy("3st-ift").phase_for(iteration).name == phase


def test_the_last_phase_goes_on() -> None:
    assert load_strategy("3st-ift").phase_for(1000).name == "IFT local"
    assert load_strategy("3st").phase_for(1000).name == "3ST"
    assert load_strategy("3st-ift").iterations == 30
    assert load_strategy("3st").iterations is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: a\nphazes: []\nphases: [{name: b, steps: [{}]}]", "phazes: unknown key.*'phases'"),
        ("name: a\nphases: [{name: b, steps: [{fix: [3STT]}]}]", "did you mean '3ST'"),
        ("name: a\nstations: [FOO]\nphases: [{name: b, steps: [{}]}]", "no station 'FOO'"),
        ("name: a\nphases: [{name: b, steps: [{fix: [tracker]}]}]", "fixes every parameter"),
        ("name: a\nphases: []", "phases"),
        ("name: a\nphases: [{name: b, steps: []}]", "phases.0.steps"),
        (
            "name: a\nphases: [{name: b, steps: [{}]}, {name: c, steps: [{}]}]",
            "'b' needs `iterations`",
        ),
        (MINIMAL + "labels: {modules: 'off', layers: false}", "switch on"),
        (MINIMAL + "presigmas: {layer: {shift: 0}}", "presigmas.layer.shift"),
        (MINIMAL + "pede: {method: magic 3 1}", "pede.method"),
        ("name: [", "line 2: did not find"),
        ("just words", "file"),
    ],
)
def test_a_wrong_strategy_is_refused_with_key_and_reason(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_strategy(text, "mine.yaml")


def test_a_strategy_is_read_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(MINIMAL)
    assert load_strategy(path).name == "mine"


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'ift-global'"):
        load_strategy("ift-globl")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_strategy("nowhere.yaml")


def test_the_example_of_the_documentation_is_valid() -> None:
    page = (Path(__file__).parents[2] / "docs/strategies.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert parse_strategy(example, "docs").phase_for(6).name == "first"


def test_the_documentation_lists_every_strategy() -> None:
    page = (Path(__file__).parents[2] / "docs/strategies.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)`", page, flags=re.MULTILINE)) == set(strategy_names())
