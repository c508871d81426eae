"""Job ads: how we ask for ours, and what they say. Pure.

Attributes are those of the HTCondor manual, "Job ClassAd Attributes"; `AutoIter…` are our own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, TypeAlias

from auto_iter.alignment.model import Problem, Submission, Trouble
from auto_iter.batch.exitcodes import describe_exit
from auto_iter.batch.htcondor.flavours import SECONDS
from auto_iter.batch.htcondor.submit import KEY_ATTRIBUTE, quote

Value: TypeAlias = str | int | float | bool
Ad: TypeAlias = Mapping[str, Value]
"""A job ad, or what was asked of it. Attributes that are undefined are left out."""

RUNNING: Final = frozenset({2, 6, 7})
"""Running, transferring its output, suspended."""
COMPLETED: Final = 4
HELD: Final = 5

JOB: Final = (
    "ClusterId",
    "ProcId",
    "JobStatus",
    "LastJobStatus",
    "ExitCode",
    "ExitBySignal",
    "ExitSignal",
    "HoldReason",
    "HoldReasonCode",
    "HoldReasonSubCode",
    "LastHoldReason",
    "LastHoldReasonCode",
    "LastHoldReasonSubCode",
    "RemoveReason",
    "EnteredCurrentStatus",
    "JobCurrentStartDate",
    "MaxRuntime",
    "JobFlavour",
    "LastRemoteHost",
    "RequestMemory",
    "SUBMIT_Iwd",
    "AutoIterRawFile",
    "AutoIterOutput",
    "AutoIterPlace",
    "AutoIterDeliverTo",
)
"""What is asked of a job that needs a look."""

CLUSTER: Final = ("ClusterId", "QDate", "GlobalJobId", "AutoIterJobs", "DAGManNodesLog")
"""What is asked about a submission as a whole."""

NONE: Final = "ClusterId == -1"
"""Matches nothing: for calls that only show whether we may make them."""

HOME: Final = "(JobStatus == 4 && (StageOutFinish ?: 0) >= EnteredCurrentStatus)"
"""Its files were fetched: it leaves the queue by itself, sooner or later."""

HALF_SPOOLED: Final = "(AutoIterSpool is true && StageInFinish is undefined)"
"""Submitted, but its input never arrived: nothing of it can have run.

StageInStart would not do: it is missing when the submitter died soon enough.
"""

SPOOLING: Final = "(JobStatus == 5 && HoldReasonCode is 16)"
"""Held for about a second after the input arrived; released by the schedd itself."""

NEEDS_A_LOOK: Final = (
    "((JobStatus == 5 && HoldReasonCode isnt 16) || "
    "(JobStatus == 4 && !(ExitBySignal is false && ExitCode is 0)))"
)
"""Held, or completed badly. What HTCondor itself will run again is none of these, nor what is being
removed: it may still run."""


def with_key(key: str) -> str:
    """Return the constraint for all jobs submitted under a key."""
    return f"{KEY_ATTRIBUTE} == {quote(key)}"


def of(submission: Submission) -> str:
    """Return the constraint for a submission's jobs.

    The schedd finds a cluster by its number at once; the key guards against another schedd's
    cluster of the same number.
    """
    return f"ClusterId == {submission.cluster} && {with_key(submission.key)}"


def among(numbers: Collection[int]) -> str:
    """Return the constraint for some raw files."""
    return f"member(AutoIterRawFile, {{{', '.join(str(number) for number in sorted(numbers))}}})"


def submission_of(key: str, ad: Ad) -> Submission:
    """Return the submission that a job with `CLUSTER` attributes belongs to."""
    return Submission(
        key=key,
        cluster=str(ad["ClusterId"]),
        jobs=int(ad["AutoIterJobs"]),
        submitted_at=float(ad["QDate"]),
        schedd=str(ad["GlobalJobId"]).partition("#")[0],
    )


def number_of(ad: Ad) -> int:
    """Return a job's raw-file number."""
    return int(ad["AutoIterRawFile"])


def problem_of(ad: Ad) -> Problem | None:
    """Return what is wrong with a job that is held or has ended; None when it ended well.

    A completed job that was cleaned out of the queue is "removed" in the history, and one that the
    site removed has exit code 0: what counts is the status before.
    """
    if ad["JobStatus"] == HELD:
        return _problem(ad, Trouble.HELD, str(ad.get("HoldReason") or "no reason given"))
    if COMPLETED not in {ad["JobStatus"], ad.get("LastJobStatus")}:
        return _removed(ad)
    if ad.get("ExitBySignal") is False and ad.get("ExitCode") == 0:
        return None
    return failed(ad, describe_exit(_exit_code(ad), _signal(ad)))


def _removed(ad: Ad) -> Problem:
    """Return what is wrong with a job that was removed: by a person, or by the site, and why."""
    reason = str(ad.get("RemoveReason") or "removed")
    # HTCondor says who removed it, if anybody did: "via condor_rm (by user faser)".
    if any(words in reason for words in ("(by user ", "auto-iter: ", "via condor_rm")):
        return _problem(ad, Trouble.REMOVED, reason)
    if ad.get("LastJobStatus") == HELD:
        held = ad.get("HoldReason") or ad.get("LastHoldReason") or "no reason given"
        why = f"removed by the site after being held: {held}"
        return _problem(ad, Trouble.EXPIRED, why)
    limit_s = ad.get("MaxRuntime") or SECONDS.get(str(ad.get("JobFlavour")))
    ran_s = int(ad.get("EnteredCurrentStatus", 0)) - int(ad.get("JobCurrentStartDate", 0))
    has_run = "JobCurrentStartDate" in ad and ad.get("LastJobStatus") in RUNNING
    if limit_s is None or not has_run or ran_s < float(limit_s):
        return _problem(ad, Trouble.REMOVED, reason)
    limit = f"the limit of {ad['JobFlavour']}" if "JobFlavour" in ad else "its time limit"
    why = f"ran {ran_s // 3600}:{ran_s % 3600 // 60:02d} h, {limit}"
    return replace(_problem(ad, Trouble.OVERRAN, why), limit_s=float(limit_s))


def failed(ad: Ad, reason: str) -> Problem:
    """Return the problem of a job that ended, and still failed."""
    return _problem(ad, Trouble.FAILED, reason)


def _problem(ad: Ad, trouble: Trouble, reason: str) -> Problem:
    is_held = trouble in {Trouble.HELD, Trouble.EXPIRED}
    return Problem(
        number=number_of(ad),
        trouble=trouble,
        reason=reason,
        code=_of_hold(ad, "HoldReasonCode") if is_held else None,
        subcode=_of_hold(ad, "HoldReasonSubCode") if is_held else None,
        exit_code=_exit_code(ad),
        signal=_signal(ad),
        machine=machine_of(ad),
        job_id=f"{ad['ClusterId']}.{ad['ProcId']}",
        memory_mb=_integer(ad, "RequestMemory"),
        since=_integer(ad, "EnteredCurrentStatus") if trouble is Trouble.HELD else None,
    )


def _of_hold(ad: Ad, name: str) -> int | None:
    return _integer(ad, name if name in ad else f"Last{name}")


def _exit_code(ad: Ad) -> int | None:
    return None if ad.get("ExitBySignal") is True else _integer(ad, "ExitCode")


def _signal(ad: Ad) -> int | None:
    return _integer(ad, "ExitSignal") if ad.get("ExitBySignal") is True else None


def _integer(ad: Ad, name: str) -> int | None:
    value = ad.get(name)
    return None if value is None else int(value)


def machine_of(ad: Ad) -> str | None:
    """Return the machine that a job ran on last."""
    # "slot1_3@machine": the requirements of a next attempt need the machine alone.
    slot = ad.get("LastRemoteHost")
    return None if slot is None else str(slot).rpartition("@")[2]


@dataclass(frozen=True)
class PendingDelivery:
    """Where a fetched output lies, and where it belongs."""

    number: int
    source: Path
    target: Path


def delivery_of(ad: Ad) -> PendingDelivery | None:
    """Return the last leg of a spooled job's output; None for a job that delivers by itself."""
    if "SUBMIT_Iwd" not in ad:
        return None
    return PendingDelivery(
        number_of(ad),
        Path(str(ad["SUBMIT_Iwd"]), str(ad["AutoIterPlace"])),
        Path(str(ad["AutoIterDeliverTo"]), str(ad["AutoIterOutput"])),
    )
