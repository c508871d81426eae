"""The job that is a DAG: submitted exactly once, found again, looked at and removed.

HTCondor takes the same DAG twice, and both then spoil each other's files; so the job carries a key
that was written down first. A DAG that a person submitted with `condor_submit_dag` has no key: it
is known by where it runs. Attributes: HTCondor manual, "Job ClassAd Attributes" (`DAG_…`).
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from auto_iter.batch.htcondor import ads
from auto_iter.batch.htcondor.ads import Ad
from auto_iter.batch.htcondor.dagman.submit import DAG_ATTRIBUTE
from auto_iter.batch.htcondor.dagman.text import DAG_FILE
from auto_iter.batch.htcondor.schedd.protocol import DagSchedd, Placed, make_sure_we_are_known
from auto_iter.batch.htcondor.submit import quote
from auto_iter.config.batch import HTCondor
from auto_iter.errors import UsageError

REMOVAL_S: Final = 10.0
SCHEDULER_UNIVERSE: Final = 7
USUAL_DAGMAN: Final = "/usr/bin/condor_dagman"

A_DAG: Final = f'regexp("{DAG_FILE}", Arguments ?: Args ?: "")'
_DAG_ARGUMENT: Final = re.compile(rf"-Dag (\S*{re.escape(DAG_FILE)})(?: |$)")
WHERE: Final = ("Iwd", "Arguments", "Args")

NODES: Final = ("Total", "Done", "Failed", "Ready", "Queued", "Unready", "Futile")
DAG_JOB: Final = (
    "ClusterId",
    "JobStatus",
    "QDate",
    "GlobalJobId",
    "NumJobStarts",
    "ExitCode",
    "HoldReason",
    "RemoveReason",
    "AutoIterKey",
    "DAG_InRecovery",
    *(f"DAG_Nodes{kind}" for kind in NODES),
)
NODE_JOB: Final = (
    "ClusterId",
    "ProcId",
    "DAGNodeName",
    "JobStatus",
    "HoldReason",
    "HoldReasonCode",
    "HoldReasonSubCode",
    "LastRemoteHost",
    "RequestMemory",
    "AutoIterRawFile",
)

RESTARTS: Final = 5
"""So often DAGMan may ask to be started again; more of it is no recovery but a loop."""

ON_EXIT_REMOVE: Final = (
    f"ExitSignal =?= 11 || (ExitCode =!= undefined && (ExitCode <= 2 || NumJobStarts > {RESTARTS}))"
)
"""HTCondor's own expression, but that exit codes above 2 do not start it again for ever."""


@dataclass(frozen=True)
class DagJob:
    """A DAGMan job as the schedd shows it. `exit_code`: of its last run, where there was one.

    `place`: the workspace that it runs in, which may have been moved since; None: it is not told.
    """

    cluster: int
    schedd: str
    key: str
    submitted_at: float
    status: int
    starts: int
    exit_code: int | None
    reason: str
    in_recovery: bool
    nodes: Mapping[str, int]
    place: Path | None = None

    @classmethod
    def of(cls, ad: Ad) -> DagJob:
        """Return what an ad with `DAG_JOB` attributes says."""
        code = ad.get("ExitCode")
        return cls(
            cluster=int(ad["ClusterId"]),
            schedd=str(ad["GlobalJobId"]).partition("#")[0],
            key=str(ad.get("AutoIterKey", "")),
            submitted_at=float(ad["QDate"]),
            status=int(ad["JobStatus"]),
            starts=int(ad.get("NumJobStarts", 0)),
            exit_code=None if code is None else int(code),
            reason=str(ad.get("HoldReason") or ad.get("RemoveReason") or ""),
            in_recovery=bool(ad.get("DAG_InRecovery", 0)),
            nodes={kind: int(ad[f"DAG_Nodes{kind}"]) for kind in NODES if f"DAG_Nodes{kind}" in ad},
            place=_place(ad),
        )


class DagManager:
    """DAGMan jobs of the workspace at `root`, on one schedd."""

    def __init__(self, root: Path, schedd: DagSchedd) -> None:
        self._root = Path(os.path.realpath(root))
        self._schedd = schedd

    def live(self, key: str) -> DagJob | None:
        """Return the DAGMan job of this workspace that is in the queue, whoever submitted it.

        Raises TransientError where the schedd would show us nothing.
        """
        ours = f"{ads.with_key(key)} || {A_DAG}" if key else A_DAG
        found = self._schedd.query(
            f"JobUniverse == {SCHEDULER_UNIVERSE} && JobStatus != {ads.COMPLETED} && ({ours})",
            (*DAG_JOB, *WHERE),
        )
        for ad in found:
            if (key and ad.get("AutoIterKey") == key) or _place(ad) == self._root:
                return DagJob.of(ad)
        make_sure_we_are_known(self._schedd)
        return None

    def refuse_elsewhere(self, job: DagJob) -> None:
        """Raise UsageError where a job is that of the workspace that this one is a copy of."""
        place = job.place
        if place is not None and place != self._root and (place / DAG_FILE).exists():
            raise UsageError(
                f"{self._root}: is a copy of {place}, where DAGMan runs (job {job.cluster}.0 on "
                f"{job.schedd}); end it from there: auto-iter dag remove {place}"
            )

    def last(self, key: str) -> DagJob | None:
        """Return how the DAGMan job under `key` ended; None where the history does not know."""
        found = self._schedd.history(ads.with_key(key), DAG_JOB, limit=1)
        return DagJob.of(found[0]) if found else None

    def jobs(self, cluster: int | None, key: str) -> list[Ad]:
        """Return the nodes' jobs that are in the queue, also of a DAGMan that is gone."""
        return self._schedd.query(_of_dag(cluster, key), NODE_JOB)

    def submit(self, key: str, options: Mapping[str, str | int], config: HTCondor) -> Placed:
        """Submit the DAG under a key that is known to be new."""
        commands = {
            # Ours would point it to our configuration, or to none that it can read.
            "getenv": "PATH,HOME,USER,LANG",
            "on_exit_remove": ON_EXIT_REMOVE,
            "My.AutoIterKey": quote(key),
            "My.AutoIterJobs": "1",
            "My.AutoIterSpool": "False",
        }
        if config.accounting_group:
            commands["accounting_group"] = config.accounting_group
        if config.send_credential:
            self._schedd.store_credential()
            commands["My.SendCredential"] = "True"
        return self._schedd.submit_dag(self._root, DAG_FILE, options, commands)

    def remove(self, job: DagJob, key: str) -> int:
        """Take the DAG and its jobs off the queue; return how many are still there."""
        self._schedd.act("remove", f"ClusterId == {job.cluster}", "auto-iter dag")
        return self.clear(job.cluster, key)

    def clear(self, cluster: int | None, key: str) -> int:
        """Remove the nodes' jobs that a DAGMan left behind; return how many are still there."""
        deadline = time.monotonic() + REMOVAL_S
        everything = _of_dag(cluster, key)
        if cluster is not None:
            everything = f"ClusterId == {cluster} || {everything}"
        while left := self._schedd.query(everything, ("ClusterId", "JobUniverse")):
            if time.monotonic() > deadline:
                return len(left)
            if not any(ad.get("JobUniverse") == SCHEDULER_UNIVERSE for ad in left):
                # DAGMan removes them as it ends; where it was killed, nobody does.
                self._schedd.act("remove", everything, "auto-iter dag")
            time.sleep(0.2)
        return 0


def _place(ad: Ad) -> Path | None:
    """Return where a DAGMan finds our DAG, from whatever directory it was submitted."""
    said = _DAG_ARGUMENT.search(str(ad.get("Arguments") or ad.get("Args") or ""))
    if said is None:
        return None
    return Path(os.path.realpath(Path(str(ad.get("Iwd", "/")), said[1]))).parent


def _of_dag(cluster: int | None, key: str) -> str:
    of_key = f"{DAG_ATTRIBUTE} == {quote(key)}"
    return of_key if cluster is None else f"(DAGManJobId == {cluster} || {of_key})"


def dagman_program(configured: Path | None) -> str:
    """Return the path of `condor_dagman` where the schedd runs."""
    return str(configured or shutil.which("condor_dagman") or USUAL_DAGMAN)
