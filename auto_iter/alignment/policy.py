"""What the configuration says about going on, waiting and giving up; the states decide by it."""

from __future__ import annotations

from dataclasses import dataclass

from auto_iter.config.schema import Config, Guards

POLL_JITTER = 0.1


@dataclass(frozen=True)
class Pace:
    """How often a batch system may be polled: no more often than every `shortest_s`.

    `at_end_s`: how often once most outputs are in; None where news of jobs come by themselves.
    """

    shortest_s: float = 0.0
    at_end_s: float | None = None


ANY_PACE = Pace()


@dataclass(frozen=True)
class Policy:
    """Limits of one alignment."""

    poll_interval_s: float
    poll_interval_at_end_s: float | None
    poll_jitter: float
    """The interval is stretched by a random part of up to so much of it."""
    max_attempts: int
    max_losses: int
    min_success_fraction: float
    straggler_quantile: float
    straggler_factor: float | None
    stop_when_converged: bool
    guards: Guards

    @classmethod
    def of(cls, config: Config, pace: Pace = ANY_PACE) -> Policy:
        """Return the limits that `config` sets, at a batch system's pace."""
        return cls(
            poll_interval_s=max(config.alignment.polling_interval_seconds, pace.shortest_s),
            poll_interval_at_end_s=pace.at_end_s,
            poll_jitter=POLL_JITTER,
            max_attempts=config.reco.max_attempts,
            max_losses=config.reco.max_losses,
            min_success_fraction=config.reco.min_success_fraction,
            straggler_quantile=config.reco.straggler_quantile,
            straggler_factor=config.reco.straggler_factor,
            stop_when_converged=config.alignment.stop_when_converged,
            guards=config.alignment.guards,
        )
