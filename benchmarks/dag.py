"""Writing a DAG of 10 iterations and 1 000 raw files: time and growth, beside a bare loop.

Usage: python benchmarks/dag.py

Measured is all that `auto-iter dag` does without a schedd, in a process of its own, imports and the
first iteration's 1 000 directories included. The yardstick is a loop, in a process of its own too,
that writes the DAG's lines and nothing else, and knows neither configuration nor crash. Proportions
count, and processor time: a machine in use has other things to do as well.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

ITERATIONS = 10
SIZES = (250, 1000)
BAR_S = 2.0


def write_ours(place: Path, files: int) -> None:
    """Write a DAG as `auto-iter dag` does."""
    # Loaded here: the loop does without, and the imports are part of the time.
    from auto_iter.alignment.arguments import Arguments
    from auto_iter.alignment.model import Stage
    from auto_iter.config.schema import Config
    from auto_iter.daemon.handover import handed
    from auto_iter.daemon.lifecycle import Opened, locate, reconstruction
    from auto_iter.daemon.making import create_workspace
    from auto_iter.dag.files import prepare_nodes, write_dag
    from auto_iter.rawfiles import RawRange

    paths = {"raw_dir": place / "raw", "work_dir": place, "env_script": place / "env.sh"}
    config = Config.model_validate(
        {"paths": paths, "batch": {"system": "htcondor"}, "alignment": {"strategy": "3st"}}
    )
    wanted = RawRange.parse(f"0-{files}")
    asked = Arguments(year=2023, run=11705, files=wanted, iterations=ITERATIONS)
    made = create_workspace(locate(asked, config), asked, config, allow_missing=False, now=0.0)
    opened = Opened(made.workspace, handed(made.snapshot, "key@schedd"), config)
    run = opened.snapshot.dag
    if run is None:
        raise SystemExit("not handed over")
    reconstruction(opened).prepare(Stage(1))
    write_dag(opened, run)
    prepare_nodes(opened)


def write_in_a_loop(place: Path, files: int) -> None:
    """Write the same lines, and nothing else."""
    with (place / "loop.dag").open("w") as dag:
        for i in range(1, ITERATIONS + 1):
            where, names = f"{place}/iter{i:02d}", [f"R{i:02d}_{n:05d}" for n in range(files)]
            for n, name in enumerate(names):
                dag.write(f"JOB {name} {where}/1reco/reco.sub\n")
                dag.write(f'VARS {name} number="{n:05d}" rawfile="{n}"\n')
                dag.write(f"SCRIPT POST {name} {place}/dag_post.py {where}/1reco {n:05d}\n")
                dag.write(f"RETRY {name} 3 UNLESS-EXIT 99\nABORT-DAG-ON {name} 98 RETURN 1\n")
            dag.write(f"JOB M{i:02d} {where}/3millepede/millepede.sub\n")
            dag.write(f"RETRY M{i:02d} 2 UNLESS-EXIT 64\nABORT-DAG-ON M{i:02d} 100 RETURN 0\n")
            dag.write(f"PARENT {' '.join(names)} CHILD M{i:02d}\n")


WAYS = {"ours": write_ours, "loop": write_in_a_loop}


def cpu_of(way: str, place: Path, files: int) -> float:
    """Return the processor's seconds of a fresh process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    env = os.environ | {"CONDOR_CONFIG": str(place / "env.sh")}
    subprocess.run([sys.executable, __file__, way, str(place), str(files)], env=env, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime - before.ru_utime) + (after.ru_stime - before.ru_stime)


def make_site(place: Path, files: int) -> None:
    """Make raw files and an environment script; nothing reads them."""
    raw = place / "raw/2023/011705"
    raw.mkdir(parents=True)
    for number in range(files):
        (raw / f"Faser-Physics-011705-{number:05d}.raw").write_text("raw")
    (place / "env.sh").write_text("true\n")


def measure(files: int) -> tuple[float, float]:
    """Return our seconds and the loop's, the best of three each, and print them."""
    found = []
    for _ in range(3):
        with tempfile.TemporaryDirectory() as name:
            place = Path(name)
            make_site(place, files)
            found.append([cpu_of(way, place, files) for way in WAYS])
            nodes = sum(dag.read_text().count("JOB ") for dag in place.glob("Y*/alignment.dag"))
    ours, loop = (min(each) for each in zip(*found, strict=True))
    print(f"{files:6d} {nodes:7d} {ours:8.2f} {loop:8.2f} {ours / loop:7.1f}", flush=True)
    return ours, loop


def main() -> int:
    """Print the figures; 1 when a bar is missed. With arguments, be one of the processes."""
    if len(sys.argv) > 1:
        WAYS[sys.argv[1]](Path(sys.argv[2]), int(sys.argv[3]))
        return 0
    print(f"{ITERATIONS} iterations, seconds of CPU\n files   nodes     ours     loop   times")
    rows = {files: measure(files) for files in SIZES}
    few, many = (rows[files][0] for files in SIZES)
    growth = (many / few) / (SIZES[1] / SIZES[0])
    print(f"time for {SIZES[1]} files        {many:.2f} s  (bar {BAR_S:.2f})")
    print(f"growth over that of files  {growth:.2f}  (linear: at most 1)")
    return int(many > BAR_S or growth > 1.2)


if __name__ == "__main__":
    sys.exit(main())
