"""Who looks on while a daemon runs: a terminal, the service manager, other hosts."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TextIO

from auto_iter.alignment.snapshot import Snapshot
from auto_iter.daemon.lock import WorkspaceLock
from auto_iter.daemon.screen.progress import Display
from auto_iter.daemon.signals import Signals
from auto_iter.processes.service_manager import ServiceManager
from auto_iter.times import to_the_minute


class Onlookers:
    """Shows them how the alignment stands, and that the daemon lives."""

    def __init__(
        self,
        title: str,
        stream: TextIO,
        lock: WorkspaceLock,
        manager: ServiceManager,
        signals: Signals,
    ) -> None:
        self._display = Display(title, stream)
        self._lock = lock
        self._manager = manager
        self._signals = signals

    def seen(self, snapshot: Snapshot) -> None:
        """Show a new snapshot."""
        self._display.update(snapshot)
        self._manager.tell(one_line(snapshot))

    def alive(self) -> None:
        """Give a sign of life; raises OSError where the workspace's disk does not take it."""
        self._manager.beat()
        self._lock.refresh()

    def should_stop(self) -> bool:
        """Tell whether a signal asked to stop; asking is a sign of life.

        It is asked several times a second while a schedd takes minutes to answer.
        """
        with suppress(OSError):
            self.alive()
        return self._signals.should_stop()

    def close(self) -> None:
        """Give the terminal back."""
        self._manager.stopping()
        self._display.close()


def never_but_alive(lock: WorkspaceLock, manager: ServiceManager) -> Callable[[], bool]:
    """Return what whoever waits, and takes no steps, asks: whether to stop. No; asking is a beat.

    Signals end such a process as any other.
    """

    def should_stop() -> bool:
        manager.beat()
        with suppress(OSError):
            lock.refresh()
        return False

    return should_stop


def one_line(snapshot: Snapshot) -> str:
    """Return what a service manager shows: state, iteration and jobs, or what is in the way."""
    where = f"{snapshot.state}, iteration {snapshot.iteration} of {snapshot.arguments.iterations}"
    hindrance = snapshot.hindrance
    if hindrance is not None:
        since = to_the_minute(hindrance.since)
        what = f"waiting for {hindrance.kind}" if hindrance.kind else "waiting"
        return f"{where}; {what} since {since}: {hindrance.reason}"
    progress = snapshot.progress
    if not progress.wanted:
        return where
    return (
        f"{where}: {progress.delivered} of {progress.wanted} files reconstructed; "
        f"{progress.jobs_in_words}"
    )
