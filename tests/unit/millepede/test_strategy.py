from __future__ import annotations

import re
from pathlib import Path

import pytest

from auto_iter.alignment.model import Stage
from auto_iter.config.cuts import Cuts
from auto_iter.config.shipped import shipped_names
from auto_iter.errors import InputError
from auto_iter.millepede.strategy.file import load_strategy, parse_strategy
from auto_iter.millepede.strategy.parts import Pede

MINIMAL = "name: mine\nphases: [{name: one, steps: [{fix: [21, 41]}]}]\n"


def fixed(name: str, phase: int = 0, step: int = 0) -> set[int]:
    strategy = load_strategy(name)
    chosen = strategy.phases[phase].steps[step]
    return {label for label, place in strategy.places.items() if chosen.fixes(place)}


@pytest.mark.parametrize("name", shipped_names("strategies"))
def test_every_embedded_strategy_is_valid_and_named_as_its_file(name: str) -> None:
    assert load_strategy(name).name == name


def test_the_default_strategies_free_everything_and_have_a_prior_for_it() -> None:
    for name in ("3st", "4st"):
        strategy = load_strategy(name)
        assert not fixed(name)
        assert strategy.presigmas is None
        for place in strategy.places.values():
            assert strategy.prior_sigma(strategy.phases[0], place) is not None


def test_of_several_rules_for_a_prior_the_last_one_counts() -> None:
    strategy = load_strategy("4st")
    phase, places = strategy.phases[0], strategy.places
    assert strategy.prior_sigma(phase, places[101]) == 2.0
    assert strategy.prior_sigma(phase, places[105]) == 0.05
    assert strategy.prior_sigma(phase, places[201]) == 0.3


@pytest.mark.parametrize("name", ["4st", "3st-ift"])
def test_tilts_of_the_ift_are_held_or_they_would_swing(name: str) -> None:
    strategy = load_strategy(name)
    phase, places = strategy.phases[-1], strategy.places
    assert {strategy.prior_sigma(phase, places[label]) for label in (103, 104)} == {0.003}


@pytest.mark.parametrize(
    ("text", "stations"),
    [
        (MINIMAL, 3),
        (MINIMAL + "stations: [IFT, 3ST]", 4),
        ("name: a\nphases: [{name: b, reco_stations: 4, steps: [{}]}]", 4),
        ("name: a\nstations: [IFT, 3ST]\nphases: [{name: b, steps: [{fix: [IFT]}]}]", 3),
    ],
)
def test_a_strategy_needs_the_ift_when_it_moves_or_reconstructs_it(
    text: str, stations: int
) -> None:
    assert parse_strategy(text, "mine").needs_ift is (stations == 4)


def test_ift_global_moves_the_layers_of_the_ift_alone() -> None:
    free = set(load_strategy("ift-global").places) - fixed("ift-global")
    assert {label // 10 for label in free} == {10, 11, 12}


def test_ift_local_moves_the_modules_of_the_ift_alone() -> None:
    free = set(load_strategy("ift-local").places) - fixed("ift-local")
    assert {label // 10000 for label in free} == {1}
    assert len(free) == 3 * 8 * 3


@pytest.mark.parametrize(
    ("iteration", "phase"),
    [(1, "3ST"), (10, "3ST"), (11, "IFT"), (20, "IFT")],
)
def test_phases_follow_one_another(iteration: int, phase: str) -> None:
    strategy = load_strategy("3st-ift")
    stage = strategy.planned(iteration)
    assert strategy.phases[stage.phase].name == phase
    assert (stage.iteration, stage.within) == (iteration, (iteration - 1) % 10 + 1)


def test_the_last_phase_goes_on() -> None:
    assert load_strategy("3st-ift").planned(1000) == Stage(1000, 1, 990)
    assert load_strategy("3st").planned(1000) == Stage(1000, 0, 1000)
    assert load_strategy("3st-ift").iterations == 20
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
        (MINIMAL + "prior: {laier: {shift: 1}}", "prior.*did you mean 'layer'"),
        (MINIMAL + "prior: {layer: {shift: -1}}", "prior"),
        (MINIMAL + "labels: {modules: all}\nconstraints: [module_y]", "module_y needs"),
        (
            "name: a\nstations: [IFT]\nphases: [{name: b, reco_stations: 3, steps: [{}]}]",
            "'b' frees the IFT",
        ),
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


def test_a_solution_in_one_step_keeps_what_else_it_is() -> None:
    once = Pede(method="diagonalization 3 0.01", options=("threads 2",)).in_one_step()
    assert once.method == "diagonalization 1 0.01"
    assert once.options == ("threads 2", "linesearch 0")
    assert once.hugecut == Pede().hugecut


@pytest.mark.parametrize("option", ["chisqcut 30. 6.", "outlierdownweighting 3"])
def test_what_needs_iterations_is_not_solved_in_one_step(option: str) -> None:
    pede = Pede(options=(option,))
    assert pede.in_one_step() == pede


def test_a_misspelt_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'ift-global'"):
        load_strategy("ift-globl")


def test_a_missing_file_is_named() -> None:
    with pytest.raises(InputError, match=r"nowhere\.yaml"):
        load_strategy("nowhere.yaml")


def test_the_example_of_the_documentation_is_valid() -> None:
    page = (Path(__file__).parents[3] / "docs/strategies.md").read_text()
    (example,) = re.findall(r"```yaml\n(.*?)```", page, flags=re.DOTALL)
    assert parse_strategy(example, "docs").planned(6) == Stage(6, 1, 1)


def test_the_documentation_lists_every_strategy() -> None:
    page = (Path(__file__).parents[3] / "docs/strategies.md").read_text()
    assert set(re.findall(r"^\| `([\w-]+)`", page, flags=re.MULTILINE)) == set(
        shipped_names("strategies")
    )


def test_a_cut_of_a_phase_that_is_null_is_not_said() -> None:
    text = MINIMAL.replace("{name: one,", "{name: one, cuts: {max_chi2: null, min_hits: 9},")
    phase = parse_strategy(text, "mine").phases[0]
    assert phase.cuts.model_fields_set == {"min_hits"}
    assert Cuts(max_chi2=7.0).changed_by(phase.cuts) == Cuts(max_chi2=7.0, min_hits=9)
