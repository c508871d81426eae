"""How soon the next iteration is submitted after the last job of one has ended, beside DAGMan.

Needs a pool: `make pool-bench`, or `tests/pool/run.sh --command python benchmarks/reaction.py`.
auto-iter converts and solves in between, and how long that takes is told too; DAGMan's node for it
does nothing. Both drive three iterations of five jobs. What counts is when a job's payload ends.
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
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import htcondor2

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.pool.alignments import (
    DONE,
    FILES,
    HTCONDOR,
    ITERATIONS,
    PoolAlignment,
    PoolDetector,
    auto_iter,
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
SUBMITTING = re.compile(r"Submitting HTCondor Node I(\d+)_R\d+ job")
LOOK_S = 0.02


def ends_of(path: Path) -> list[float]:
    """Return when the last payload of each iteration ended."""
    ends = sorted(map(float, path.read_text().split()))
    return [ends[each * len(FILES) - 1] for each in range(1, ITERATIONS + 1)]


@dataclass(frozen=True)
class Reaction:
    """From each iteration's last end to the next one's submission, and Millepede's part of it."""

    lags: list[float]
    millepede_s: float = 0.0

    def told(self, name: str, yardstick: Reaction) -> str:
        """Return a line of the table."""
        mean = statistics.mean(self.lags)
        own = mean - self.millepede_s
        times = own / (statistics.mean(yardstick.lags) - yardstick.millepede_s)
        each = ", ".join(f"{lag:.1f}" for lag in self.lags)
        return f"{name:42}{mean:6.1f}{self.millepede_s:11.1f}{own:8.1f} ({times:.1f}x)   {each}"


HEAD = f"{'':42}{'all':>6}{'Millepede':>11}{'rest':>8}          each"


def reaction(ended: list[float], submitted: list[float], millepede_s: float = 0.0) -> Reaction:
    """Return the reaction from the moments when iterations ended and were submitted."""
    pairs = zip(ended[:-1], submitted[1:], strict=True)
    return Reaction([after - end for end, after in pairs], millepede_s)


def reaction_of_auto_iter(detector: PoolDetector, place: Path, *settings: str) -> Reaction:
    """Run an alignment; then do Millepede's part again by hand, to know what it takes."""
    place.mkdir()
    ends = place / "ends"
    program = detector.install / "bin" / "faser_reco_alignment.py"
    wrapper = place / "bin" / program.name
    wrapper.parent.mkdir()
    wrapper.write_text(WRAPPER.format(program=shlex.quote(str(program)), ends=ends))
    wrapper.chmod(0o755)
    hook = with_hook(detector, place, f'export PATH="{wrapper.parent}:$PATH"\n')
    alignment = PoolAlignment(detector, place, (*HTCONDOR, hook, *settings))
    ran = alignment.run()
    if ran.returncode not in DONE:
        raise SystemExit(ran.stdout + ran.stderr)
    submitted = [
        datetime.fromisoformat(line["timestamp"]).timestamp()
        for line in alignment.logged("submitted")
    ]
    began = time.monotonic()
    again = alignment.call(auto_iter("millepede", "run", "-i", str(alignment.workspace / "iter02")))
    if again.returncode:
        raise SystemExit(again.stdout + again.stderr)
    return reaction(ends_of(ends), submitted, time.monotonic() - began)


def reaction_of_dagman(place: Path, scan_s: int) -> Reaction:
    """Run a DAG of the same shape, whose node for Millepede does nothing."""
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
        schedd.submit(described)
    finally:
        os.chdir(before)
    submitted = moments_of_submission(Path(f"{dag}.dagman.out"))
    return reaction(ends_of(place / "ends"), [submitted[each] for each in sorted(submitted)])


def moments_of_submission(log: Path) -> dict[int, float]:
    """Watch DAGMan's log, whose own times are whole seconds; return when iterations began."""
    seen: dict[int, float] = {}
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        text = log.read_text() if log.exists() else ""
        for iteration in SUBMITTING.findall(text):
            seen.setdefault(int(iteration), time.time())
        if "EXITING WITH STATUS 0" in text:
            return seen
        time.sleep(LOOK_S)
    raise SystemExit(f"{log}: DAGMan does not come to an end")


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
        # a benchmark may live in /tmp, which DAGMan would refuse
        f"DAGMAN_USER_LOG_SCAN_INTERVAL = {scan_s}\nDAGMAN_USE_STRICT = 0\n"
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


def measure(root: Path) -> None:
    """Measure each way and print them side by side."""
    detector = make_detector(root / "detector")
    usual = "alignment.polling_interval_seconds=300", "htcondor.min_poll_interval_s=60"
    eager = "alignment.polling_interval_seconds=2", "htcondor.min_poll_interval_s=2"
    ways: dict[str, Callable[[], Reaction]] = {
        "auto-iter, direct, polls every 300 s": lambda: reaction_of_auto_iter(
            detector, root / "direct", "htcondor.spool=false", *usual
        ),
        "auto-iter, spooled, polls every 2 s": lambda: reaction_of_auto_iter(
            detector, root / "spooled", "htcondor.spool=true", *eager
        ),
        "DAGMan, log scanned every 1 s": lambda: reaction_of_dagman(root / "short", 1),
        "DAGMan, log scanned every 5 s (default)": lambda: reaction_of_dagman(root / "default", 5),
    }
    print(f"from the last job's end to the next iteration's submission [s]\n{HEAD}")
    yardstick: Reaction | None = None
    for name, way in ways.items():
        found = way()
        yardstick = yardstick or found
        print(found.told(name, yardstick), flush=True)


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
