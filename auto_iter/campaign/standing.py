"""How the intervals of a campaign stand: read off their workspaces, which know it all."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auto_iter.campaign.plan import Interval
from auto_iter.daemon.screen.layout import COLUMNS, clipped
from auto_iter.daemon.screen.overview import Seen, Unreadable, overview, see
from auto_iter.daemon.status import Status, read_status
from auto_iter.errors import NO_DAEMON_EXIT_CODE

NOT_BEGUN = "not begun"
NAME_COLUMNS = 20
"""The interval's own name is before what the overview says."""


@dataclass(frozen=True)
class Standing:
    """One interval, as it is just now."""

    interval: Interval
    seen: Seen

    @property
    def is_begun(self) -> bool:
        """There is a workspace."""
        return isinstance(self.seen, Status) or self.seen.reason != NOT_BEGUN

    @property
    def is_done(self) -> bool:
        """The alignment has come to its end, converged or not."""
        return isinstance(self.seen, Status) and self.seen.state == "done"

    @property
    def verdict(self) -> str:
        """The verdict's word where it is done, else the state."""
        if not isinstance(self.seen, Status):
            return self.seen.reason
        verdict = self.seen.record["verdict"]
        return self.seen.state if verdict is None else str(verdict["word"])

    @property
    def exit_code(self) -> int:
        """What `status --exit-code` says of it."""
        if isinstance(self.seen, Status):
            return self.seen.exit_code
        return 2 if self.is_begun else NO_DAEMON_EXIT_CODE

    @property
    def news(self) -> tuple[object, ...]:
        """What is told anew when it changes."""
        if not isinstance(self.seen, Status):
            return (self.seen.reason,)
        return self.seen.state == "failed", self.is_done, self.seen.record["iteration"]


def standing(interval: Interval) -> Standing:
    """Return how an interval stands."""
    workspace = interval.workspace
    if not (workspace.checkpoint.exists() or workspace.lock.exists()):
        return Standing(interval, Unreadable(workspace.root, NOT_BEGUN))
    seen = see(workspace.root, lambda _: read_status(workspace, time.time()))
    return Standing(interval, seen)


def lines(standings: Sequence[Standing]) -> Iterator[str]:
    """Yield a line for each interval: the overview's, after its name where it has one."""
    names = [clipped(_own_name(each), NAME_COLUMNS) for each in standings]
    width = max(map(len, names), default=0)
    rows = overview([each.seen for each in standings], COLUMNS - width - 2)
    for name, row in zip(names, rows, strict=True):
        yield f"{name:<{width}}  {row}" if width else row


def _own_name(of: Standing) -> str:
    name = of.interval.name
    return "" if name == of.interval.workspace.root.name else name
