"""The composition root: a workspace's parts, put together. The only place that chooses."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from auto_iter.alignment.policy import Policy
from auto_iter.alignment.ports import BatchSystem
from auto_iter.batch.htcondor.child import ScheddProcess
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.batch.local.limits import Limits
from auto_iter.batch.local.system import LocalBatch
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


def compose(opened: Opened, should_stop: Callable[[], bool]) -> Parts:
    """Return the parts for one workspace; calls to a schedd give up when `should_stop`."""
    resources = ExitStack()
    strategy = the_strategy(opened)
    chain = chain_of(opened)
    resources.callback(chain.stop)
    ports = Ports(
        batch=_batch_system(opened, should_stop, resources),
        reconstruction=reconstruction(opened),
        millepede=chain,
        clock=SystemClock(),
        policy=Policy.of(opened.config),
        plan=plan_of(strategy, opened.config),
    )
    return Parts(ports, chain, resources)


def chain_of(opened: Opened) -> Chain:
    """Return what converts, solves and reports in a workspace."""
    arguments = opened.snapshot.arguments
    workers = Workers(opened.workspace, os.environ)
    return Chain(opened.workspace, arguments, the_strategy(opened), opened.config, workers)


def _batch_system(
    opened: Opened, should_stop: Callable[[], bool], resources: ExitStack
) -> BatchSystem:
    config, workspace = opened.config, opened.workspace
    prefix = workspace.key_prefix(opened.snapshot.workspace_id)
    if config.batch.system == "htcondor":
        schedd = ScheddProcess(
            pool=config.htcondor.pool,
            schedd=config.htcondor.schedd,
            timeout_s=config.htcondor.call_timeout_s,
            should_stop=should_stop,
        )
        resources.callback(schedd.close)
        keys = workspace.submission_keys
        return HTCondorBatch(prefix, config.htcondor, schedd, records=keys)
    local = LocalBatch(
        workspace.batch_records,
        prefix,
        clock=SystemClock(),
        rng=random.SystemRandom(),
        limits=Limits(config.local.slots, config.local.enforce_memory),
        holds=config.htcondor.holds,
    )
    resources.callback(local.close)
    return local
