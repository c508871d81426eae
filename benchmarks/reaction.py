"""How soon the next iteration is submitted after the last job of one has ended, beside DAGMan.

Needs a pool: `make pool-bench`, or `tests/pool/run.sh --command python benchmarks/reaction.py`.
auto-iter converts and solves in between, which is in its time; DAGMan's node for it does nothing.
Both drive three iterations of five jobs. The moment that counts is when a job's payload ends.
"""

from __future__ import annotations

import os
import re
import shlex
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import htcondor2

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.pool.alignments import (
    FILES,
    HTCONDOR,
    ITERATIONS,
    Alignment,
    Detector,
    make_detector,
    with_hook,
)

WRAPPER = """\
#!/bin/bash
{program} "$@"
code=$?
date +%s.%N >>{ends}
exit $code
"""
LIMIT_S = 400.0
SUBMITTING = re.compile(r"^([\d/]+ [\d:.]+) Submitting HTCondor Node I(\d+)_R\d+ job", re.MULTILINE)


def ends_of(path: Path) -> list[float]:
    """Return when the last payload of each iteration ended."""
    ends = sorted(map(float, path.read_text().split()))
    return [ends[each * len(FILES) - 1] for each in range(1, ITERATIONS + 1)]


def lags(ended: list[float], submitted: list[float]) -> list[float]:
    """Return from each iteration's end to the submission of the one after it."""
    return [after - end for end, after in zip(ended[:-1], submitted[1:], strict=True)]


def reaction_of_auto_iter(detector: Detector, place: Path, *settings: str) -> list[float]:
    """Run an alignment and return its lags."""
    place.mkdir()
    ends = place / "ends"
    program = detector.install / "bin" / "faser_reco_alignment.py"
    wrapper = place / "bin" / program.name
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER.format(program=shlex.quote(str(program)), ends=ends))
    wrapper.chmod(0o755)
    hook = with_hook(detector, place, f'export PATH="{wrapper.parent}:$PATH"\n')
    alignment = Alignment(detector, place, (*HTCONDOR, hook, *settings))
    ran = alignment.run()
    if ran.returncode:
        raise SystemExit(ran.stdout + ran.stderr)
    submitted = [
        datetime.fromisoformat(line["timestamp"]).timestamp()
        for line in alignment.logged("submitted")
    ]
    return lags(ends_of(ends), submitted)


def reaction_of_dagman(place: Path, scan_s: int) -> list[float]:
    """Run a DAG of the same shape and return its lags."""
    place.mkdir()
    dag = write_dag(place, scan_s)
    described = htcondor2.Submit.from_dag(
        str(dag), {"DagmanPath": "/usr/bin/condor_dagman", "Force": True}
    )
    # The client's own configuration must not leak into DAGMan, which would not start with it.
    described["getenv"] = "PATH,HOME,USER"
    schedd = htcondor2.Schedd(htcondor2.Collector().locate(htcondor2.DaemonType.Schedd))
    before = Path.cwd()
    os.chdir(place)
    try:
        cluster = schedd.submit(described).cluster()
    finally:
        os.chdir(before)
    wait_until(lambda: not schedd.query(f"ClusterId == {cluster}", ["ProcId"]), "the DAG")
    submitted: dict[int, float] = {}
    for when, iteration in SUBMITTING.findall(Path(f"{dag}.dagman.out").read_text()):
        moment = datetime.strptime(when, "%m/%d/%y %H:%M:%S.%f").astimezone()
        submitted.setdefault(int(iteration), moment.timestamp())
    return lags(ends_of(place / "ends"), [submitted[each] for each in sorted(submitted)])


def write_dag(place: Path, scan_s: int) -> Path:
    """Write a DAG: in each iteration five jobs, then one for Millepede that does nothing."""
    payload = place / "payload.sh"
    payload.write_text(f"#!/bin/bash\nsleep 1\ndate +%s.%N >>{place}/ends\n")
    payload.chmod(0o755)
    common = "universe = vanilla\nlog = nodes.log\nrequest_memory = 10MB\nqueue\n"
    (place / "reco.sub").write_text(f"executable = {payload}\n{common}")
    (place / "pede.sub").write_text(
        f"executable = /bin/true\ntransfer_executable = False\n{common}"
    )
    (place / "dag.cfg").write_text(
        f"DAGMAN_USER_LOG_SCAN_INTERVAL = {scan_s}\nDAGMAN_DEBUG = D_SUB_SECOND\n"
    )
    lines = [f"CONFIG {place}/dag.cfg"]
    for iteration in range(1, ITERATIONS + 1):
        names = [f"I{iteration}_R{number}" for number in range(len(FILES))]
        lines += [f"JOB {name} reco.sub" for name in names]
        lines += [f"JOB I{iteration}_PEDE pede.sub"]
        lines += [f"PARENT {' '.join(names)} CHILD I{iteration}_PEDE"]
        if iteration > 1:
            lines += [f"PARENT I{iteration - 1}_PEDE CHILD {' '.join(names)}"]
    dag = place / "alignment.dag"
    dag.write_text("\n".join(lines) + "\n")
    return dag


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Wait for something, but not for ever."""
    deadline = time.monotonic() + LIMIT_S
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"{what} does not come to an end")
        time.sleep(0.5)


def measure(root: Path) -> None:
    """Measure each way and print them side by side."""
    detector = make_detector(root / "detector")
    usual = "alignment.polling_interval_seconds=300", "htcondor.min_poll_interval_s=60"
    eager = "alignment.polling_interval_seconds=2", "htcondor.min_poll_interval_s=2"
    ways: dict[str, Callable[[], list[float]]] = {
        "auto-iter, direct, polls every 300 s": lambda: reaction_of_auto_iter(
            detector, root / "direct", "htcondor.spool=false", *usual
        ),
        "auto-iter, spooled, polls every 2 s": lambda: reaction_of_auto_iter(
            detector, root / "spooled", "htcondor.spool=true", *eager
        ),
        "DAGMan, log scanned every 1 s": lambda: reaction_of_dagman(root / "short", 1),
        "DAGMan, log scanned every 5 s (default)": lambda: reaction_of_dagman(root / "default", 5),
    }
    print("from the last job's end to the next iteration's submission [s]")
    yardstick: float | None = None
    for name, way in ways.items():
        found = way()
        mean = statistics.mean(found)
        yardstick = yardstick or mean
        each = ", ".join(f"{lag:.1f}" for lag in found)
        print(f"{name:42}{mean:6.1f}  ({mean / yardstick:.1f}x; each: {each})", flush=True)


def main(*_: Any) -> int:
    """Run the benchmark; 0 also when there is no pool to run it on."""
    if "POOL_COLLECTOR" not in os.environ:
        print(f"{sys.argv[0]}: needs a pool, see `make pool-bench`")
        return 0
    # Where the pool's jobs can see it too, and read it.
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as directory:
        measure(Path(directory))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
