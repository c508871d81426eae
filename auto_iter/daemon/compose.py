"""The composition root: a workspace's parts, put together. The only place that chooses."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from auto_iter.alignment.policy import Policy
from auto_iter.batch.driver import BatchDriver, Home
from auto_iter.batch.registry import driver_of
from auto_iter.config.schema import Reco
from auto_iter.daemon.lifecycle import Opened, reconstruction, the_strategy
from auto_iter.daemon.signals import SystemClock, never
from auto_iter.iteration.chain import Chain
from auto_iter.iteration.workers import Workers
from auto_iter.millepede.strategy.plan import plan_of
from states.step import Ports


@dataclass(frozen=True)
class Parts:
    """What a daemon runs on."""

    ports: Ports
    chain: Chain


@contextmanager
def composed(
    opened: Opened, should_stop: Callable[[], bool] = never, patience_s: float | None = None
) -> Iterator[Parts]:
    """Give the parts for one workspace; their processes and descriptors end with it, no job does.

    Calls to a batch system give up when `should_stop`, and after `patience_s` where a person waits.
    """
    driver, clock, chain = _driver(opened), SystemClock(), chain_of(opened)
    prefix = opened.workspace.key_prefix(opened.snapshot.workspace_id)
    home = Home(prefix, opened.workspace.batch_records, clock)
    with ExitStack() as resources:
        resources.callback(chain.stop)
        ports = Ports(
            batch=resources.enter_context(driver.opened(home, should_stop, patience_s)),
            reconstruction=reconstruction(opened),
            millepede=chain,
            clock=clock,
            policy=Policy(_limits(opened), opened.config.alignment, driver.pace),
            plan=plan_of(the_strategy(opened), opened.config),
        )
        yield Parts(ports, chain)


def _driver(opened: Opened) -> BatchDriver:
    return driver_of(opened.config, opened.snapshot.dag_key)


def _limits(opened: Opened) -> Reco:
    reco = opened.config.reco
    if opened.snapshot.dag is None:
        return reco
    # DAGMan has tried again as often as it may: what failed has failed.
    return reco.model_copy(update={"max_attempts": 1, "max_losses": 1})


def chain_of(opened: Opened) -> Chain:
    """Return what converts, solves and reports in a workspace."""
    arguments = opened.snapshot.arguments
    workers = Workers(opened.workspace, os.environ)
    return Chain(opened.workspace, arguments, the_strategy(opened), opened.config, workers)
