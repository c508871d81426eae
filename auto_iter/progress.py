"""Progress on a terminal: iteration, jobs, time left, below the log. Elsewhere: only the log."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self, TextIO

from auto_iter.snapshot import Snapshot

if TYPE_CHECKING:
    from rich.live import Live
    from rich.table import Table


class Display:
    """A few lines that stay at the bottom of a terminal. `rich` is loaded only for one."""

    def __init__(self, title: str, stream: TextIO) -> None:
        self._title = title
        self._live: Live | None = None
        if stream.isatty():
            from rich.console import Console
            from rich.live import Live

            # The log goes through the same stream; rich moves its lines above ours.
            console = Console(file=stream)
            self._live = Live(console=console, refresh_per_second=2, transient=True)

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, snapshot: Snapshot) -> None:
        """Show a new snapshot."""
        if self._live is not None:
            self._live.update(_table(self._title, snapshot))

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()


def summary(snapshot: Snapshot) -> dict[str, str]:
    """Return what is shown, label → text."""
    progress = snapshot.progress
    shown = {
        "iteration": f"{snapshot.iteration} of {snapshot.arguments.iterations}",
        "state": snapshot.state,
        "files": f"{progress.delivered} of {progress.wanted} reconstructed",
        "jobs": f"{progress.running} running, {progress.idle} idle, {progress.held} held",
    }
    if snapshot.failures:
        shown["failed"] = ", ".join(f"{number:05d}" for number in sorted(snapshot.failures))
    if progress.expected_end is not None:
        shown["this iteration until"] = time.strftime(
            "%H:%M:%S", time.localtime(progress.expected_end)
        )
    if snapshot.history:
        last = snapshot.history[-1]
        shown["last chi2/ndf"] = f"{last.chi2_ndf:.4f} (largest shift {last.max_shift_um:.2f} um)"
    return shown


def _table(title: str, snapshot: Snapshot) -> Table:
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left", box=None)
    for label, text in summary(snapshot).items():
        table.add_row(f"[bold]{label}[/bold]", text)
    return table
