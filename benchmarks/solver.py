"""The built-in solver on a FASER-size problem: time beside pede, cost per track, memory.

Usage: python benchmarks/solver.py [--quick]

261 parameters, 5 local parameters, up to 18 measurements a track: the records of the test data with
fresh noise. Each solution runs in a process of its own on one thread. Real pede takes 2.9 s for
60 000 tracks where uproot reads the branches of the same tracks in 1.04 s, so the yardstick is that
read, here and now (and pede itself, if it is on PATH). Proportions count, not seconds; whether the
cost is linear is judged by processor time, because a machine in use has other things to do as well.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from auto_iter.millepede.mille.file import Flavour, read_blocks
from tests.support.mille_writer import encode_records

DATA = Path(__file__).parents[1] / "tests/data/kfalignment/clean"
PEDE_SHARE = 2.9 / 1.04
SIZES = (60_000, 125_000, 250_000, 1_000_000)
CHILD = r"""
import re, sys, time
from pathlib import Path
from auto_iter.millepede.solver.builtin import solve
began, used = time.perf_counter(), time.process_time()
result = solve(Path("steer.txt"), directory=Path(sys.argv[1]))
seconds, cpu = time.perf_counter() - began, time.process_time() - used
status = Path("/proc/self/status").read_text()  # ru_maxrss would count the parent, too
peak = int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024
print(seconds, cpu, peak, result.records, result.exit_code, result.loops)
"""


def make_problem(directory: Path, tracks: int) -> None:
    """Write binary, text and steering files for about `tracks` tracks."""
    random = np.random.default_rng(tracks)
    source = next(iter(read_blocks(DATA / "mp2input.bin", fortran=False))).measurements(DATA)
    with (directory / "mp2input.bin").open("wb") as binary:
        for _ in range(-(-tracks // source.records)):
            noise = random.normal(0, 1, len(source.value)) * source.sigma
            noisy = replace(source, value=source.value + noise)
            binary.write(encode_records(noisy, Flavour()))
    for name in ("mp2con.txt", "mp2par.txt", "steer.txt"):
        shutil.copy(DATA / name, directory)


def run_builtin(directory: Path) -> tuple[float, float, float, int]:
    """Return seconds, of these the processor's, peak MB, records of one fresh process."""
    env = os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", CHILD, str(directory)]
    done = subprocess.run(command, env=env, check=True, capture_output=True, text=True)
    seconds, cpu, peak, records, *_ = done.stdout.split()
    return float(seconds), float(cpu), float(peak), int(records)


def run_pede(program: str, directory: Path) -> float:
    """Return the seconds that real pede takes on one thread."""
    began = time.perf_counter()
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    subprocess.run([program, "steer.txt"], cwd=directory, env=env, check=True, capture_output=True)
    return time.perf_counter() - began


def yardstick(directory: Path) -> float:
    """Return the seconds that uproot takes to read the branches of 60 000 tracks."""
    from convert import bare_read, make_file

    files = [make_file(directory / f"{seed}.root", SIZES[0] // 2, seed) for seed in (1, 2)]
    times = []
    for _ in range(3):
        began = time.perf_counter()
        for file in files:
            bare_read(file)
        times.append(time.perf_counter() - began)
    return min(times)


def main() -> int:
    """Print the figures; 1 when a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--quick", action="store_true", help="60 000 and 125 000 tracks only")
    sizes = SIZES[:2] if parser.parse_args().quick else SIZES
    with tempfile.TemporaryDirectory() as name:
        read = yardstick(Path(name))
    allowed = PEDE_SHARE * read
    print(
        f"uproot's bare read of {SIZES[0]} tracks {read:.2f} s, so pede takes {allowed:.2f} s here"
    )
    print(f"one thread, OpenBLAS kernels: {os.environ.get('OPENBLAS_CORETYPE', 'as detected')}")
    print("  tracks     MB   seconds  CPU us/track  peak MB")
    rows = [_measure(size) for size in sizes]
    share = rows[0][0] / allowed
    costs = [cpu / records for _, cpu, _, records in rows]
    growth = max(peak for _, _, peak, _ in rows) / rows[0][2]
    print(f"time over pede's           {share:.2f}  (bar 1.00)")
    print(f"CPU per track, max/min     {max(costs) / min(costs):.2f}  (linear: about 1)")
    print(f"peak memory over smallest  {growth:.2f}  (flat: about 1)")
    return int(share > 1 or max(costs) / min(costs) > 1.5 or growth > 1.3)


def _measure(size: int) -> tuple[float, float, float, int]:
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        make_problem(directory, size)
        megabytes = (directory / "mp2input.bin").stat().st_size / 1e6
        runs = [run_builtin(directory) for _ in range(3 if size <= SIZES[1] else 1)]
        seconds, cpu, peak, records = min(runs)
        cost = 1e6 * cpu / records
        print(f"{records:9d} {megabytes:6.0f} {seconds:9.2f} {cost:13.1f} {peak:8.0f}", flush=True)
        program = shutil.which("pede")
        if program:
            print(f"          pede itself: {run_pede(program, directory):.2f} s")
    return seconds, cpu, peak, records


if __name__ == "__main__":
    sys.exit(main())
