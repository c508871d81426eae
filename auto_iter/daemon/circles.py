"""Whether the machine goes round in a circle: state follows state, and nothing gets done.

No such circle is known. One would write two checkpoints a turn, for a whole weekend.
"""

from __future__ import annotations

from auto_iter.alignment.snapshot import Snapshot

MOST_MOVES = 100
"""So many changes of state without a pause, a submission or an iteration are no progress."""
AGAIN = 10
"""After a pause so many are enough."""
REMEDY = "pausing; this is a defect of auto-iter: report it, with log.jsonl and state.yaml"


class Circles:
    """Counts changes of state since there was progress, or a pause."""

    def __init__(self) -> None:
        self._seen: tuple[str, int, int] | None = None
        self._moves = 0

    def is_closed(self, snapshot: Snapshot, wait_s: float) -> bool:
        """Tell, after each step, whether a pause is due; `wait_s`: that which the step asks for."""
        seen = (snapshot.state, snapshot.iteration, len(snapshot.attempts))
        before, self._seen = self._seen, seen
        if before is None or wait_s > 0 or before[1:] != seen[1:]:
            self._moves = 0
        elif before != seen:
            self._moves += 1
        if self._moves < MOST_MOVES:
            return False
        self._moves = MOST_MOVES - AGAIN
        return True
