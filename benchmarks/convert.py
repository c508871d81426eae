"""ROOT → Mille: how long beside uproot merely reading the same branches, and how much memory.

Usage: python benchmarks/convert.py [--tracks 60000] [--check] [FILE.root FILE.root]

Without files, two with real-sized content are made (tracks of the test data, repeated with fresh
noise), and time and memory are shown over four sizes, too. Times are taken side by side, in turns,
best of several; proportions count, not seconds. The collaboration's C++ converter takes 0.89 / 1.04
of uproot's bare read.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import awkward as ak
import numpy as np
import psutil
import uproot

from auto_iter.config.cuts import TrackCuts
from auto_iter.detector.labels import Scheme
from auto_iter.millepede.conversion import kfalignment as kf
from auto_iter.millepede.conversion.convert import Converter
from auto_iter.millepede.conversion.files import convert_files

DATA = Path(__file__).parents[1] / "tests/data/kfalignment/clean/2kfalignment"
CPP_SHARE = 0.89 / 1.04
ALLOWED = 1.6
REPEATS = 5
NOISE = 1e-3
SIZES = (15_000, 30_000, 60_000, 120_000)
EXACT = (kf.ALIGN_ID, kf.UNCERTAINTY, kf.PZ, kf.CHI2, kf.local_derivative("x"))


def make_file(path: Path, tracks: int, seed: int) -> Path:
    """Write a file of about `tracks` tracks: those of the test data with fresh noise."""
    random = np.random.default_rng(seed)
    parts = [uproot.open(source)["tree"].arrays() for source in sorted(DATA.glob("*.root"))]
    source = ak.concatenate(parts)
    types = {name: str(ak.type(source[name][:1])).split("*", 1)[1] for name in source.fields}
    types = {name: kind.strip() for name, kind in types.items()}
    with uproot.recreate(path) as file:
        tree = file.mktree("tree", types)
        for _ in range(-(-tracks // len(source))):
            tree.extend({name: _noisy(source[name], name, random) for name in source.fields})
    return path


def _noisy(values: ak.Array, name: str, random: np.random.Generator) -> ak.Array:
    if name in EXACT or "align" not in name:
        return values
    flat = ak.to_numpy(ak.flatten(values))
    return ak.unflatten(flat * (1 + NOISE * random.normal(size=len(flat))), ak.num(values))


def bare_read(path: Path) -> None:
    """Read what the conversion needs, with uproot alone."""
    names = [kf.CHI2, kf.PZ, kf.ALIGN_ID, *Converter().branches]
    with uproot.open(path) as file:
        file["tree"].arrays(names)


def convert(path: Path) -> None:
    """Convert as the worker does, to a file that goes away."""
    with tempfile.TemporaryDirectory() as scratch:
        convert_files([path], Path(scratch) / "out.bin", Scheme(), TrackCuts())


def best(*chores: Callable[[], object]) -> list[float]:
    """Return the shortest wall-clock time (s) of each chore.

    They take turns, so that a machine that is busy for a while is busy for all of them.
    """
    times: list[list[float]] = [[] for _ in chores]
    for _ in range(REPEATS):
        for spent, chore in zip(times, chores, strict=True):
            started = time.perf_counter()
            chore()
            spent.append(time.perf_counter() - started)
    return [min(spent) for spent in times]


def scaling(scratch: Path) -> None:
    """Print time per track and peak memory over four sizes, each in a process of its own."""
    print("    tracks   µs/track   peak MB beyond 15 000 tracks'")
    smallest = None
    for tracks in SIZES:
        path = make_file(scratch / f"{tracks}.root", tracks, 7)
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            seconds, peak = pool.apply(_cost, (path,))
        smallest = peak if smallest is None else smallest
        print(f"{tracks:10d}   {1e6 * seconds / tracks:8.2f}   {peak - smallest:8.1f}")
        path.unlink()


def _cost(path: Path) -> tuple[float, float]:
    """Return seconds, and the largest resident memory (MB) between chunks."""
    (seconds,) = best(lambda: convert(path))
    converter = Converter()
    peak = 0
    for chunk in kf.TrackFile(path, converter.branches).chunks():
        converter.convert(chunk)
        peak = max(peak, psutil.Process().memory_info().rss)
    return seconds, peak / 2**20


def main() -> int:
    """Measure, print, and (with --check) judge."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("--tracks", type=int, default=60_000)
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("files", type=Path, nargs="*", metavar="FILE.root")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        files = arguments.files or [
            make_file(Path(scratch) / f"{n}.root", arguments.tracks // 2, n) for n in range(2)
        ]
        missed = _measure(files, check=arguments.check)
        if not arguments.files:
            scaling(Path(scratch))
        return missed


def _two_workers(files: list[Path]) -> None:
    """Convert as the daemon does: fresh processes, each with its own request."""
    children = []
    with tempfile.TemporaryDirectory() as scratch:
        for number, path in enumerate(files):
            base = Path(scratch) / str(number)
            source = {
                "number": number,
                "root": str(path),
                "binary": f"{base}.bin",
                "statistics": f"{base}.json",
            }
            request = Path(f"{base}.request")
            request.write_text(json.dumps({"sources": [source]}))
            command = [sys.executable, "-m", "auto_iter.iteration.worker", "convert", str(request)]
            children.append(subprocess.Popen(command))
        if any(child.wait() for child in children):
            raise SystemExit("a worker failed")


def _measure(files: list[Path], *, check: bool) -> int:
    with multiprocessing.get_context("fork").Pool(2) as pool:
        bare, one, two, workers = best(
            lambda: list(map(bare_read, files)),
            lambda: list(map(convert, files)),
            lambda: pool.map(convert, files, chunksize=1),
            lambda: _two_workers(files),
        )
    print(f"uproot's bare read   {bare:.3f} s")
    print(f"one process          {one:.3f} s   {one / bare:.2f} of it (allowed {ALLOWED})")
    print(f"two processes        {two:.3f} s   {two / bare:.2f} of it (C++: {CPP_SHARE:.2f})")
    print(f"two workers          {workers:.3f} s   {workers / bare:.2f} of it, start-up included")
    good = one <= ALLOWED * bare and two < CPP_SHARE * bare
    print("targets met" if good else "TARGET MISSED")
    return 1 if check and not good else 0


if __name__ == "__main__":
    sys.exit(main())
