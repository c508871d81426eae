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
    ("inwards", "auto_iter.config.schema", "auto_iter.workspace.paths"),
    ("inwards", "auto_iter.files", "auto_iter.log"),
    ("inwards", "auto_iter.alignment.model", "auto_iter.workspace.paths"),
    ("inwards", "auto_iter.millepede.solver.builtin", "auto_iter.weakmodes.modes"),
    ("inwards", "auto_iter.batch.local.system", "auto_iter.millepede.strategy.whole"),
    ("inwards", "auto_iter.batch.htcondor.cluster", "states.step"),
    ("inwards", "auto_iter.report.build", "auto_iter.cli.main"),
    ("inwards", "auto_iter.simulation.generation", "auto_iter.iteration.reconstruction"),
    ("inwards", "auto_iter.alignment.snapshot", "auto_iter.millepede.strategy.whole"),
    ("inwards", "states.wait_reco", "auto_iter.daemon.loop"),
    ("chain", "auto_iter.millepede.pede.log", "auto_iter.millepede.solver.log"),
    ("chain", "auto_iter.millepede.mille.file", "auto_iter.millepede.requests"),
    ("chain", "auto_iter.millepede.strategy.parts", "auto_iter.millepede.pede.input"),
    ("light", "auto_iter.daemon.session", "numpy"),
    ("light", "auto_iter.millepede.requests", "auto_iter.millepede.conversion.statistics"),
    ("light", "states.pede", "auto_iter.weakmodes.modes"),
    ("light", "auto_iter.daemon.status", "htcondor2"),
    ("pure", "states.prepare", "auto_iter.workspace.paths"),
    ("pure", "states.mille", "subprocess"),
    ("pure", "states.decisions.held_jobs", "auto_iter.batch.holds"),
    ("pure", "states.wait_reco", "auto_iter.batch.htcondor.ads"),
    ("machine", "auto_iter.daemon.loop", "transitions"),
    ("machine", "states.step", "transitions"),
    ("bindings", "auto_iter.batch.htcondor.system", "htcondor2"),
    ("bindings", "auto_iter.doctor.checks", "classad2"),
    ("plots", "auto_iter.cli.millepede.summary", "matplotlib"),
    ("plots", "auto_iter.cli.constants", "matplotlib"),
]


@pytest.mark.parametrize(
    "name", ["inwards", "chain", "light", "pure", "machine", "bindings", "plots"]
)
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
