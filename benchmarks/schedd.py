"""What 10 000 queued jobs cost: submission, a poll, and what the scripts before did instead.

Needs a pool: `tests/pool/run.sh --command python benchmarks/schedd.py [JOBS]`. The jobs ask for a
machine that does not exist, so they stay idle. The scripts before called `condor_q` three times a
poll; here the same three queries are made through the bindings, in a fresh process as theirs were.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from auto_iter.batch.htcondor import HTCondorBatch
from auto_iter.batch.htcondor_child import ScheddProcess
from auto_iter.config import HTCondor
from auto_iter.errors import TransientError
from auto_iter.model import Batch, Job, Resources, Submission

POLLS = 100
CONDOR_Q = """
import sys, time, resource
import htcondor2
began = time.perf_counter()
schedd = htcondor2.Schedd(htcondor2.Collector().locate(htcondor2.DaemonType.Schedd))
size = 0
for constraint in sys.argv[3:]:
    projection = sys.argv[2].split(",") if sys.argv[2] else []
    ads = schedd.query(f"ClusterId == {sys.argv[1]} && {constraint}", projection)
    size += sum(len(str(ad)) for ad in ads)
print(time.perf_counter() - began, size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def batch_of(jobs: int, root: Path, key: str) -> Batch:
    """Return a batch of jobs that would do nothing."""
    script = root / "job.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    all_jobs = tuple(Job(number, (), f"out_{number}") for number in range(jobs))
    return Batch(key, root, script, (), root, all_jobs, Resources(memory_mb=10))


def mean_ms(call: Callable[[], object], times: int) -> float:
    """Return the mean duration."""
    began = time.perf_counter()
    for _ in range(times):
        call()
    return (time.perf_counter() - began) / times * 1000


def megabytes(pid: int) -> float:
    """Return the resident memory of a process."""
    return psutil.Process(pid).memory_info().rss / 1e6


def cpu_s(pid: int) -> float:
    """Return the CPU time that a process has used."""
    times = psutil.Process(pid).cpu_times()
    return float(times.user + times.system)


def show(what: str, figure: str) -> None:
    """Print one line of the result."""
    print(f"{what:58} {figure}")


def asked_as_before(cluster: str) -> None:
    """Print what three condor_q and one query of full ads cost, each in a process of its own."""
    states = ("JobStatus == 1", "JobStatus == 2", "JobStatus == 5")
    usual = "ClusterId,ProcId,Owner,QDate,JobStatus,JobPrio,ImageSize,Cmd,Args,RemoteWallClockTime"
    for name, projection, constraints in (
        ("three condor_q (a process each poll)", usual, states),
        ("one query of full ads (a process each poll)", "", ("true",)),
    ):
        began = time.perf_counter()
        ran = subprocess.run(
            [sys.executable, "-c", CONDOR_Q, cluster, projection, *constraints],
            capture_output=True,
            text=True,
            check=True,
        )
        wall_ms = (time.perf_counter() - began) * 1000
        inside_s, size, peak_mb = ran.stdout.split()
        show(
            name,
            f"{wall_ms:.0f} ms ({float(inside_s) * 1000:.0f} ms in calls), "
            f"{int(size) / 1e6:.2f} MB of ads, {peak_mb} MB peak",
        )


def measure(system: HTCondorBatch, schedd: ScheddProcess, jobs: int, root: Path) -> Submission:
    """Submit, poll, and print the figures."""
    batch = batch_of(jobs, root, system.new_key(1, 1))
    began = time.perf_counter()
    submission = system.submit(batch)
    show(f"submit {jobs} jobs", f"{time.perf_counter() - began:.2f} s")
    began = time.perf_counter()
    tally = system.poll(submission)
    show("first poll", f"{(time.perf_counter() - began) * 1000:.1f} ms, {tally.idle} idle")
    pid = schedd.pid or os.getpid()
    before = cpu_s(os.getpid()), cpu_s(pid)
    rss_before = megabytes(os.getpid()), megabytes(pid)
    poll_ms = mean_ms(lambda: system.poll(submission), POLLS)
    used = cpu_s(os.getpid()) - before[0], cpu_s(pid) - before[1]
    answer = json.dumps(vars(schedd.count(f"ClusterId == {submission.cluster}", at=None)))
    show(f"one poll (mean of {POLLS})", f"{poll_ms:.1f} ms, {len(answer)} bytes from the child")
    show(f"CPU for {POLLS} polls: daemon, child", f"{used[0]:.2f} s, {used[1]:.2f} s")
    show(
        "RSS before and after: daemon, child",
        f"{rss_before[0]:.0f} → {megabytes(os.getpid()):.0f} MB, "
        f"{rss_before[1]:.0f} → {megabytes(pid):.0f} MB",
    )
    return submission


def main() -> int:
    """Run the benchmark; 0 also when there is no pool to run it on."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    if "POOL_COLLECTOR" not in os.environ:
        print(__doc__)
        return 0
    extra = {"requirements": "False"}
    schedd = ScheddProcess(timeout_s=120)
    config = HTCondor(spool=False, job_flavour=None, extra=extra)
    system = HTCondorBatch("bench", config, schedd)
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        try:
            submission = measure(system, schedd, jobs, Path(directory))
            asked_as_before(submission.cluster)
            began = time.perf_counter()
            system.remove(submission, "end of the benchmark")
            show(f"remove {jobs} jobs", f"{time.perf_counter() - began:.2f} s")
            while schedd.count(f"ClusterId == {submission.cluster}", at=None).total:
                time.sleep(0.5)
        except TransientError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            schedd.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    show("daemon's peak, benchmark included", f"{peak} MB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
