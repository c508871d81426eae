"""All batch systems, and which one a configuration means."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from auto_iter.batch.driver import BatchDriver
from auto_iter.batch.htcondor.dagman.driver import DagDriver
from auto_iter.batch.htcondor.driver import HTCondorDriver
from auto_iter.batch.local.driver import LocalDriver
from auto_iter.config.resolve import with_absolute_paths
from auto_iter.config.schema import Config

DRIVERS: tuple[type[BatchDriver], ...] = (HTCondorDriver, LocalDriver)
"""In the order in which `auto` tries them; the last one is there on every machine."""


def driver_of(config: Config, dag_key: str | None = None) -> BatchDriver:
    """Return the driver of the batch system that a resolved configuration names.

    `dag_key`: where DAGMan has the jobs, the key of its DAG.
    """
    if dag_key is not None:
        return DagDriver(config, dag_key)
    chosen = {driver.name: driver for driver in DRIVERS}[config.batch.system]
    return chosen(config)


def resolve_config(config: Config, env: Mapping[str, str]) -> Config:
    """Return `config` with paths absolute and `batch.system` chosen.

    A workspace keeps this form: it means the same from another directory, another day.
    """
    config = with_absolute_paths(config)
    if config.batch.system != "auto":
        return config
    return config.but("batch", system=next(each.name for each in DRIVERS if each.is_set_up(env)))


def system_of(keys: Collection[str]) -> str:
    """Return the name of the batch system that made these keys; without any, the last one's."""
    makers = (each.name for each in DRIVERS if any(map(each.made, keys)))
    return next(makers, DRIVERS[-1].name)
