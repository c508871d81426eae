"""Alignments under DAGMan, as a person hands them over, follows them and takes them back."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from typing import Any

import psutil

from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.errors import TransientError
from tests.pool.alignments import LIMIT_S, PoolAlignment, auto_iter, of_place
from tests.pool.processes import is_in_the_pool

DAGMAN = (
    "htcondor.max_retries=1",
    # The only place that this machine and the pool share is /tmp, of which DAGMan warns.
    'dag.settings={"DAGMAN_USE_STRICT": 0, "DAGMAN_USER_LOG_SCAN_INTERVAL": 1}',
)
A_DAG = "JobUniverse == 7"
A_NODE = "JobUniverse == 5"


class PoolDag:
    """One alignment, and DAGMan's view of it."""

    def __init__(self, alignment: PoolAlignment, calls: ScheddProcess) -> None:
        self.alignment = alignment
        self.calls = calls

    def hand_over(self, *more: str) -> subprocess.CompletedProcess[str]:
        """Write and submit the DAG."""
        iterations = str(self.alignment.iterations)
        command = self.alignment.from_the_start("dag", iterations)
        return self.alignment.call([*command, "--submit", *more])

    def command(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run one of `auto-iter dag`'s commands on the workspace."""
        return self.alignment.call(auto_iter("dag", *words, str(self.alignment.workspace)))

    def status(self) -> dict[str, Any]:
        """Return what `dag status --json` says."""
        told = self.command("status", "--json")
        assert told.returncode == 0, told.stdout + told.stderr
        status: dict[str, Any] = json.loads(told.stdout)
        return status

    def queued(self, kind: str = "true") -> int:
        """Return how many jobs of this alignment are in the queue, of all or of one kind.

        Not by the queue's own totals, which leave DAGMan's out.
        """
        return len(self.calls.query(self.ours(kind), ("ClusterId",)))

    def ours(self, kind: str = "true") -> str:
        """Return a constraint for jobs of this alignment: other tests have theirs in the pool."""
        return f"({kind}) && {of_place(self.alignment.place)}"

    def is_queued(self) -> bool:
        """Tell whether a DAG is in the queue."""
        return self.queued(A_DAG) > 0

    def nodes_run(self) -> bool:
        """Tell whether a node's job runs."""
        return self.queued(f"{A_NODE} && JobStatus == 2") > 0

    def wait_for_its_end(self) -> None:
        """Wait until DAGMan has left the queue; a schedd that is down does not matter."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            try:
                if not self.is_queued():
                    return
            except TransientError:
                pass
            assert time.monotonic() < deadline, self.told()
            time.sleep(0.5)

    def told(self) -> str:
        """Return the end of what DAGMan has written."""
        out = self.alignment.workspace / "alignment.dag.dagman.out"
        return out.read_text()[-2000:] if out.exists() else "DAGMan has written nothing"

    def exit_code(self) -> int:
        """Return how DAGMan ended last, as the history has it."""
        deadline = time.monotonic() + LIMIT_S
        while True:
            ads = self.calls.history(A_DAG, ("ExitCode", "Iwd"), limit=50)
            ours = [ad for ad in ads if str(ad.get("Iwd")) == str(self.alignment.workspace)]
            if ours and "ExitCode" in ours[0]:
                return int(ours[0]["ExitCode"])
            assert time.monotonic() < deadline
            time.sleep(0.5)

    def starts(self) -> Counter[tuple[int, int]]:
        """Return how often jobs were started, by iteration and raw file, as event logs tell."""
        found: Counter[tuple[int, int]] = Counter()
        for log in self.alignment.workspace.glob("iter*/1reco/logs/reco_*.log"):
            iteration = int(log.parents[2].name.removeprefix("iter"))
            events = re.findall(r"^001 \(", log.read_text(), re.MULTILINE)
            found[iteration, int(log.stem.removeprefix("reco_"))] = len(events)
        return found

    def rescue_files(self) -> list[str]:
        """Return the names of the rescue files."""
        return sorted(path.name for path in self.alignment.workspace.glob("*.rescue*"))


def dagman_process() -> psutil.Process | None:
    """Return condor_dagman, if one runs in the pool."""
    for process in psutil.process_iter(["name"]):
        if process.info["name"] == "condor_dagman" and is_in_the_pool(process.pid):
            return process
    return None
