"""Job flavours: CERN's names for how long a job may run, and what follows when one ran longer.

Times are those of CERN's batch documentation ("Job flavours"). Pure functions on values.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from auto_iter.alignment.model import Action, Problem, Remedy
from auto_iter.config.batch import HTCondor

_HOUR: Final = 3600.0
SECONDS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "espresso": _HOUR / 3,
        "microcentury": _HOUR,
        "longlunch": 2 * _HOUR,
        "workday": 8 * _HOUR,
        "tomorrow": 24 * _HOUR,
        "testmatch": 72 * _HOUR,
        "nextweek": 168 * _HOUR,
    }
)
"""How long (s) a job of each flavour may run, the shortest first."""


def flavour_for(time_s: float | None, configured: str) -> str:
    """Return the shortest flavour that gives a job so much time, but at least the configured."""
    needed = max(SECONDS[configured], time_s or 0.0)
    return next((name for name, most in SECONDS.items() if most >= needed), "nextweek")


def longer(than_s: float, cap: str) -> list[str]:
    """Return the flavours that give a job more time than `than_s`, up to `cap`, in order."""
    return [name for name, most in SECONDS.items() if than_s < most <= SECONDS[cap]]


def longer_flavours(config: HTCondor) -> int:
    """Return how many flavours a raw file may go through after the configured one."""
    usual = config.job_flavour
    return 0 if usual is None else len(longer(SECONDS[usual], config.flavour_cap))


def flavours_needed(time_s: Mapping[int, float], usual: str) -> dict[int, str]:
    """Return the flavours of raw files that need so much time, of those that need another one."""
    needed = {number: flavour_for(seconds, usual) for number, seconds in time_s.items()}
    return {number: name for number, name in needed.items() if name != usual}


def more_time(problem: Problem, config: HTCondor) -> Remedy:
    """Return what to do about a job that ran into its time limit: the next flavour, up to a cap."""
    meaning = "ran longer than its flavour allows"
    advice = "raise htcondor.job_flavour or htcondor.flavour_cap"
    limit_s = problem.limit_s
    if config.job_flavour is None or limit_s is None:
        return Remedy(Action.GIVE_UP, meaning, "raise the time limit of the jobs")
    next_ones = longer(limit_s, config.flavour_cap)
    if not next_ones:
        return Remedy(Action.GIVE_UP, meaning, advice)
    return Remedy(Action.MORE_TIME, meaning, advice, time_s=SECONDS[next_ones[0]])
