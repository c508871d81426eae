"""What 10 000 queued jobs cost: submission, a poll, and what the scripts before did instead.

Needs a pool: `make pool-bench`, or `tests/pool/run.sh --command python benchmarks/schedd.py`.
The jobs ask for a machine that does not exist, so they stay idle. The scripts before called
`condor_q` three times a poll; here it is the pool's own. Each way of asking is charged with its own
CPU time and memory, the schedd's CPU time, and the bytes that it sends over the loopback interface.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).parents[1]))

from auto_iter.alignment.model import Batch, Job, Resources, Submission
from auto_iter.batch.htcondor.schedd.child import ScheddProcess
from auto_iter.batch.htcondor.system import HTCondorBatch
from auto_iter.config.batch import HTCondor
from auto_iter.errors import TransientError
from tests.pool.processes import is_in_the_pool

POLLS = 100
ROUNDS = 5
"""Rounds of what is slow."""

FULL_ADS = """
import sys, htcondor2 as h
ads = h.Schedd(h.Collector().locate(h.DaemonType.Schedd)).query(f"ClusterId == {sys.argv[1]}")
assert len(ads) == int(sys.argv[2])
"""


@dataclass(frozen=True)
class Cost:
    """What one poll costs, on average."""

    wall_ms: float
    cpu_ms: float
    memory_mb: float
    schedd_ms: float
    sent_kb: float

    def told(self, name: str, yardstick: Cost) -> str:
        """Return a line of the table; in brackets, as many times the yardstick."""
        columns = [
            f"{mine:10.1f} {_times(mine / max(theirs, 1e-9)):8}"
            for mine, theirs in zip(vars(self).values(), vars(yardstick).values(), strict=True)
        ]
        return (f"{name:34}" + "".join(columns)).rstrip()


def _times(ratio: float) -> str:
    return f"({ratio:.1f}x)" if ratio < 3 else f"({ratio:.0f}x)"


COLUMNS = ("wall [ms]", "CPU [ms]", "RSS [MB]", "schedd[ms]", "sent [kB]")
HEAD = f"{'':34}" + (" " * 9).join(f"{name:>10}" for name in COLUMNS)


class Meter:
    """Looks at what others use: the schedd's CPU time, and what goes over the loopback."""

    def __init__(self) -> None:
        self._schedd = next(each for each in psutil.process_iter() if _is_our_schedd(each))
        self._began = self._reading()

    def _reading(self) -> tuple[float, float, float]:
        sent = psutil.net_io_counters(pernic=True)["lo"].bytes_sent
        return time.perf_counter(), cpu_s(self._schedd), float(sent)

    def cost(self, times: int, cpu: float, memory_mb: float) -> Cost:
        """Return the cost of one of `times` polls since the beginning."""
        wall, schedd, sent = (
            (now - before) / times for now, before in zip(self._reading(), self._began, strict=True)
        )
        return Cost(wall * 1e3, cpu / times * 1e3, memory_mb, schedd * 1e3, sent / 1e3)


def _is_our_schedd(process: psutil.Process) -> bool:
    return process.name() == "condor_schedd" and is_in_the_pool(process.pid)


def cpu_s(process: psutil.Process) -> float:
    """Return the CPU time that a process has used."""
    times = process.cpu_times()
    return float(times.user + times.system)


def megabytes(*processes: psutil.Process) -> float:
    """Return the resident memory of processes."""
    return float(sum(each.memory_info().rss for each in processes)) / 1e6


def cost_of_polls(system: HTCondorBatch, submission: Submission, child: psutil.Process) -> Cost:
    """Return what the daemon's poll costs, daemon and child process together."""
    ours = psutil.Process()
    before = cpu_s(ours) + cpu_s(child)
    meter = Meter()
    for _ in range(POLLS):
        system.poll(submission)
    return meter.cost(POLLS, cpu_s(ours) + cpu_s(child) - before, megabytes(ours, child))


def cost_of_commands(*commands: list[str]) -> Cost:
    """Return what it costs to run commands, one after the other, at each poll."""
    cpu, peak_mb = 0.0, 0.0
    meter = Meter()
    for _ in range(ROUNDS):
        for command in commands:
            seconds, megabyte = run(command)
            cpu += seconds
            peak_mb = max(peak_mb, megabyte)
    return meter.cost(ROUNDS, cpu, peak_mb)


def run(command: list[str]) -> tuple[float, float]:
    """Run a command; return its CPU time and the peak of its memory in MB."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peak_mb = 0.0
    while True:
        pid, status, used = os.wait4(process.pid, os.WNOHANG)
        if pid:
            break
        # Not rusage: there, a new process has the memory of the one that started it.
        peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process.pid}/status").read_text())
        peak_mb = max(peak_mb, int(peak[1]) / 1e3 if peak else 0.0)
        time.sleep(0.002)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command[0]}: exit code {process.returncode}")
    return used.ru_utime + used.ru_stime, peak_mb


def batch_of(jobs: int, root: Path, key: str) -> Batch:
    """Return a batch of jobs that would do nothing."""
    script = root / "job.sh"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    all_jobs = tuple(Job(number, (), f"out_{number}") for number in range(jobs))
    return Batch(key, root, script, (), root, all_jobs, Resources(memory_mb=10))


def timed(what: str, call: Callable[[], object]) -> None:
    """Do something once and print how long it took."""
    began = time.perf_counter()
    call()
    print(f"{what:34}{time.perf_counter() - began:.2f} s")


def compare(system: HTCondorBatch, submission: Submission, child: psutil.Process) -> None:
    """Print what a poll costs in each way of asking, and that ours does not grow."""
    ours = psutil.Process()
    system.poll(submission)
    rss = megabytes(ours), megabytes(child)
    polls = cost_of_polls(system, submission, child)
    grown = megabytes(ours) - rss[0], megabytes(child) - rss[1]
    cluster = submission.cluster
    three = [
        ["condor_q", cluster, "-constraint", f"JobStatus == {status}", "-af", "ProcId"]
        for status in (1, 2, 5)
    ]
    listing = [["condor_q", cluster, "-nobatch"]] * 3
    full = [sys.executable, "-c", FULL_ADS, cluster, str(submission.jobs)]
    print(f"\none poll of {submission.jobs} jobs, and (as many times auto-iter's):\n{HEAD}")
    print(polls.told("auto-iter", polls))
    print(cost_of_commands(*three).told("3 condor_q by status, only ProcId", polls))
    print(cost_of_commands(*listing).told("3 condor_q as one types it", polls))
    print(cost_of_commands(full).told("1 query of full ads", polls))
    print(
        f"\nafter {POLLS} polls: {polls.cpu_ms * POLLS / 1e3:.2f} s of CPU; memory of daemon and "
        f"child {rss[0]:.0f} + {rss[1]:.0f} MB, grown by {grown[0]:+.1f} and {grown[1]:+.1f} MB"
    )


def measure(schedd: ScheddProcess, system: HTCondorBatch, jobs: int, root: Path) -> None:
    """Submit, compare, remove."""
    batch = batch_of(jobs, root, system.new_key(1, 1))
    timed(f"submit {jobs} jobs", lambda: system.submit(batch))
    submission = system.submit(batch)
    timed("first poll", lambda: system.poll(submission))
    if schedd.pid is None:
        raise SystemExit("the child process is gone")
    compare(system, submission, psutil.Process(schedd.pid))
    timed(f"remove {jobs} jobs", lambda: system.remove(submission, "end of the benchmark"))
    while schedd.count(f"ClusterId == {submission.cluster}").total:
        time.sleep(0.5)


def main() -> int:
    """Run the benchmark; 0 also when there is no pool to run it on."""
    jobs = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    if "POOL_COLLECTOR" not in os.environ:
        print(f"{sys.argv[0]}: needs a pool, see `make pool-bench`")
        return 0
    schedd = ScheddProcess(timeout_s=120)
    # Polled without pause: each of them asks the schedd.
    config = HTCondor(
        spool=False,
        job_flavour=None,
        min_poll_interval_s=1e-6,
        extra={"requirements": "False"},
    )
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        try:
            measure(schedd, HTCondorBatch("bench", config, schedd), jobs, Path(directory))
        except TransientError as error:
            print(error, file=sys.stderr)
            return 1
        finally:
            schedd.close()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
