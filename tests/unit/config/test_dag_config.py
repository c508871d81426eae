"""The collaboration's config.json: what is taken, and that nothing else is dropped silently."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auto_iter.config.file import load_config
from auto_iter.config.imported import as_yaml, read_dag_config
from auto_iter.config.submit_template import read_submit_template
from auto_iter.errors import UsageError
from auto_iter.millepede.strategy.file import parse_strategy

EXAMPLE = Path(__file__).parents[2] / "data/dag_config/config.json"


def changed(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    tree = json.loads(EXAMPLE.read_text())
    change(tree)
    file = tmp_path / "config.json"
    file.write_text(json.dumps(tree))
    return file


def test_what_maps_is_taken() -> None:
    imported = read_dag_config(EXAMPLE)
    assert " ".join(imported.run) == "-y 2023 -r 11705 -f 400-403 --fourst -i 3"
    assert imported.settings == {
        "reco": {
            "output_level": "INFO",
            "program": "@HERE@/scripts/faser_reco_alignment.py",
            "writer": "@HERE@/scripts/templates/WriteAlignmentConfig_Faser04.py",
            "asetup_input": "@HERE@/install/asetup.faser",
        },
        "paths": {
            "work_dir": "@HERE@/data",
            "calypso_install": "@HERE@/install",
            "pede_install": "@HERE@/pede",
        },
        "alignment": {
            "initial_constants": "@HERE@/scripts/templates/align_2022_3ST.txt",
        },
    }


def test_the_workflow_is_a_strategy() -> None:
    content = read_dag_config(EXAMPLE).strategy
    assert content is not None
    strategy = parse_strategy(as_yaml(content), "imported")
    phases = [(phase.name, phase.iterations, len(phase.steps)) for phase in strategy.phases]
    assert phases == [
        ("spectrometer", 1, 2),
        ("interface tracker, layers", 1, 1),
        ("interface tracker, modules", 1, 1),
    ]
    # A layer's number means its modules too, there.
    assert strategy.phases[0].steps[0].fix == ("IFT", "21", "21_side", "41", "41_side")
    assert strategy.phases[1].steps[0].fix == ("local", "3ST")


def test_every_key_is_taken_or_named(tmp_path: Path) -> None:
    file = changed(tmp_path, lambda tree: tree["raw"].update(colour="red"))
    remarks = read_dag_config(file).remarks
    assert [remark.partition(":")[0] for remark in remarks] == [
        "raw.iters", "raw.format", "dag", "data.config", "data.initial", "data.iter",
        "tpl.recosub", "tpl.recoexe", "tpl.millesub", "tpl.milleexe", "env.root", "raw.colour",
    ]  # fmt: skip
    assert remarks[0] == "raw.iters: is 15; the sets' 3 are taken"


def test_what_the_jobs_ask_for_is_taken_from_the_template_of_their_submit_description(
    tmp_path: Path,
) -> None:
    (tmp_path / "reco.sub.tpl").write_text(
        "executable = {exe_path}\nrequest_cpus = 2\nrequest_memory = 4 GB\nrequest_disk = 8 GB\n"
        '+JobFlavour = "workday"\nmax_retries = 3\nlog = {log_path}\n'
        'requirements = (Machine =!= LastRemoteHost) && (OpSysAndVer =?= "AlmaLinux9")\n'
        "arguments = {year} {run}\nqueue\n"
    )
    imported = read_dag_config(
        changed(tmp_path, lambda tree: tree["tpl"].update(dir=str(tmp_path)))
    )
    assert imported.settings["htcondor"] == {
        "request_cpus": 2,
        "job_flavour": "workday",
        "max_retries": 3,
        "requirements": '(Machine =!= LastRemoteHost) && (OpSysAndVer =?= "AlmaLinux9")',
    }
    assert imported.settings["reco"]["memory_mb"] == 4096
    assert imported.settings["reco"]["disk_mb"] == 8192
    assert not any(remark.startswith("tpl.recosub") for remark in imported.remarks)


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ("request_memory = 2500", {"reco": {"memory_mb": 2500}}),
        ("request_disk = 2097152", {"reco": {"disk_mb": 2048}}),
        ("Request_Disk=2GB", {"reco": {"disk_mb": 2048}}),
        ("request_memory = $(memory)", {}),
        ("request_cpus = {cpus}", {}),
        ('MY.JobFlavour = "tomorrow"', {"htcondor": {"job_flavour": "tomorrow"}}),
        ('+JobFlavour = "brunch"', {}),
        ("requirements =", {}),
    ],
)
def test_of_a_template_plain_values_are_taken(
    tmp_path: Path, line: str, taken: dict[str, dict[str, object]]
) -> None:
    (tmp_path / "reco.sub.tpl").write_text(f"{line}\n")
    assert read_submit_template(tmp_path / "reco.sub.tpl") == taken


def test_a_set_may_have_stations_of_its_own(tmp_path: Path) -> None:
    content = read_dag_config(
        changed(tmp_path, lambda tree: tree["workflow"]["set0"].update(reco=3))
    ).strategy
    assert content is not None
    strategy = parse_strategy(as_yaml(content), "imported")
    assert [phase.reco_stations for phase in strategy.phases] == [3, None, None]


def test_without_a_workflow_the_iterations_are_those_of_raw(tmp_path: Path) -> None:
    imported = read_dag_config(changed(tmp_path, lambda tree: tree.pop("workflow")))
    assert imported.strategy is None
    assert imported.run[-2:] == ["-i", "15"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda tree: tree["raw"].update(year=True), "raw.year: True is not"),
        (lambda tree: tree["raw"].update(year="x"), "year 'x'"),
        (lambda tree: tree["raw"].update(files=[1]), "raw.files: [1] is not"),
        (lambda tree: tree["raw"].update(stations=5), "raw.stations: 5 is neither"),
        (lambda tree: tree["workflow"]["set0"].update(iters=0), "set0.iters: needs a number"),
        (lambda tree: tree["workflow"]["set0"].update(pede={}), "set0.pede: has no step"),
        (lambda tree: tree["workflow"]["set0"]["pede"].update(step0="IFT"), "step0: 'IFT' is not"),
        (lambda tree: tree["env"].update(pede=3), "env.pede: 3 is not"),
        (lambda tree: tree.pop("raw"), "has no sections raw"),
    ],
)
def test_what_does_not_belong_there_is_one_line(
    tmp_path: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read_dag_config(changed(tmp_path, change))
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_taken_for_a_configuration_it_says_how_to_take_it_over() -> None:
    with pytest.raises(UsageError, match=r"auto-iter config import .*config\.json auto_iter\.yaml"):
        load_config(EXAMPLE)
