"""The import contracts: nothing is left out of them, and each refuses what it is there for."""

from __future__ import annotations

from copy import deepcopy
from functools import cache
from pathlib import Path

import grimp
import pytest
from importlinter import Contract, configuration
from importlinter.application.use_cases import read_user_options
from importlinter.contracts.forbidden import ForbiddenContract
from importlinter.contracts.layers import LayersContract

from auto_iter import __file__ as package

KINDS = {"layers": LayersContract, "forbidden": ForbiddenContract}


@cache
def contracts() -> dict[str, Contract]:
    configuration.configure()
    options = read_user_options(str(Path(__file__).parents[2] / "setup.cfg"))
    return {
        each["id"]: KINDS[each["type"]](each["name"], options.session_options, each)
        for each in options.contracts_options
    }


@cache
def graph() -> grimp.ImportGraph:
    return grimp.build_graph("auto_iter", "states", include_external_packages=True, cache_dir=None)


PLANTED = [
    ("inwards", "auto_iter.config", "auto_iter.workspace"),
    ("inwards", "auto_iter.files", "auto_iter.log"),
    ("inwards", "auto_iter.model", "auto_iter.millepede.labels"),
    ("inwards", "auto_iter.millepede.solver", "auto_iter.report.modes"),
    ("inwards", "auto_iter.batch.local", "auto_iter.millepede.strategy"),
    ("inwards", "auto_iter.batch.htcondor.cluster", "states.step"),
    ("inwards", "auto_iter.report.build", "auto_iter.cli.main"),
    ("inwards", "auto_iter.simulation.generation", "auto_iter.reconstruction"),
    ("inwards", "auto_iter.snapshot", "auto_iter.checkpoint"),
    ("inwards", "states.wait_reco", "auto_iter.daemon"),
    ("light", "auto_iter.session", "numpy"),
    ("light", "states.pede", "auto_iter.report.modes"),
    ("light", "auto_iter.status", "htcondor2"),
    ("pure", "states.prepare", "auto_iter.workspace"),
    ("pure", "states.mille", "subprocess"),
    ("pure", "states.held_jobs", "auto_iter.batch.htcondor.holds"),
    ("machine", "auto_iter.daemon", "transitions"),
    ("machine", "states.step", "transitions"),
    ("bindings", "auto_iter.batch.htcondor.system", "htcondor2"),
    ("bindings", "auto_iter.doctor", "classad2"),
    ("plots", "auto_iter.millepede.summary", "matplotlib"),
    ("plots", "auto_iter.cli.constants", "matplotlib"),
]


@pytest.mark.parametrize("name", ["inwards", "light", "pure", "machine", "bindings", "plots"])
def test_each_contract_is_kept(name: str) -> None:
    assert contracts()[name].check(deepcopy(graph()), verbose=False).kept


@pytest.mark.parametrize(("name", "importer", "imported"), PLANTED)
def test_an_import_that_should_not_be_is_refused(name: str, importer: str, imported: str) -> None:
    planted = deepcopy(graph())
    assert importer in planted.modules
    if imported not in planted.modules:
        planted.add_module(imported, is_squashed=True)
    planted.add_import(
        importer=importer, imported=imported, line_number=1, line_contents=f"import {imported}"
    )
    assert not contracts()[name].check(planted, verbose=False).kept


def test_nothing_of_the_top_is_left_out_of_the_layers() -> None:
    there = {
        f"auto_iter.{path.stem}"
        for path in Path(str(package)).parent.iterdir()
        if path.suffix == ".py" or (path / "__init__.py").exists()
    } - {"auto_iter.__init__"}
    options = contracts()["inwards"].contract_options["layers"]
    listed = {name.strip() for line in options for name in line.split("|")}
    assert listed == there | {"states"}
