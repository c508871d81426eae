"""What the configuration says about going on, waiting and giving up; the states decide by it."""

from __future__ import annotations

from dataclasses import dataclass

from auto_iter.config.schema import Config, Guards

POLL_JITTER = 0.1


@dataclass(frozen=True)
class Policy:
    """Limits of one alignment."""

    poll_interval_s: float
    poll_interval_at_end_s: float | None
    """How often instead, once most outputs are in; None where news of jobs come by themselves."""
    poll_jitter: float
    """The interval is stretched by a random part of up to so much of it."""
    portion: int | None
    """Jobs in one submission at most."""
    max_in_queue: int | None
    """Jobs of all submissions that are not over, at most."""
    max_attempts: int
    max_losses: int
    min_success_fraction: float
    straggler_quantile: float
    straggler_factor: float | None
    stop_when_converged: bool
    memory_mb: int
    guards: Guards

    @classmethod
    def of(cls, config: Config) -> Policy:
        """Return the limits that `config` sets."""
        on_a_schedd = config.batch.system == "htcondor"
        return cls(
            poll_interval_s=_poll_interval_s(config),
            poll_interval_at_end_s=_poll_interval_at_end_s(config),
            poll_jitter=POLL_JITTER,
            portion=config.htcondor.max_jobs_per_submission if on_a_schedd else None,
            max_in_queue=config.htcondor.max_jobs_in_queue if on_a_schedd else None,
            max_attempts=config.reco.max_attempts,
            max_losses=config.reco.max_losses,
            min_success_fraction=config.reco.min_success_fraction,
            straggler_quantile=config.reco.straggler_quantile,
            straggler_factor=config.reco.straggler_factor,
            stop_when_converged=config.alignment.stop_when_converged,
            memory_mb=config.reco.memory_mb,
            guards=config.alignment.guards,
        )


def _poll_interval_s(config: Config) -> float:
    """Return how often to poll; a schedd that others use as well is not asked more often."""
    wanted = config.alignment.polling_interval_seconds
    if config.batch.system != "htcondor":
        return wanted
    return max(wanted, config.htcondor.min_poll_interval_s)


def _poll_interval_at_end_s(config: Config) -> float | None:
    """Return the shortest interval where only a poll tells of the last job's end."""
    if config.batch.system != "htcondor" or not config.htcondor.spool:
        return None
    return config.htcondor.min_poll_interval_s
