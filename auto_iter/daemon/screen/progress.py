"""Progress on a terminal: iteration, jobs, time left, below the log. Elsewhere: only the log."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, TextIO

from auto_iter.alignment.judges.expectation import end_of
from auto_iter.alignment.snapshot import Snapshot
from auto_iter.rawfiles import spoken
from auto_iter.times import duration

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.live import Live
    from rich.table import Table


class Display:
    """A few lines that stay at the bottom of a terminal. `rich` is loaded only for one."""

    def __init__(self, title: str, stream: TextIO) -> None:
        self._title = title
        self._snapshot: Snapshot | None = None
        self._live: Live | None = None
        if stream.isatty():
            from rich.console import Console
            from rich.live import Live

            # The log goes through the same stream; rich moves its lines above ours.
            console = Console(file=stream)
            self._live = Live(
                console=console,
                refresh_per_second=1,
                transient=True,
                get_renderable=self._renderable,
            )
            self._live.start()

    def update(self, snapshot: Snapshot) -> None:
        """Show a new snapshot."""
        self._snapshot = snapshot
        if self._live is not None:
            self._live.refresh()

    def close(self) -> None:
        """Give the terminal back."""
        if self._live is not None:
            self._live.stop()

    def _renderable(self) -> RenderableType:
        # Made anew at every refresh: the time that is left runs down between two polls.
        if self._snapshot is None:
            return self._title
        return _table(self._title, summary(self._snapshot, time.time()))


def summary(snapshot: Snapshot, now: float) -> dict[str, str]:
    """Return what is shown, label → text."""
    progress = snapshot.progress
    shown = {
        "iteration": f"{snapshot.iteration} of {snapshot.arguments.iterations}",
        "state": snapshot.state,
        "files": f"{progress.delivered} of {progress.wanted} reconstructed",
        "jobs": progress.jobs_in_words,
    }
    if snapshot.canary is not None:
        shown["tried first"] = f"{spoken(snapshot.canary)}; the rest follows"
    if snapshot.failures:
        shown["failed"] = ", ".join(spoken(number) for number in sorted(snapshot.failures))
    if progress.expected_end is not None:
        until = time.strftime("%H:%M", time.localtime(progress.expected_end))
        left = duration(max(0.0, progress.expected_end - now))
        shown["time left"] = f"{left}, until {until}, for this iteration's jobs"
    end = end_of(snapshot.model_dump(mode="json"), now, progress.expected_end)
    if end is not None and snapshot.arguments.iterations > 1:
        shown["all done"] = f"{end.in_words(now)}, if it takes all iterations"
    if snapshot.history:
        last = snapshot.history[-1]
        shown["last chi2/ndf"] = (
            f"{last.chi2_ndf:.4f} (largest shift {last.max_shift_um:.2f} um, "
            f"largest change {last.max_pull:.2f} sigma)"
        )
    return shown


def _table(title: str, shown: dict[str, str]) -> Table:
    from rich.table import Table

    table = Table(title=title, show_header=False, title_justify="left", box=None)
    for label, text in shown.items():
        table.add_row(f"[bold]{label}[/bold]", text)
    return table
