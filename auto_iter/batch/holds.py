"""What held jobs mean and what is done about each: a table, and a decision on values.

Codes are HTCondor's HoldReasonCode (manual, appendix "Job ClassAd Attributes"); the local batch
system uses the same ones.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from auto_iter.alignment.model import Action, Problem, Remedy

if TYPE_CHECKING:
    # the supervisor of local jobs, who knows the codes, starts in half the time without pydantic
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


_PATHS = "check that the files named in the reason exist and can be read and written there"

KINDS: Final[Mapping[int, Remedy]] = MappingProxyType(
    {
        BY_USER: Remedy(
            Action.LEAVE, "held by a person", "condor_release it, or condor_rm it to give it up"
        ),
        BY_JOB_POLICY: Remedy(
            Action.GIVE_UP,
            "held by a policy in the submit description",
            "look at periodic_hold and on_exit_hold in htcondor.extra",
        ),
        CREDENTIAL: Remedy(
            Action.RELEASE,
            "the credential is not valid",
            "renew the Kerberos ticket (kinit), see htcondor.send_credential",
        ),
        CANNOT_START: Remedy(
            Action.RELEASE,
            "the job script could not be started",
            "is the first line of run_alignment.sh (#!) right on that machine?",
        ),
        OUTPUT_TRANSFER: Remedy(Action.RELEASE, "the output could not be transferred", _PATHS),
        INPUT_TRANSFER: Remedy(Action.RELEASE, "the input could not be transferred", _PATHS),
        INITIAL_DIRECTORY: Remedy(
            Action.RELEASE, "the iteration's directory cannot be reached from the schedd", _PATHS
        ),
        SUBMITTED_ON_HOLD: Remedy(
            Action.LEAVE, "submitted on hold, as asked", "condor_release it when it may run"
        ),
        SPOOLING: Remedy(Action.LEAVE, "the input is still being spooled", ""),
        BY_MACHINE: Remedy(
            Action.ELSEWHERE, "held by the machine that it ran on", "the reason names the policy"
        ),
        BY_SITE_POLICY: Remedy(
            Action.GIVE_UP, "held by a policy of the site", "ask the site about the reason given"
        ),
        OUT_OF_RESOURCES: Remedy(
            Action.GIVE_UP, "used more than it asked for", "raise reco.disk_mb or reco.memory_mb"
        ),
        JOB_TOO_LONG: Remedy(
            Action.GIVE_UP,
            "took longer than allowed",
            "raise reco.time_limit_s or htcondor.job_flavour",
        ),
        RUN_TOO_LONG: Remedy(
            Action.GIVE_UP,
            "ran longer than allowed",
            "raise reco.time_limit_s or htcondor.job_flavour",
        ),
    }
)
"""What a hold code means, the first remedy, and a person's part."""

ONCE: Final = frozenset({CANNOT_START})
"""Held jobs with one of these codes, or with one that nobody knows, are released once at most."""

_UNKNOWN: Final = Remedy(Action.RELEASE, "held", "look up the hold code")


def decide(problem: Problem, releases_so_far: int, policy: Holds) -> Remedy:
    """Return what to do about a held job that was released `releases_so_far` times before."""
    remedy = KINDS.get(problem.code or 0, _UNKNOWN)
    if is_about_memory(problem):
        return _more_memory(problem, releases_so_far, policy)
    if remedy.action is not Action.RELEASE:
        return remedy
    if problem.subcode in FULL_DISK and policy.max_releases:
        pause_s = policy.release_pause_s * min(2**releases_so_far, LONGEST_PAUSE)
        advice = "make room on the disk that the reason names"
        meaning = f"{remedy.meaning}: disk full"
        return Remedy(Action.RELEASE, meaning, advice, pause_s=pause_s, needs_room=True)
    if releases_so_far >= _limit(problem, policy):
        times = "once" if releases_so_far == 1 else f"{releases_so_far} times"
        in_vain = f", released {times} in vain" if releases_so_far else ""
        return Remedy(Action.GIVE_UP, remedy.meaning + in_vain, remedy.advice)
    return replace(remedy, pause_s=policy.release_pause_s)


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


def most_releases(code: int | None, policy: Holds) -> int:
    """Return how often a job that is held with this code may be released."""
    is_worth_it = code in KINDS and code not in ONCE
    return policy.max_releases if is_worth_it else min(1, policy.max_releases)


def _limit(problem: Problem, policy: Holds) -> int:
    limit = most_releases(problem.code, policy)
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
