"""What held jobs mean and what is done about each: a table, and a decision on values.

Codes are HTCondor's HoldReasonCode (manual, appendix "Job ClassAd Attributes"); the local batch
system uses the same ones.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from auto_iter.alignment.model import Action, Problem, Remedy
from auto_iter.config.batch import Holds

BY_USER: Final = 1
BY_JOB_POLICY: Final = 3
CREDENTIAL: Final = 4
CANNOT_START: Final = 6
OUTPUT_TRANSFER: Final = 12
INPUT_TRANSFER: Final = 13
INITIAL_DIRECTORY: Final = 14
SUBMITTED_ON_HOLD: Final = 15
SPOOLING: Final = 16
BY_MACHINE: Final = 21
BY_SITE_POLICY: Final = 26
OUT_OF_RESOURCES: Final = 34
JOB_TOO_LONG: Final = 46
RUN_TOO_LONG: Final = 47

FULL_DISK: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
"""Subcodes that blame a disk, ours or the schedd's: no number of them is the job's own fault."""

LONGEST_PAUSE: Final = 32
"""In units of the configured pause between two releases."""

SUBCODE_MEMORY: Final = 102
SUBCODE_DISK: Final = 104


@dataclass(frozen=True)
class HoldKind:
    """What a hold code means, the first remedy, how often that is tried, and a person's part."""

    meaning: str
    action: Action
    advice: str
    limit: int | None = None
    """Releases at most; None for the configuration's `max_releases`."""


_PATHS = "check that the files named in the reason exist and can be read and written there"

KINDS: Final[Mapping[int, HoldKind]] = MappingProxyType(
    {
        BY_USER: HoldKind(
            "held by a person", Action.LEAVE, "condor_release it, or condor_rm it to give it up"
        ),
        BY_JOB_POLICY: HoldKind(
            "held by a policy in the submit description",
            Action.GIVE_UP,
            "look at periodic_hold and on_exit_hold in htcondor.extra",
        ),
        CREDENTIAL: HoldKind(
            "the credential is not valid",
            Action.RELEASE,
            "renew the Kerberos ticket (kinit), see htcondor.send_credential",
        ),
        CANNOT_START: HoldKind(
            "the job script could not be started",
            Action.RELEASE,
            "is the first line of run_alignment.sh (#!) right on that machine?",
            limit=1,
        ),
        OUTPUT_TRANSFER: HoldKind("the output could not be transferred", Action.RELEASE, _PATHS),
        INPUT_TRANSFER: HoldKind("the input could not be transferred", Action.RELEASE, _PATHS),
        INITIAL_DIRECTORY: HoldKind(
            "the iteration's directory cannot be reached from the schedd", Action.RELEASE, _PATHS
        ),
        SUBMITTED_ON_HOLD: HoldKind(
            "submitted on hold, as asked", Action.LEAVE, "condor_release it when it may run"
        ),
        SPOOLING: HoldKind("the input is still being spooled", Action.LEAVE, ""),
        BY_MACHINE: HoldKind(
            "held by the machine that it ran on", Action.ELSEWHERE, "the reason names the policy"
        ),
        BY_SITE_POLICY: HoldKind(
            "held by a policy of the site", Action.GIVE_UP, "ask the site about the reason given"
        ),
        OUT_OF_RESOURCES: HoldKind(
            "used more than it asked for", Action.GIVE_UP, "raise reco.disk_mb or reco.memory_mb"
        ),
        JOB_TOO_LONG: HoldKind(
            "took longer than allowed",
            Action.GIVE_UP,
            "raise reco.time_limit_s or htcondor.job_flavour",
        ),
        RUN_TOO_LONG: HoldKind(
            "ran longer than allowed",
            Action.GIVE_UP,
            "raise reco.time_limit_s or htcondor.job_flavour",
        ),
    }
)

_UNKNOWN: Final = HoldKind("held", Action.RELEASE, "look up the hold code", limit=1)


def decide(problem: Problem, releases_so_far: int, policy: Holds) -> Remedy:
    """Return what to do about a held job that was released `releases_so_far` times before."""
    kind = KINDS.get(problem.code, _UNKNOWN) if problem.code is not None else _UNKNOWN
    if is_about_memory(problem):
        return _more_memory(problem, releases_so_far, policy)
    if kind.action is not Action.RELEASE:
        return Remedy(kind.action, kind.meaning, kind.advice)
    if problem.subcode in FULL_DISK and policy.max_releases:
        pause_s = policy.release_pause_s * min(2**releases_so_far, LONGEST_PAUSE)
        advice = "make room on the disk that the reason names"
        meaning = f"{kind.meaning}: disk full"
        return Remedy(Action.RELEASE, meaning, advice, pause_s=pause_s, needs_room=True)
    if releases_so_far >= _limit(problem, kind, policy):
        times = "once" if releases_so_far == 1 else f"{releases_so_far} times"
        meaning = f"{kind.meaning}, released {times} in vain" if releases_so_far else kind.meaning
        return Remedy(Action.GIVE_UP, meaning, kind.advice)
    return Remedy(Action.RELEASE, kind.meaning, kind.advice, pause_s=policy.release_pause_s)


def is_about_memory(problem: Problem) -> bool:
    """Tell whether the job was held for its memory, by cgroup, machine or site policy.

    A site numbers its own policies, so the words of the reason count too.
    """
    if problem.code == OUT_OF_RESOURCES:
        return problem.subcode == SUBCODE_MEMORY or (
            problem.subcode != SUBCODE_DISK and "disk" not in problem.reason.lower()
        )
    if problem.code not in {BY_SITE_POLICY, BY_MACHINE, BY_JOB_POLICY}:
        return False
    return problem.subcode == OUT_OF_RESOURCES or "memory" in problem.reason.lower()


def _limit(problem: Problem, kind: HoldKind, policy: Holds) -> int:
    limit = policy.max_releases if kind.limit is None else min(kind.limit, policy.max_releases)
    # A file that is not there may be a hiccup of a network file system: once, but not for long.
    return min(limit, 1) if problem.subcode == errno.ENOENT else limit


def _more_memory(problem: Problem, releases_so_far: int, policy: Holds) -> Remedy:
    meaning = "used more memory than it asked for"
    advice = "raise reco.memory_mb or htcondor.holds.memory_cap_mb"
    now_mb = problem.memory_mb
    if now_mb is None or now_mb >= policy.memory_cap_mb:
        return Remedy(Action.GIVE_UP, meaning, advice)
    if releases_so_far >= policy.max_releases:
        return Remedy(Action.GIVE_UP, f"{meaning}, {releases_so_far + 1} times", advice)
    wanted_mb = min(round(now_mb * policy.memory_factor), policy.memory_cap_mb)
    return Remedy(Action.MORE_MEMORY, meaning, advice, memory_mb=max(wanted_mb, now_mb + 1))
