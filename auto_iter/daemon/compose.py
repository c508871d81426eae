"""The composition root: a workspace's parts, put together. The only place that chooses."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from auto_iter.alignment.policy import Policy
from auto_iter.batch.driver import Home
from auto_iter.batch.registry import driver_of
from auto_iter.credentials.ccache import cache_of
from auto_iter.credentials.standing import TicketStanding
from auto_iter.daemon.lifecycle import Opened, held_out_files, limits, reconstruction, the_strategy
from auto_iter.daemon.signals import never
from auto_iter.errors import ASK_WHO_WE_ARE
from auto_iter.iteration.chain import Chain
from auto_iter.iteration.workers import Workers
from states.step import Ports


@contextmanager
def composed(
    opened: Opened, should_stop: Callable[[], bool] = never, patience_s: float | None = None
) -> Iterator[Ports]:
    """Give the parts of one workspace; their processes and descriptors end with it, no job does.

    Calls to a batch system give up when `should_stop`, and after `patience_s` where a person waits.
    """
    driver = driver_of(opened.config, opened.snapshot.dag_key)
    chain = chain_of(opened)
    prefix = opened.workspace.key_prefix(opened.snapshot.workspace_id)
    home = Home(prefix, opened.workspace.batch_records, time.time)
    with ExitStack() as resources:
        resources.callback(chain.stop)
        yield Ports(
            batch=resources.enter_context(driver.opened(home, should_stop, patience_s)),
            reconstruction=reconstruction(opened),
            millepede=chain,
            now=time.time,
            policy=Policy(limits(opened), opened.config.alignment, driver.pace),
            plan=the_strategy(opened).plan(opened.config),
            credentials=credentials_of(opened, os.environ),
        )


def credentials_of(opened: Opened, env: Mapping[str, str]) -> TicketStanding:
    """Return how our ticket stands, and whether this alignment can do anything without."""
    config = opened.config
    places = (opened.workspace.root.absolute(), config.paths.raw_dir, config.paths.outputs_dir)
    asks_who_we_are = any(str(each).startswith(ASK_WHO_WE_ARE) for each in places)
    sends = config.batch.system == "htcondor" and config.htcondor.send_credential
    return TicketStanding(
        cache_of(env, os.getuid()),
        is_needed=asks_who_we_are or sends,
        is_expected="KRB5CCNAME" in env,
    )


def chain_of(opened: Opened) -> Chain:
    """Return what converts, solves and reports in a workspace."""
    arguments = opened.snapshot.arguments
    workers = Workers(opened.workspace, os.environ)
    strategy, out = the_strategy(opened), held_out_files(opened)
    return Chain(opened.workspace, arguments, strategy, opened.config, workers, held_out=out)
