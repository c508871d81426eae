"""Which batch system a configuration means, and that each one that can be named has a driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from auto_iter.batch.registry import DRIVERS, driver_of, resolve_config, system_of
from auto_iter.config.batch import BatchChoice
from auto_iter.config.schema import Config
from auto_iter.errors import InputError

NAMES = {driver.name for driver in DRIVERS}


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_batch_system_can_be_configured(name: str) -> None:
    assert BatchChoice.model_validate({"system": name}).system == name
    assert driver_of(Config().but("batch", system=name)).name == name


def test_no_batch_system_can_be_configured_that_has_no_driver() -> None:
    with pytest.raises(ValueError, match="system") as refused:
        BatchChoice.model_validate({"system": "pigeons"})
    assert all(name in str(refused.value) for name in NAMES)
    assert str(refused.value).count("'") // 2 == len(NAMES | {"auto", "pigeons"})


def test_auto_is_htcondor_where_that_is_configured(tmp_path: Path) -> None:
    there, elsewhere = tmp_path / "condor_config", tmp_path / "gone"
    there.touch()
    for place, name in ((there, "htcondor"), (elsewhere, "local")):
        if name == "local" and Path("/etc/condor/condor_config").exists():
            continue
        assert resolve_config(Config(), {"CONDOR_CONFIG": str(place)}).batch.system == name
    asked_for = Config().but("batch", system="local")
    assert resolve_config(asked_for, {"CONDOR_CONFIG": str(there)}).batch.system == "local"


def test_a_machine_without_htcondor_is_refused_by_htcondor_only() -> None:
    if Path("/etc/condor/condor_config").exists():
        pytest.skip("HTCondor is configured here")
    driver_of(Config().but("batch", system="local")).refuse_machine({})
    with pytest.raises(InputError, match="HTCondor is not configured on this machine"):
        driver_of(Config().but("batch", system="htcondor")).refuse_machine({})


@pytest.mark.parametrize(
    ("keys", "name"), [((), "local"), (("w-01-01",), "local"), (("w-01-01@bird07",), "htcondor")]
)
def test_whose_keys_they_are_is_seen_without_a_configuration(
    keys: tuple[str, ...], name: str
) -> None:
    assert system_of(keys) == name
