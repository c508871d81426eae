"""What the configuration says about going on, waiting and giving up; the states decide by it."""

from __future__ import annotations

from dataclasses import dataclass

from auto_iter.config.schema import Alignment, Reco


@dataclass(frozen=True)
class Pace:
    """How often a batch system may be polled: no more often than every `shortest_s`.

    `at_end_s`: how often once most outputs are in; None where news of jobs come by themselves.
    `jitter`: the interval is stretched by a random part of up to so much of it.
    """

    shortest_s: float = 0.0
    at_end_s: float | None = None
    jitter: float = 0.1


ANY_PACE = Pace()


@dataclass(frozen=True)
class Policy:
    """The sections that have the limits of one alignment, and its batch system's pace."""

    reco: Reco
    alignment: Alignment
    pace: Pace = ANY_PACE

    @property
    def poll_interval_s(self) -> float:
        """How often the batch system is polled."""
        return max(self.alignment.polling_interval_seconds, self.pace.shortest_s)
