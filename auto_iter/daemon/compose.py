"""The composition root: a workspace's parts, put together. The only place that chooses."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from auto_iter.alignment.policy import Policy
from auto_iter.batch.registry import driver_of
from auto_iter.daemon.lifecycle import Opened, reconstruction, the_strategy
from auto_iter.daemon.signals import SystemClock
from auto_iter.iteration.chain import Chain
from auto_iter.iteration.workers import Workers
from auto_iter.millepede.strategy.plan import plan_of
from states.step import Ports


@dataclass(frozen=True)
class Parts:
    """What a daemon runs on; `close` gives its processes and descriptors back."""

    ports: Ports
    chain: Chain
    resources: ExitStack

    def close(self) -> None:
        """Release what the parts hold. Jobs are not touched."""
        self.resources.close()


def compose(
    opened: Opened, should_stop: Callable[[], bool], patience_s: float | None = None
) -> Parts:
    """Return the parts for one workspace.

    Calls to a batch system give up when `should_stop`, and after `patience_s` where a person waits.
    """
    resources = ExitStack()
    chain = chain_of(opened)
    resources.callback(chain.stop)
    driver, clock = driver_of(opened.config), SystemClock()
    prefix = opened.workspace.key_prefix(opened.snapshot.workspace_id)
    records = opened.workspace.batch_records
    batch = driver.opened(prefix, records, clock, should_stop, patience_s)
    ports = Ports(
        batch=resources.enter_context(batch),
        reconstruction=reconstruction(opened),
        millepede=chain,
        clock=clock,
        policy=Policy.of(opened.config, driver.pace),
        plan=plan_of(the_strategy(opened), opened.config),
    )
    return Parts(ports, chain, resources)


def chain_of(opened: Opened) -> Chain:
    """Return what converts, solves and reports in a workspace."""
    arguments = opened.snapshot.arguments
    workers = Workers(opened.workspace, os.environ)
    return Chain(opened.workspace, arguments, the_strategy(opened), opened.config, workers)
